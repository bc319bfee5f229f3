"""The state machine of one link; both sides run the same one."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from tinysync.errors import ProtocolError
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.documents import Documents
from tinysync.protocol.events import Event, HelloReceived, PeerErred, PeerLeft
from tinysync.protocol.limits import MIN_FRAME, Limits
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
    from tinysync.model import DeviceId

_TOLD_LIMITS: Final = ("max_frame", "max_documents", "window", "max_authors")


class LinkState(Enum):
    """How far a link has got."""

    GREETING = auto()
    READY = auto()
    CLOSED = auto()


TRANSITIONS: Final[dict[LinkState, dict[type[Message], LinkState]]] = {
    LinkState.GREETING: {
        Hello: LinkState.READY,
        Error: LinkState.CLOSED,
        Bye: LinkState.CLOSED,
    },
    LinkState.READY: {
        Open: LinkState.READY,
        Sync1: LinkState.READY,
        Sync2: LinkState.READY,
        Update: LinkState.READY,
        Part: LinkState.READY,
        Taken: LinkState.READY,
        Ack: LinkState.READY,
        Awareness: LinkState.READY,
        Digest: LinkState.READY,
        Wrote: LinkState.READY,
        Error: LinkState.READY,
        Bye: LinkState.CLOSED,
    },
    LinkState.CLOSED: {},
}
"""What is accepted when. An `Error` about no document in particular closes the link in every state."""


class Session:
    """One end of a link: frames in, events and frames out; ``documents`` takes the commands for each document.

    Its memory is bounded: of what the peer is too slow to take only a note is kept, and it is made up for by a
    diff (`SyncRequested`) once the peer has caught up.
    """

    def __init__(self, device: DeviceId, device_name: str, limits: Limits | None = None) -> None:
        self.state = LinkState.GREETING
        self._device = device
        self.limits = limits or Limits()
        """What this side accepts."""
        self._events: list[Event] = []
        self.documents = Documents(self.limits, self._events)
        told = {name: getattr(self.limits, name) for name in _TOLD_LIMITS}
        self._outbox: list[Message] = [Hello(VERSION, device, device_name[: self.limits.max_device_name], told)]

    def receive(self, frame: bytes) -> list[Event]:
        """Take in a frame; return what happened since events were taken last.

        Raises `ProtocolError` if the peer broke the rules: the session is closed then, and the last frame to send
        tells the peer why.
        """
        try:
            self._process(frame)
        except ProtocolError as error:
            self.fail(Code(error.code), str(error))
            raise
        return self.events()

    def events(self) -> list[Event]:
        """Return what happened since the last call; to be called after commands and `frames_to_send` too."""
        if self.documents.needs_diffs and self.state is LinkState.READY:
            self.documents.request_diffs()
        events = self._events.copy()
        self._events.clear()
        return events

    def frames_to_send(self) -> list[bytes]:
        """Take the frames that can be sent now, in order."""
        messages, self._outbox = self._outbox, []
        if self.state is LinkState.READY:
            messages.extend(self.documents.messages())
        return [encode(message) for message in messages]

    @property
    def has_more(self) -> bool:
        """Whether there are more frames that can be sent now: long diffs are given out piece by piece."""
        return self.state is LinkState.READY and self.documents.has_more

    @property
    def has_acks(self) -> bool:
        """Whether there is something to acknowledge, which can wait a moment to travel with what comes next."""
        return self.state is LinkState.READY and self.documents.has_acks

    def close(self, reason: str) -> None:
        """Say goodbye behind what can be sent now."""
        while self.has_more or self.has_acks:
            self._outbox.extend(self.documents.messages())
        self._shut(Bye(reason[: self.limits.max_text]))

    def fail(self, code: Code, text: str) -> None:
        """Close the link because of what the peer sent, and tell it why."""
        self._shut(Error(code, text[: self.limits.max_text], None))

    def _shut(self, last: Message) -> None:
        if self.state is not LinkState.CLOSED:
            self.state = LinkState.CLOSED
            self._outbox.append(last)

    def _process(self, frame: bytes) -> None:
        if self.state is LinkState.CLOSED:
            raise ProtocolError("a frame came after the link was closed", Code.OUT_OF_ORDER)
        if self.state is LinkState.GREETING and len(frame) > self.limits.max_first_frame:
            raise ProtocolError(f"a first frame of {len(frame)} bytes", Code.TOO_LARGE)
        message = decode(frame, self.limits)
        following = TRANSITIONS[self.state].get(type(message))
        if following is None:
            name, state = type(message).__name__.lower(), self.state.name.lower()
            raise ProtocolError(f"{name!r} came while the link was {state}", Code.OUT_OF_ORDER)
        match message:
            case Hello():
                peer = self._check(message)
                self.state = following
                self._events.append(HelloReceived(message.device, message.name))
                self.documents.start(peer)
            case Bye(reason):
                self.state = following
                self._events.append(PeerLeft(reason))
            case Error(code, text, None):
                self.state = LinkState.CLOSED
                self._events.append(PeerErred(code, text))
            case _:
                self.documents.receive(message)

    def _check(self, hello: Hello) -> Limits:
        """Return the limits that the peer has told, if it can be served."""
        if hello.device == self._device:
            raise ProtocolError("the link leads back to the peer that made it", Code.SAME_DEVICE)
        untold = {name: getattr(self.limits, name) for name in _TOLD_LIMITS} | {"max_authors": 0}
        peer = Limits(**{name: hello.limits.get(name, limit) for name, limit in untold.items()})
        if peer.max_frame < MIN_FRAME:
            raise ProtocolError(
                f"the peer accepts frames of {peer.max_frame} bytes; at least {MIN_FRAME} are needed",
                Code.MALFORMED,
            )
        return peer
