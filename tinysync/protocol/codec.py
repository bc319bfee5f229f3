"""Frames: a msgpack array of the message's number and its fields.

Nothing is unpacked before its first byte has told that it is of the expected type, so that no nesting, no
extension type and no announced length can make the decoder do more than the frame is long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

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
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.protocol.limits import Limits

FRAME_OVERHEAD: Final = 64
"""Bytes that a frame of updates needs at most beside the document's name and the updates."""
UPDATE_OVERHEAD: Final = 5
"""Bytes that one update needs at most beside its content."""

_MAX_INTEGER: Final = 2**53
_MAX_CODE: Final = 64
_MAX_MAP: Final = 32

_INTEGER: Final = frozenset((*range(0x80), *range(0xCC, 0xD0)))
_TEXT: Final = frozenset((*range(0xA0, 0xC0), *range(0xD9, 0xDC)))
_BINARY: Final = frozenset(range(0xC4, 0xC7))
_NIL: Final = frozenset((0xC0,))


class _Reader:
    """Takes the fields of one frame in turn."""

    def __init__(self, frame: bytes, limits: Limits) -> None:
        self.limits = limits
        self._frame = frame
        # The buffer is as large as the frame from the start: the default is 1 MiB for every frame.
        self._unpacker = msgpack.Unpacker(
            read_size=min(len(frame) + 1, limits.max_frame), max_buffer_size=limits.max_frame
        )
        self._unpacker.feed(frame)
        self._size = len(frame)

    def _next_is(self, firsts: frozenset[int]) -> bool:
        position = self._unpacker.tell()
        return position < self._size and self._frame[position] in firsts

    def _take(self, firsts: frozenset[int], what: str) -> Any:
        unpacker = self._unpacker
        position = unpacker.tell()
        # As in _next_is, without a call.
        if position < self._size and self._frame[position] in firsts:
            return unpacker.unpack()
        raise ValueError(f"expected {what} at byte {position}")

    def integer(self) -> int:
        """Take an int from 0 to 2**53 - 1."""
        value: int = self._take(_INTEGER, "an unsigned int")
        if value >= _MAX_INTEGER:
            raise ValueError(f"the int {value} is too large")
        return value

    def text(self, longest: int, *, empty: bool = False) -> str:
        """Take a str of at most ``longest`` characters."""
        value: str = self._take(_TEXT, "a str")
        if len(value) > longest or not (value or empty):
            raise ValueError(f"a str has {len(value)} characters; 1 to {longest} are possible")
        return value

    def binary(self) -> bytes:
        """Take bytes."""
        value: bytes = self._take(_BINARY, "bytes")
        return value

    def binaries(self) -> list[bytes]:
        """Take an array of bytes."""
        return [self.binary() for _ in range(self.array())]

    def optional_text(self, longest: int) -> str | None:
        """Take a str or nil."""
        if self._next_is(_NIL):
            self._unpacker.skip()
            return None
        return self.text(longest)

    def integers_by_name(self) -> dict[str, int]:
        """Take a map from str to int."""
        size = self._unpacker.read_map_header()
        if size > _MAX_MAP:
            raise ValueError(f"a map has {size} entries; {_MAX_MAP} are possible")
        return {self.text(_MAX_CODE): self.integer() for _ in range(size)}

    def array(self) -> int:
        """Take an array's header: return how many elements follow."""
        size: int = self._unpacker.read_array_header()
        return size

    def finish(self) -> None:
        """Check that the frame has been read to its end."""
        rest = len(self._frame) - self._unpacker.tell()
        if rest:
            raise ValueError(f"{rest} bytes follow its end")


def _version(reader: _Reader) -> int:
    version = reader.integer()
    if version != VERSION:
        raise ProtocolError(
            f"the peer speaks version {version} of the protocol and this side version {VERSION}: "
            f"update the older of the two",
            Code.VERSION,
        )
    return version


def _document(reader: _Reader) -> str:
    return reader.text(reader.limits.max_document_name)


def _optional_document(reader: _Reader) -> str | None:
    return reader.optional_text(reader.limits.max_document_name)


def _device(reader: _Reader) -> str:
    return reader.text(reader.limits.max_device_name)


def _replica(reader: _Reader) -> str:
    return reader.text(reader.limits.max_device_name, empty=True)


def _text(reader: _Reader) -> str:
    return reader.text(reader.limits.max_text, empty=True)


def _code(reader: _Reader) -> str:
    return reader.text(_MAX_CODE)


_Field = tuple[str, "Callable[[_Reader], Any]"]

_LAYOUT: Final[dict[int, tuple[type[Message], tuple[_Field, ...]]]] = {
    1: (
        Hello,
        (
            ("version", _version),
            ("device", _device),
            ("name", _device),
            ("limits", _Reader.integers_by_name),
        ),
    ),
    2: (Open, (("document", _document), ("kind", _code), ("epoch", _Reader.integer), ("replica", _replica))),
    3: (Sync1, (("document", _document), ("state_vector", _Reader.binary))),
    4: (Sync2, (("document", _document), ("seq", _Reader.integer), ("updates", _Reader.binaries))),
    5: (Update, (("document", _document), ("seq", _Reader.integer), ("updates", _Reader.binaries))),
    6: (Ack, (("document", _document), ("seq", _Reader.integer))),
    7: (Awareness, (("document", _document), ("state", _Reader.binary))),
    8: (Error, (("code", _code), ("text", _text), ("document", _optional_document))),
    9: (Bye, (("reason", _text),)),
    10: (
        Digest,
        (
            ("document", _document),
            ("sent", _Reader.integer),
            ("received", _Reader.integer),
            ("digest", _Reader.binary),
        ),
    ),
    11: (Part, (("document", _document), ("left", _Reader.integer), ("updates", _Reader.binaries))),
    12: (Taken, (("document", _document), ("count", _Reader.integer))),
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
        return _decode(_Reader(frame, limits))
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolError(f"a frame is malformed: {error}", Code.MALFORMED) from error


def _decode(reader: _Reader) -> Message:
    size = reader.array() - 1
    number = reader.integer()
    if number not in _LAYOUT:
        raise ValueError(f"there is no message with the number {number}")
    message, fields = _LAYOUT[number]
    # The version is the first field of all: a hello of another version is told so whatever else it holds.
    result: Message = message(*[take(reader) for _, take in fields])
    if size != len(fields):
        raise ValueError(f"{message.__name__} has {size} fields instead of {len(fields)}")
    reader.finish()
    return result
