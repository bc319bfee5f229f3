"""The texts that stand for dict keys and set elements in the document: one for all that Python holds equal."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import math
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import Any, Final

import msgpack

from tinysync.crdt.values import Ext, encode, pack, pack_raw, unpack
from tinysync.errors import BadUpdate, InvalidValue

KEY_MARK: Final = "~"
MAX_KEY_EXPONENT: Final = 4000
FARTHEST_OFFSET: Final = dt.timedelta(hours=23, minutes=59)


def check_key(key: Any) -> None:
    """Raise UnsupportedValue or InvalidValue unless the key (or set element) can be held."""
    encode(key)
    key_text(key)


def key_text(key: Any) -> str:
    """Return the text that stands for a key in the document; equal keys (1, 1.0, True) have one text."""
    if type(key) is str:
        return KEY_MARK + key if key.startswith(KEY_MARK) else key
    packed = pack(_canonical(key))
    return KEY_MARK + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def text_key(text: str) -> str | None:
    """Return the str key that a key text stands for, or None if the key is in its Keyed cell."""
    if not text.startswith(KEY_MARK):
        return text
    return text[1:] if text.startswith(KEY_MARK, 1) else None


def equal_key(text: str) -> Any:
    """Return a key that is equal to the one that a key text stands for, though perhaps of another type.

    Raises BadUpdate if there can be no such key.
    """
    plain = text_key(text)
    if plain is not None:
        return plain
    encoded = text[1:]
    try:
        packed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        key = unpack(packed, _from_canonical)
        is_key = key_text(key) == text
    except (ValueError, TypeError) as error:
        raise BadUpdate(f"{text!r} is no key of this format") from error
    if not is_key:
        raise BadUpdate(f"{text!r} is not how this format writes the key {key!r}")
    return _without_fractions(key)


_EXACT: Final = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)


def _without_fractions(key: Any) -> Any:
    """Return an equal key of types that a structure takes."""
    kind = type(key)
    if kind is tuple or kind is frozenset:
        return kind(map(_without_fractions, key))
    if kind is not Fraction:
        return key
    with contextlib.suppress(OverflowError):
        number = key.numerator / key.denominator
        if number == key:
            return number
    rest, places = key.denominator, 0
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    for factor in (2, 5):
        while rest % factor == 0:
            rest, places = rest // factor, places + 1
    if rest != 1:
        raise BadUpdate(f"the key {key!r} is neither a float nor a Decimal")
    sign, digits, _ = Decimal(key.numerator * 10**places // key.denominator).as_tuple()
    return Decimal((sign, digits, -places)).normalize(_EXACT)


def _canonical(key: Any) -> Any:
    """Map all keys that Python holds for equal to one value."""
    kind = type(key)
    if kind is bool:
        return int(key)
    if kind is complex and key.imag == 0:
        return _canonical(key.real)
    if kind is float or kind is Decimal or kind is Fraction:
        return _canonical_real(key)
    if kind is complex:
        if math.isnan(key.real) or math.isnan(key.imag):
            raise InvalidValue("a NaN cannot be a key: it is not equal to itself")
        return complex(key.real + 0.0, key.imag + 0.0)
    if kind is tuple:
        return tuple(_canonical(item) for item in key)
    if kind is frozenset:
        return frozenset(_canonical(item) for item in key)
    if kind is dt.datetime and key.tzinfo is not None:
        return _canonical_aware(key, key.replace(tzinfo=None))
    if kind is dt.time and key.tzinfo is not None:
        return _canonical_aware(key, dt.datetime.combine(dt.date.min, key.replace(tzinfo=None)))
    return key


def _canonical_aware(key: dt.time | dt.datetime, naive: dt.datetime) -> msgpack.ExtType:
    since = (naive - dt.datetime.min) - (key.utcoffset() or dt.timedelta(0))  # noqa: DTZ901
    return msgpack.ExtType(
        Ext.CANONICAL, pack_raw([type(key).__name__, since.days, since.seconds, since.microseconds])
    )


def _canonical_real(key: float | Decimal | Fraction) -> Any:
    if (isinstance(key, Decimal) and key.is_nan()) or (isinstance(key, float) and math.isnan(key)):
        raise InvalidValue("a NaN cannot be a key: it is not equal to itself")
    if isinstance(key, Decimal):
        if key.is_infinite():
            return float(key)
        if key and abs(key.adjusted()) > MAX_KEY_EXPONENT:
            raise InvalidValue(f"the number {key!r} is too large or too small to be a key")
    elif isinstance(key, float) and math.isinf(key):
        return key
    ratio = Fraction(key)
    if ratio.denominator == 1:
        return ratio.numerator
    return msgpack.ExtType(Ext.CANONICAL, pack_raw(["ratio", str(ratio.numerator), str(ratio.denominator)]))


def _from_canonical(what: str, *numbers: Any) -> Any:
    if what == "ratio":
        numerator, denominator = map(int, numbers)
        return Fraction(numerator, denominator)
    since = dt.timedelta(*numbers)
    # Local time less offset can lie outside what has a UTC form; then an offset brings it back in.
    first = dt.datetime.min  # noqa: DTZ901
    last = dt.datetime.max if what == "datetime" else dt.datetime.combine(first, dt.time.max)  # noqa: DTZ901
    offset = dt.timedelta(0)
    if since < offset:
        offset = FARTHEST_OFFSET
    elif since > last - first:
        offset = -FARTHEST_OFFSET
    moment = (first + (since + offset)).replace(tzinfo=dt.timezone(offset))
    return moment if what == "datetime" else moment.timetz()
