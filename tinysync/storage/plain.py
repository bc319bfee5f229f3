"""What of a structure a readable file can say, and what a value in such a file means for a live one.

*Readable* values are those that safe YAML says exactly: dict, list and set, None, bool, int, float, str, bytes,
date and datetime. Everything else has a nearest readable value.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from tinysync.errors import UnsupportedValue

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_READABLE: Final = frozenset({type(None), bool, int, float, str, bytes, dt.date})
_MAX_DECIMAL_BITS: Final = 10_000
"""A longer int is written in hexadecimal: Python limits the conversion of decimal digits."""

_MINUTE: Final = dt.timedelta(minutes=1)


def to_readable(value: Any) -> Any:
    """Return the readable value nearest to ``value``, as plain containers.

    A tuple becomes a list, a frozenset a set; a Decimal the number that says it exactly, else text; a datetime
    keeps its offset but not the name of its zone; what is left becomes text. So do keys and set elements, where
    containers become text too; keys that would be one are told apart by their type. Raise UnsupportedValue for a
    type that no structure holds.
    """
    if type(value) in _READABLE:
        return value
    if isinstance(value, dict):
        if all(type(key) in _READABLE for key in value):
            return {key: to_readable(item) for key, item in value.items()}
        return {name: to_readable(value[key]) for name, key in readable_keys(value).items()}
    if isinstance(value, (list, tuple)):
        return [to_readable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return set(readable_keys(value))
    return _nearest(value)


def readable_keys(keys: Iterable[Any]) -> dict[Any, Any]:
    """Return what each key, or set element, is called in a readable file, with the key itself."""
    names: dict[Any, Any] = {}
    others = []
    for key in keys:
        if type(key) in _READABLE:
            names[key] = key
        else:
            others.append(key)
    others.sort(key=lambda key: (type(key).__name__, text_of(key)))
    for key in others:
        name = text_of(key) if isinstance(key, (tuple, frozenset)) else _nearest(key)
        number = 1
        while name in names:
            name = f"{text_of(key)} ({type(key).__name__}{f' {number}' if number > 1 else ''})"
            number += 1
        names[name] = key
    return names


def text_of(value: Any) -> str:
    """Return a text for a key; the same on every device, in whatever order its frozensets are."""
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(text_of, value)))}}}"
    if type(value) is int and value.bit_length() > _MAX_DECIMAL_BITS:
        return hex(value)
    return repr(value) if type(value) in _READABLE else str(value)


def identity(value: Any) -> Hashable:
    """Return what two readable values have in common if and only if they are the same, types included."""
    kind = type(value)
    if kind is float or kind is dt.datetime:
        return kind, repr(value)  # NaN is itself here, 0.0 is not -0.0, and an offset counts
    if kind is dict:
        return kind, frozenset((identity(key), identity(item)) for key, item in value.items())
    if kind is list:
        return kind, tuple(map(identity, value))
    if kind is set:
        return kind, frozenset(map(identity, value))
    return kind, value


def in_type_of(example: Any, readable: Any) -> Any:
    """Return a readable value in the type of ``example``, if that says it as exactly; else as it is.

    So an amount that is a Decimal in the program stays one when somebody edits it in the file.
    """
    convert = _BACK.get(type(example))
    if convert is None:
        return readable
    try:
        value = convert(readable)
        hash(value)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return readable
    return value if identity(to_readable(value)) == identity(readable) else readable


_BACK: Final[dict[type, Callable[[Any], Any]]] = {
    Decimal: lambda readable: Decimal(str(readable)),
    UUID: UUID,
    complex: complex,
    dt.time: dt.time.fromisoformat,
    tuple: tuple,
    frozenset: frozenset,
}


def _nearest(value: Any) -> Any:
    kind = type(value)
    if kind is dt.datetime:
        return _datetime(value)
    if kind is Decimal:
        return _decimal(value)
    if kind is dt.time:
        return value.isoformat()
    if kind in (dt.timedelta, UUID, complex):
        return str(value)
    raise UnsupportedValue(
        f"A value of type {kind.__module__}.{kind.__qualname__} cannot be written to a readable file."
    )


def _datetime(value: dt.datetime) -> dt.datetime | str:
    offset = value.utcoffset()
    if offset is None:
        return value.replace(tzinfo=None, fold=0)
    if offset % _MINUTE:
        return value.isoformat()  # YAML's offsets have no seconds
    return value.replace(tzinfo=dt.timezone(offset), fold=0)


def _decimal(value: Decimal) -> float | str:
    text = str(value)
    for kind in (int, float):
        try:
            number = kind(text)
        except (ValueError, OverflowError):
            continue
        if str(number) == text:
            return number
    return text
