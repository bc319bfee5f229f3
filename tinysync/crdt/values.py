"""What a tracked structure can hold, and how it stands in the document: the value codec.

A *cell* is what the engine stores. Values that the engine gives back as they went in (None, bool, str, int
within +-2**53, non-integral float) are their own cell; everything else is a msgpack-encoded bytes cell whose
extension types are listed in ``Ext``. The encoding is canonical, type-exact and part of the document format.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn
from uuid import UUID

import msgpack

from tinysync.errors import BadUpdate, InvalidValue, UnsupportedValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.model import Kind

    Canonical = Callable[..., Any]

MAX_DEPTH: Final = 100
"""Most containers inside one another, the root included."""

MAX_NATURAL_INT: Final = 2**53
MAX_GENERATION: Final = 2**53
KINDS: Final[tuple[Kind, ...]] = ("dict", "list", "set")


class Ext(IntEnum):
    """The msgpack extension types of a cell."""

    BIG_INT = 1
    TUPLE = 2
    FROZENSET = 3
    DATE = 4
    TIME = 5
    DATETIME = 6
    TIMEDELTA = 7
    DECIMAL = 8
    UUID = 9
    COMPLEX = 10
    KEYED = 16
    REFERENCE = 17
    TOMBSTONE = 18
    AT = 19
    CANONICAL = 20


class Reference(NamedTuple):
    """A cell that shows a container; with its place it gives the container's node id."""

    kind: Kind
    nonce: int | bytes


class At(NamedTuple):
    """A list position: the element with this identity shows here, unless a later one says otherwise."""

    identity: tuple[int, int]
    stamp: tuple[int, int]


class Keyed(NamedTuple):
    """A dict cell that keeps its key as it was typed."""

    key: Any
    value: Any


class _Tombstone:
    __slots__ = ()

    def __repr__(self) -> str:
        return "TOMBSTONE"


TOMBSTONE: Final = _Tombstone()
"""The chosen cell of an entry that was deleted although a lower layer has one."""

SCALAR_TYPES: Final = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        str,
        bytes,
        tuple,
        frozenset,
        dt.date,
        dt.time,
        dt.datetime,
        dt.timedelta,
        Decimal,
        UUID,
        complex,
    },
)


def is_scalar_type(kind: type) -> bool:
    """Tell whether values of exactly this type may be scalars; a tuple may still hold others."""
    return kind in SCALAR_TYPES


def check_scalar(value: Any) -> None:
    """Raise UnsupportedValue or InvalidValue unless the document can hold the value."""
    encode(value)


# --- values -----------------------------------------------------------------------------------------------


def encode(value: Any) -> Any:
    """Return the cell of a scalar; raises UnsupportedValue or InvalidValue."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _checked_text(value)
    if kind is bool or value is None:
        return value
    if kind is int and -MAX_NATURAL_INT <= value <= MAX_NATURAL_INT:
        return value
    if kind is float and not value.is_integer() and math.isfinite(value):
        return value
    return pack(value)


def pack(value: Any) -> bytes:
    """Return the canonical, type-exact bytes of a scalar; raises UnsupportedValue or InvalidValue."""
    return pack_raw(_packable(value, 0))


def packable(value: Any) -> Any:
    """Return what msgpack writes for a scalar; raises UnsupportedValue or InvalidValue."""
    return _packable(value, 0)


def encode_reference(reference: Reference) -> bytes:
    """Return the cell that shows a container."""
    return pack_raw(packable_reference(reference))


def packable_reference(reference: Reference) -> Any:
    """Return what msgpack writes for a reference."""
    return msgpack.ExtType(Ext.REFERENCE, pack_raw([KINDS.index(reference.kind), reference.nonce]))


def encode_at(at: At) -> bytes:
    """Return the list position for an element that was moved."""
    return pack_raw(packable_at(at))


def packable_at(at: At) -> Any:
    """Return what msgpack writes for a list position."""
    return msgpack.ExtType(Ext.AT, pack_raw([*at.identity, *at.stamp]))


def encode_keyed(key: Any, cell: Any) -> bytes:
    """Return the cell of an entry whose key must be kept as it was typed."""
    inner = cell if isinstance(cell, bytes) else pack_raw(cell)
    return pack_raw(msgpack.ExtType(Ext.KEYED, pack_raw([pack(key), inner])))


def pack_raw(value: Any) -> bytes:
    """Return the bytes of what msgpack takes."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


TOMBSTONE_CELL: Final = pack_raw(msgpack.ExtType(Ext.TOMBSTONE, b""))


def _checked_text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        message = f"the text {value[:40]!r} has a lone surrogate at {error.start}; it cannot be stored as UTF-8"
        raise InvalidValue(message) from None
    return value


_AS_IT_IS: Final = frozenset({bool, float, bytes, msgpack.ExtType})


def _packable(value: Any, depth: int) -> Any:
    kind = type(value)
    if value is None or kind in _AS_IT_IS:
        return value
    if kind is str:
        return _checked_text(value)
    if kind is int:
        if -(2**63) <= value < 2**64:
            return value
        return msgpack.ExtType(Ext.BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if kind is tuple or kind is frozenset:
        if depth >= MAX_DEPTH:
            raise InvalidValue(f"a {kind.__name__} is nested more than {MAX_DEPTH} deep")
        items = [_packable(item, depth + 1) for item in value]
        if kind is tuple:
            return msgpack.ExtType(Ext.TUPLE, pack_raw(items))
        return msgpack.ExtType(Ext.FROZENSET, pack_raw(sorted(items, key=pack_raw)))
    packer = _PACKERS.get(kind)
    if packer is None:
        raise UnsupportedValue(_unsupported(value))
    return packer(value)


def _unsupported(value: Any) -> str:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    base = next((b for b in kind.__mro__[1:] if b in SCALAR_TYPES), None)
    if base is not None and base is not type(None):
        return f"a value of type {name} cannot be held; convert it with {base.__name__}(...)"
    if isinstance(value, (dict, list, set)):
        return f"a {name} cannot be inside a tuple or frozenset, or be a key; these hold immutable values only"
    if isinstance(value, (bytearray, memoryview)):
        return f"a value of type {name} cannot be held; convert it with bytes(...)"
    return f"a value of type {name} cannot be held: neither a dict, list or set nor a plain value"


def _pack_time(value: dt.time) -> msgpack.ExtType:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise InvalidValue(f"the time zone of {value!r} gives no offset without a date; use a datetime")
    return msgpack.ExtType(Ext.TIME, value.isoformat().encode())


_PACKERS: Final[dict[type, Any]] = {
    dt.date: lambda v: msgpack.ExtType(Ext.DATE, v.isoformat().encode()),
    dt.time: _pack_time,
    dt.datetime: lambda v: msgpack.ExtType(Ext.DATETIME, v.isoformat().encode()),
    dt.timedelta: lambda v: msgpack.ExtType(Ext.TIMEDELTA, pack_raw([v.days, v.seconds, v.microseconds])),
    Decimal: lambda v: msgpack.ExtType(Ext.DECIMAL, str(v).encode()),
    UUID: lambda v: msgpack.ExtType(Ext.UUID, v.bytes),
    complex: lambda v: msgpack.ExtType(Ext.COMPLEX, pack_raw([v.real, v.imag])),
}


# --- and back ---------------------------------------------------------------------------------------------


def decode(cell: Any) -> Any:
    """Return what a cell from the engine means: a scalar, Reference, At, Keyed or TOMBSTONE.

    Raises BadUpdate for bytes that are no cell of this format.
    """
    kind = type(cell)
    if kind is float:
        return int(cell) if cell.is_integer() else cell
    if kind is bytearray or kind is bytes:
        return unpack(bytes(cell))
    return cell


def unpack(packed: bytes, canonical: Canonical | None = None) -> Any:
    """Return what packed bytes mean; raises BadUpdate if they are not of this format.

    ``canonical`` makes a part of a key of what stands in a key's text for all that are equal to it.
    """
    return _unpack(packed, 0, canonical=canonical)


def _unpack(packed: bytes, depth: int, *, canonical: Canonical | None = None, arrays: int = 0) -> Any:
    """Return the one value in packed bytes, which may hold so many arrays, and no maps.

    What has no place in a cell is refused as soon as it is met: a byte for an empty map takes 64 in memory.
    """
    if depth > MAX_DEPTH + 2:
        raise BadUpdate("a cell nests too deep")

    def list_hook(items: list[Any]) -> list[Any]:
        nonlocal arrays
        arrays -= 1
        if arrays < 0:
            raise BadUpdate("a cell with an array where none belongs")
        return items

    def map_hook(_: object) -> NoReturn:
        raise BadUpdate("a cell with a map")

    def ext_hook(code: int, data: bytes) -> Any:
        if code == Ext.CANONICAL and canonical is not None:
            return canonical(*_unpack(data, depth + 1, arrays=1))
        return _from_ext(code, data, depth, canonical)

    try:
        return msgpack.unpackb(
            packed,
            ext_hook=ext_hook,
            list_hook=list_hook,
            object_pairs_hook=map_hook,
            strict_map_key=False,
            use_list=True,
        )
    except BadUpdate:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise BadUpdate(f"bytes that are no cell of this format: {error}") from error


def _from_ext(code: int, data: bytes, depth: int, canonical: Canonical | None = None) -> Any:  # noqa: C901, PLR0911, PLR0912
    match code:
        case Ext.BIG_INT:
            return int.from_bytes(data, "big", signed=True)
        case Ext.TUPLE:
            return tuple(_scalars(data, depth, canonical))
        case Ext.FROZENSET:
            return frozenset(_scalars(data, depth, canonical))
        case Ext.DATE:
            return dt.date.fromisoformat(data.decode())
        case Ext.TIME:
            return dt.time.fromisoformat(data.decode())
        case Ext.DATETIME:
            return dt.datetime.fromisoformat(data.decode())
        case Ext.TIMEDELTA:
            days, seconds, microseconds = _unpack(data, depth + 1, arrays=1)
            return dt.timedelta(days, seconds, microseconds)
        case Ext.DECIMAL:
            return Decimal(data.decode())
        case Ext.UUID:
            return UUID(bytes=data)
        case Ext.COMPLEX:
            real, imaginary = _unpack(data, depth + 1, arrays=1)
            return complex(real, imaginary)
        case Ext.KEYED:
            key, value = _unpack(data, depth + 1, arrays=1)
            return Keyed(_unpack(key, depth + 1), _unpack(value, depth + 1))
        case Ext.REFERENCE:
            kind, nonce = _unpack(data, depth + 1, arrays=1)
            is_generation = type(nonce) is int and 0 <= nonce <= MAX_GENERATION
            if kind not in range(len(KINDS)) or not (is_generation or type(nonce) is bytes):
                raise BadUpdate("a reference of a strange kind or with a strange nonce")
            return Reference(KINDS[kind], nonce)
        case Ext.TOMBSTONE:
            return TOMBSTONE
        case Ext.AT:
            client, clock, time, device = map(int, _unpack(data, depth + 1, arrays=1))
            return At((client, clock), (time, device))
    raise BadUpdate(f"a cell of unknown type {code}")


def from_ext(code: int, data: bytes) -> Any:
    """Return what a msgpack extension of a cell stands for; raises BadUpdate if it is none."""
    return _from_ext(code, data, 0)


def scalar_from_ext(code: int, data: bytes) -> Any:
    """Return the scalar that a msgpack extension of ``packable`` stands for; raises BadUpdate if it is none."""
    value = _from_ext(code, data, 0)
    if type(value) not in SCALAR_TYPES:
        raise BadUpdate(f"a value of type {code}, which is no scalar")
    return value


def _scalars(data: bytes, depth: int, canonical: Canonical | None) -> list[Any]:
    items: list[Any] = _unpack(data, depth + 1, canonical=canonical, arrays=1)
    if any(type(item) not in SCALAR_TYPES and type(item) is not Fraction for item in items):
        raise BadUpdate("a tuple or frozenset that holds no plain values")
    return items
