"""The messages of y-websocket, as npm's ``y-protocols`` (sync.js, awareness.js, auth.js) writes them.

A message is its type, and for sync messages the step, both as LEB128; then one array of bytes behind its length.
Nothing but the lengths is looked at here: what is inside is checked where that of peers is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tinysync.crdt.numbers import write_varint
from tinysync.errors import ProtocolError
from tinysync.protocol.messages import Code
from tinysync.protocol.numbers import read_number

if TYPE_CHECKING:
    from tinysync.protocol.limits import Limits

_SYNC, _AWARENESS, _AUTH, _QUERY_AWARENESS = range(4)
_STEP_1, _STEP_2, _UPDATE = range(3)
_DENIED: Final = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """Sync step 1: the sender wants what is beyond this state vector."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Sync step 2: what was asked for, as one update."""

    update: bytes


@dataclass(frozen=True, slots=True)
class Edit:
    """An update that nobody asked for."""

    update: bytes


@dataclass(frozen=True, slots=True)
class Present:
    """Passing states of clients."""

    states: bytes


@dataclass(frozen=True, slots=True)
class AskPresent:
    """The sender wants all passing states."""


@dataclass(frozen=True, slots=True)
class Denied:
    """Why the sender does not go on; clients show it in the browser's console."""

    reason: str


Message = Ask | Answer | Edit | Present | AskPresent
"""What clients send."""

_STEPS: Final[dict[int, type[Ask | Answer | Edit]]] = {_STEP_1: Ask, _STEP_2: Answer, _UPDATE: Edit}


def decode(frame: bytes, limits: Limits) -> Message:
    """Return the message in a frame. Raises ProtocolError for anything but exactly one whole message."""
    if len(frame) > limits.max_frame:
        raise ProtocolError(
            f"a message has {len(frame)} bytes; at most {limits.max_frame} are accepted", Code.TOO_LARGE
        )
    try:
        return _decode(frame)
    except ValueError as error:
        raise ProtocolError(f"a message is malformed: {error}", Code.MALFORMED) from error


def _decode(frame: bytes) -> Message:
    kind, position = read_number(frame, 0, _QUERY_AWARENESS + 1)
    if kind == _SYNC:
        step, position = read_number(frame, position, _UPDATE + 1)
        return _STEPS[step](_rest(frame, position))
    if kind == _AWARENESS:
        return Present(_rest(frame, position))
    if kind == _AUTH:
        raise ValueError("a client has nothing to deny")
    if position != len(frame):
        raise ValueError("there are bytes behind its end")
    return AskPresent()


def _rest(frame: bytes, position: int) -> bytes:
    """Return the array of bytes that a frame ends with."""
    size, position = read_number(frame, position, len(frame) + 1)
    if position + size != len(frame):
        raise ValueError(f"{size} bytes are announced, and {len(frame) - position} are there")
    return frame[position:]


def encode(message: Ask | Answer | Edit | Present | Denied) -> bytes:
    """Return the frame that carries a message."""
    match message:
        case Ask(content):
            head = bytes([_SYNC, _STEP_1])
        case Answer(content):
            head = bytes([_SYNC, _STEP_2])
        case Edit(content):
            head = bytes([_SYNC, _UPDATE])
        case Present(content):
            head = bytes([_AWARENESS])
        case Denied(reason):
            head, content = bytes([_AUTH, _DENIED]), reason.encode()
    return head + write_varint(len(content)) + content
