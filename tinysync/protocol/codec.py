"""Frames: a msgpack array of the message's number and its fields.

What is small is unpacked in one go. Of what is large nothing is unpacked before its first byte has told of
which type it is, so that no nesting, no extension type and no announced length can make the decoder do more than
the frame is long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

from tinysync.crdt.ids import SEED_CLIENTS
from tinysync.errors import ProtocolError
from tinysync.protocol.messages import (
    VERSION,
    Ack,
    Awareness,
    Bye,
    Code,
    Digest,
    Error,
    Hello,
    Message,
    Open,
    Part,
    Sync1,
    Sync2,
    Taken,
    Update,
    Wrote,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.protocol.limits import Limits

FRAME_OVERHEAD: Final = 64
"""Bytes that a frame of updates needs at most beside the document's name and the updates."""
UPDATE_OVERHEAD: Final = 5
"""Bytes that one update needs at most beside its content."""

_SMALL: Final = 512
"""Bytes of a frame that may nest and announce what it likes: that cannot be much."""
_MAX_INTEGER: Final = 2**53
_MAX_CODE: Final = 64
_MAX_MAP: Final = 32
_MAX_FIELDS: Final = 16

_ARRAY: Final = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
_MAP: Final = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))
_FLAT: Final = frozenset(
    (*range(0x80), *range(0xA0, 0xC1), *range(0xC4, 0xC7), *range(0xCC, 0xD0), *range(0xD9, 0xDC))
)
"""The first bytes of unsigned ints, str, bytes and nil."""


class _Reader:
    """Takes the fields of a large frame in turn."""

    def __init__(self, frame: bytes, limits: Limits) -> None:
        self._frame = frame
        self._size = len(frame)
        # The buffer is as large as the frame from the start: the default is 1 MiB for every frame.
        self._unpacker = msgpack.Unpacker(
            read_size=min(self._size + 1, limits.max_frame), max_buffer_size=limits.max_frame
        )
        self._unpacker.feed(frame)

    def fields(self) -> list[Any]:
        """Take them all; raises ValueError if there is anything else."""
        fields = [self._field() for _ in range(self._header(_MAX_FIELDS))]
        rest = self._size - self._unpacker.tell()
        if rest:
            raise ValueError(f"{rest} bytes follow its end")
        return fields

    def _header(self, most: int) -> int:
        """Take an array's header: return how many elements follow."""
        size: int = self._unpacker.read_array_header()
        if size > most:
            raise ValueError(f"an array has {size} elements; {most} are possible")
        return size

    def _field(self) -> Any:
        if self._next_is(_ARRAY):
            return [self._flat() for _ in range(self._header(self._size))]
        if self._next_is(_MAP):
            size = self._unpacker.read_map_header()
            if size > _MAX_MAP:
                raise ValueError(f"a map has {size} entries; {_MAX_MAP} are possible")
            return {self._flat(): self._flat() for _ in range(size)}
        return self._flat()

    def _flat(self) -> Any:
        if not self._next_is(_FLAT):
            raise ValueError(f"what is at byte {self._unpacker.tell()} has no place there")
        return self._unpacker.unpack()

    def _next_is(self, firsts: frozenset[int]) -> bool:
        position = self._unpacker.tell()
        return position < self._size and self._frame[position] in firsts


# What checks a field returns it, or raises ValueError.


def _integer(value: Any, _: Limits) -> int:
    if type(value) is int and 0 <= value < _MAX_INTEGER:
        return value
    raise ValueError("no int from 0 to 2**53 - 1")


def _binary(value: Any, _: Limits) -> bytes:
    if type(value) is bytes:
        return value
    raise ValueError("no bytes")


def _binaries(value: Any, _: Limits) -> list[bytes]:
    if type(value) is list and set(map(type, value)) <= {bytes}:
        return value
    raise ValueError("no array of bytes")


def _clients(value: Any, limits: Limits) -> list[int]:
    if type(value) is not list or len(value) > limits.max_authors:
        raise ValueError(f"no array of up to {limits.max_authors} client ids")
    if value and not (set(map(type, value)) == {int} and min(value) >= 0 and max(value) < SEED_CLIENTS):
        raise ValueError("client ids of sessions are ints from 0 to 2**52 - 1")
    return value


def _string(value: Any, longest: int, least: int = 1) -> str:
    if type(value) is str and least <= len(value) <= longest:
        return value
    raise ValueError(f"no str of {least} to {longest} characters")


def _version(value: Any, limits: Limits) -> int:
    version = _integer(value, limits)
    if version != VERSION:
        raise ProtocolError(
            f"the peer speaks version {version} of the protocol and this side version {VERSION}: "
            f"update the older of the two",
            Code.VERSION,
        )
    return version


def _document(value: Any, limits: Limits) -> str:
    return _string(value, limits.max_document_name)


def _optional_document(value: Any, limits: Limits) -> str | None:
    return None if value is None else _document(value, limits)


def _device(value: Any, limits: Limits) -> str:
    return _string(value, limits.max_device_name)


def _replica(value: Any, limits: Limits) -> str:
    return _string(value, limits.max_device_name, 0)


def _text(value: Any, limits: Limits) -> str:
    return _string(value, limits.max_text, 0)


def _code(value: Any, _: Limits) -> str:
    return _string(value, _MAX_CODE)


def _integers_by_name(value: Any, limits: Limits) -> dict[str, int]:
    if type(value) is dict and len(value) <= _MAX_MAP:
        return {_code(name, limits): _integer(number, limits) for name, number in value.items()}
    raise ValueError(f"no map of up to {_MAX_MAP} entries")


_Field = tuple[str, "Callable[[Any, Limits], Any]"]

_LAYOUT: Final[dict[int, tuple[type[Message], tuple[_Field, ...]]]] = {
    1: (
        Hello,
        (
            ("version", _version),
            ("device", _device),
            ("name", _device),
            ("limits", _integers_by_name),
        ),
    ),
    2: (Open, (("document", _document), ("kind", _code), ("epoch", _integer), ("replica", _replica))),
    3: (Sync1, (("document", _document), ("state_vector", _binary))),
    4: (Sync2, (("document", _document), ("seq", _integer), ("updates", _binaries))),
    5: (Update, (("document", _document), ("seq", _integer), ("updates", _binaries))),
    6: (Ack, (("document", _document), ("seq", _integer))),
    7: (Awareness, (("document", _document), ("state", _binary))),
    8: (Error, (("code", _code), ("text", _text), ("document", _optional_document))),
    9: (Bye, (("reason", _text),)),
    10: (
        Digest,
        (
            ("document", _document),
            ("sent", _integer),
            ("received", _integer),
            ("digest", _binary),
        ),
    ),
    11: (Part, (("document", _document), ("left", _integer), ("updates", _binaries))),
    12: (Taken, (("document", _document), ("count", _integer))),
    13: (
        Wrote,
        (
            ("document", _document),
            ("replica", _replica),
            ("name", _device),
            ("clients", _clients),
        ),
    ),
}
_NUMBER: Final = {message: number for number, (message, _) in _LAYOUT.items()}
_NAMES: Final = {message: tuple(name for name, _ in fields) for message, fields in _LAYOUT.values()}


def encode(message: Message) -> bytes:
    """Return the frame that carries ``message``."""
    kind = type(message)
    frame: bytes = msgpack.packb([_NUMBER[kind], *[getattr(message, name) for name in _NAMES[kind]]])
    return frame


def decode(frame: bytes, limits: Limits) -> Message:
    """Return the message in ``frame``. Raises `ProtocolError` for anything but exactly one whole message."""
    if len(frame) > limits.max_frame:
        raise ProtocolError(
            f"a frame has {len(frame)} bytes; at most {limits.max_frame} are accepted", Code.TOO_LARGE
        )
    try:
        return _message(_unpacked(frame, limits), limits)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"a frame is malformed: {error}", Code.MALFORMED) from error


def _unpacked(frame: bytes, limits: Limits) -> list[Any]:
    if len(frame) > _SMALL:
        return _Reader(frame, limits).fields()
    fields = msgpack.unpackb(frame)
    if type(fields) is not list:
        raise ValueError("it is no array")
    return fields


def _message(fields: list[Any], limits: Limits) -> Message:
    number = fields[0] if fields else None
    if type(number) is not int or number not in _LAYOUT:
        raise ValueError(f"there is no message with the number {number!r:.20}")
    message, checks = _LAYOUT[number]
    # The version is the first field of all: a hello of another version is told so whatever else it holds.
    taken = [check(value, limits) for (_, check), value in zip(checks, fields[1:], strict=False)]
    if len(fields) != len(checks) + 1:
        raise ValueError(f"{message.__name__} has {len(fields) - 1} fields instead of {len(checks)}")
    result: Message = message(*taken)
    return result
