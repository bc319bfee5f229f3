"""What of a structure a readable file can say, and what a value in such a file means for a live one.

A format says some values exactly: these are its *readable* values, a :class:`Vocabulary`. Everything else has a
nearest readable value.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from tinysync.errors import UnsupportedValue

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_MAX_DECIMAL_BITS: Final = 10_000
"""A longer int is written in hexadecimal: Python limits the conversion of decimal digits."""

_MINUTE: Final = dt.timedelta(minutes=1)
_NORMALISED: Final = frozenset({dt.datetime, dt.time})
"""Types of whose values a file says no more than the local time and an offset."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a format can say exactly, so that a value comes back from the file as it went in, type included.

    values: the types of the values that it can say beside dicts and lists. ``str`` must be one of them; the others
      may be bool, int, float, bytes, date, time, datetime, Decimal, UUID, complex, timedelta and ``type(None)``.
      Times have no zone then; datetimes have none, or an offset of whole minutes.
    keys: the types that keys (and elements of sets, if it can say them) may have; ``str`` must be one of them.
    sets: whether it can tell a set from a list.
    only_finite: whether it cannot say infinity and NaN.
    largest_int: the largest int, without sign, that it can say; None: any.
    """

    values: frozenset[type]
    keys: frozenset[type] = frozenset({str})
    sets: bool = False
    only_finite: bool = False
    largest_int: int | None = None
    _always: frozenset[type] = field(init=False, repr=False, compare=False)
    """Types of which every value is said."""

    def __post_init__(self) -> None:
        some: set[type] = set(_NORMALISED)
        if self.only_finite:
            some.add(float)
        if self.largest_int is not None:
            some.add(int)
        object.__setattr__(self, "_always", self.values - some)

    def readable(self, value: Any) -> Any:
        """Return the readable value nearest to ``value``, as plain containers.

        A tuple becomes a list; a frozenset a set, or a sorted list if the format has no sets; a Decimal the number
        that says it exactly, else text; a datetime keeps its offset but not the name of its zone; bytes become
        base64; what is left becomes text. So do keys and elements of sets, where containers become text too; those
        that would be one are told apart by their type. Raise UnsupportedValue for a type that no structure holds.
        """
        if type(value) in self._always:
            return value
        if isinstance(value, dict):
            if all(type(key) is str for key in value):
                return {key: self.readable(item) for key, item in value.items()}
            return {name: self.readable(value[key]) for name, key in self.names(value).items()}
        if isinstance(value, (list, tuple)):
            return [self.readable(item) for item in value]
        if isinstance(value, (set, frozenset)):
            names = self.element_names(value)
            return set(names) if self.sets else in_order(names)
        return value if self._says(value, self.values) else self._nearest(value, self.values)

    def names(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return what each key of a dict is called in the file, with the key itself."""
        return self._names(keys, self.keys)

    def element_names(self, elements: Iterable[Any]) -> dict[Any, Any]:
        """Return what each element of a set is called in the file, with the element itself."""
        return self._names(elements, self.keys if self.sets else self.values)

    def in_type_of(self, example: Any, readable: Any) -> Any:
        """Return a readable value in the type of ``example``, if that says it as exactly; else as it is.

        So an amount that is a Decimal in the program stays one when somebody edits it in the file.
        """
        return _converted(example, readable, self.readable)

    def key_like(self, others: Iterable[Any], name: Any) -> Any:
        """Return a new key from the file in the type of the others of its dict, if they all have the same."""
        return _converted(_only_type(others), name, lambda key: next(iter(self.names([key]))))

    def element_like(self, others: Iterable[Any], name: Any) -> Any:
        """Return a new element from the file in the type of the others of its set, if they all have the same."""
        element = _frozen(name)
        return _converted(_only_type(others), element, lambda value: next(iter(self.element_names([value]))))

    def _says(self, value: Any, types: frozenset[type]) -> bool:
        """Tell whether a scalar comes back as it is."""
        kind = type(value)
        if kind not in types:
            return False
        if kind is int:
            return self.largest_int is None or -self.largest_int <= value <= self.largest_int
        if kind is float:
            return not self.only_finite or math.isfinite(value)
        return kind not in _NORMALISED

    def _nearest(self, value: Any, types: frozenset[type]) -> Any:
        kind = type(value)
        if kind in types and kind in _NORMALISED:
            return _datetime(value) if kind is dt.datetime else _time(value)
        if kind is Decimal:
            number = _number(value)
            if number is not None and self._says(number, types):
                return number
        as_text = _TEXTS.get(kind)
        if as_text is None:
            raise UnsupportedValue(
                f"A value of type {kind.__module__}.{kind.__qualname__} cannot be written to a readable file."
            )
        return as_text(value)

    def _names(self, keys: Iterable[Any], types: frozenset[type]) -> dict[Any, Any]:
        names: dict[Any, Any] = {}
        others = []
        for key in keys:
            if self._says(key, types):
                names[key] = key
            else:
                others.append(key)
        others.sort(key=lambda key: (type(key).__name__, text_of(key)))
        for key in others:
            name = text_of(key) if isinstance(key, (tuple, frozenset)) else self._nearest(key, types)
            number = 1
            while name in names:
                name = f"{text_of(key)} ({type(key).__name__}{f' {number}' if number > 1 else ''})"
                number += 1
            names[name] = key
        return names


_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes, dt.date, dt.datetime})

SAFE_YAML: Final = Vocabulary(values=_SCALARS, keys=_SCALARS, sets=True)
"""What safe YAML says."""

to_readable = SAFE_YAML.readable
readable_keys = SAFE_YAML.names
in_type_of = SAFE_YAML.in_type_of


def in_order(values: Iterable[Any]) -> list[Any]:
    """Return readable values sorted, by type and text where they do not compare."""
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def text_of(value: Any) -> str:
    """Return a text for a key; the same on every device, in whatever order its frozensets are."""
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(text_of, value)))}}}"
    if type(value) is int and value.bit_length() > _MAX_DECIMAL_BITS:
        return hex(value)
    return repr(value) if type(value) in _BY_REPR else str(value)


_BY_REPR: Final = frozenset({type(None), bool, int, float, str, bytes, dt.date})


def identity(value: Any) -> Hashable:
    """Return what two readable values have in common if and only if they are the same, types included."""
    kind = type(value)
    if kind in _SAID_BY_REPR:
        return kind, repr(value)  # NaN is itself here, 0.0 is not -0.0, and an offset counts
    if kind is dict:
        return kind, frozenset((identity(key), identity(item)) for key, item in value.items())
    if kind is list:
        return kind, tuple(map(identity, value))
    if kind is set:
        return kind, frozenset(map(identity, value))
    return kind, value


_SAID_BY_REPR: Final = frozenset({float, dt.datetime, dt.time, Decimal, complex})

_TIMEDELTA: Final = re.compile(r"(?:(-?\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d{6})?)")


def _timedelta(text: str) -> dt.timedelta:
    found = _TIMEDELTA.fullmatch(text)
    if found is None:
        raise ValueError(text)
    days, hours, minutes, seconds = found.groups(default="0")
    return dt.timedelta(int(days), hours=int(hours), minutes=int(minutes)) + dt.timedelta(
        microseconds=round(float(seconds) * 1_000_000)
    )


_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: text_of,
    float: repr,
    bytes: lambda value: b64encode(value).decode(),
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    dt.datetime: dt.datetime.isoformat,
    dt.timedelta: str,
    Decimal: str,
    UUID: str,
    complex: str,
}
"""The text for a value that a format cannot say otherwise."""

_BACK: Final[dict[type, Callable[[Any], Any]]] = {
    type(None): lambda _: None,
    bool: {"true": True, "false": False}.get,
    int: lambda readable: int(readable, 0),
    float: float,
    bytes: lambda readable: b64decode(readable, validate=True),
    dt.date: dt.date.fromisoformat,
    dt.time: dt.time.fromisoformat,
    dt.datetime: dt.datetime.fromisoformat,
    dt.timedelta: _timedelta,
    Decimal: lambda readable: Decimal(str(readable)),
    UUID: UUID,
    complex: complex,
    tuple: tuple,
    frozenset: frozenset,
}
"""What makes a readable value one of a type; what does not say the same afterwards is not used."""


def _converted(example: Any, readable: Any, say: Callable[[Any], Any]) -> Any:
    """Return a readable value in the type of ``example``, if ``say`` gives it back then; else as it is."""
    convert = _BACK.get(type(example))
    if convert is None:
        return readable
    try:
        value = convert(readable)
        hash(value)
        said = say(value)
    except (ValueError, TypeError, ArithmeticError, AttributeError, UnsupportedValue):
        return readable
    if isinstance(said, list) and isinstance(value, frozenset) and isinstance(readable, list):
        # The order in which a person writes the elements does not matter.
        return value if identity(said) == identity(in_order(readable)) else readable
    return value if identity(said) == identity(readable) else readable


def _only_type(values: Iterable[Any]) -> Any:
    """Return one of the values if they all have the same type."""
    kinds = {type(value): value for value in values}
    return kinds.popitem()[1] if len(kinds) == 1 else _NO_EXAMPLE


_NO_EXAMPLE: Final = object()


def _frozen(value: Any) -> Any:
    """Return what a list in a file means as an element of a set."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _datetime(value: dt.datetime) -> dt.datetime | str:
    offset = value.utcoffset()
    if offset is None:
        return value.replace(tzinfo=None, fold=0)
    if offset % _MINUTE:
        return value.isoformat()
    return value.replace(tzinfo=dt.timezone(offset), fold=0)


def _time(value: dt.time) -> dt.time | str:
    return value.replace(fold=0) if value.tzinfo is None else value.isoformat()


def _number(value: Decimal) -> float | None:
    """Return the number that says a Decimal exactly, digits included, if there is one."""
    text = str(value)
    for kind in (int, float):
        try:
            number = kind(text)
        except (ValueError, OverflowError):
            continue
        if str(number) == text:
            return number
    return None
