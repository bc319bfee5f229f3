"""One document on one link: who has opened it, and what has come in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from tinysync.errors import ProtocolError
from tinysync.model import NOT_KEPT
from tinysync.protocol.messages import Code, Open, Sync1

if TYPE_CHECKING:
    from tinysync.model import DeviceId, DocumentId
    from tinysync.protocol.authors import AuthorsExchange, KnownAuthors
    from tinysync.protocol.outflow import Outflow


class ChannelState(Enum):
    """Which sides have opened the document."""

    IDLE = auto()
    OFFERED = auto()
    """By this side only."""
    INVITED = auto()
    """By the peer only."""
    OPEN = auto()
    CLOSING = auto()
    """Closed by this side; what is still on its way from the peer is ignored until it answers."""


class Step(Enum):
    """What changes the state of a channel."""

    OFFER = auto()
    WITHDRAW = auto()
    PEER_OPENS = auto()
    PEER_CLOSES = auto()


TRANSITIONS: Final[dict[ChannelState, dict[Step, ChannelState]]] = {
    ChannelState.IDLE: {
        Step.OFFER: ChannelState.OFFERED,
        Step.PEER_OPENS: ChannelState.INVITED,
    },
    ChannelState.OFFERED: {
        Step.WITHDRAW: ChannelState.CLOSING,
        Step.PEER_OPENS: ChannelState.OPEN,
        Step.PEER_CLOSES: ChannelState.IDLE,
    },
    ChannelState.INVITED: {
        Step.OFFER: ChannelState.OPEN,
        Step.PEER_CLOSES: ChannelState.IDLE,
    },
    ChannelState.OPEN: {
        Step.WITHDRAW: ChannelState.CLOSING,
        Step.PEER_CLOSES: ChannelState.IDLE,
    },
    ChannelState.CLOSING: {
        Step.PEER_OPENS: ChannelState.CLOSING,
        Step.PEER_CLOSES: ChannelState.IDLE,
    },
}
"""Steps that are missing from a state are violations of the protocol."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How one side offers a document."""

    kind: str
    epoch: int
    replica: DeviceId
    """Who offers it; that is nothing to agree on."""


class Channel:
    """The state of a document on a link.

    ``ours`` is set while this side offers it, ``theirs`` while the peer does, ``outflow`` while both do.
    """

    def __init__(self, document: DocumentId) -> None:
        self.document = document
        self.state = ChannelState.IDLE
        self.ours: Terms | None = None
        self.theirs: Terms | None = None
        self.outflow: Outflow | None = None
        self.known_authors: KnownAuthors | None = None
        """What this side knows of who wrote the document."""
        self.authors: AuthorsExchange | None = None
        """What both sides have told of that, while both offer the document."""
        self.awareness: dict[int, bytes] = {}
        """Passing states that wait to be sent, by client."""
        self.received_seq = 0
        self.acknowledged_seq = 0
        """Up to where this side may acknowledge."""
        self.received_parts = 0
        self.taken_parts = 0
        """How many of them there is no need to keep in mind any more."""
        self._sent_ack = 0
        self._sent_taken = 0
        self._requested = 0
        self._answered = 0
        self._next_request: bytes | None = None

    @property
    def replica(self) -> DeviceId:
        """Identifies the folder in which the peer keeps the document, if it offers it and keeps it."""
        return NOT_KEPT if self.theirs is None else self.theirs.replica

    def step(self, step: Step) -> ChannelState:
        """Change the state as the table says; return the new one."""
        try:
            self.state = TRANSITIONS[self.state][step]
        except KeyError:
            raise ProtocolError(
                f"{self.document!r} is {self.state.name.lower()}: the peer cannot {_VERB[step]} it now",
                Code.OUT_OF_ORDER,
            ) from None
        return self.state

    def conflict(self) -> tuple[Code, str] | None:
        """Return why the two sides cannot share the document."""
        assert self.ours is not None
        assert self.theirs is not None
        if self.ours.kind != self.theirs.kind:
            return Code.KIND, f"it is a {self.ours.kind} here and a {self.theirs.kind} there"
        if self.ours.epoch != self.theirs.epoch:
            return Code.EPOCH, f"it is of epoch {self.ours.epoch} here and of epoch {self.theirs.epoch} there"
        return None

    def opening(self) -> Open:
        """Return the frame that offers the document."""
        assert self.ours is not None
        return Open(self.document, self.ours.kind, self.ours.epoch, self.ours.replica)

    def reset(self) -> None:
        """Forget what was exchanged, because the document is not open any more."""
        if self.outflow is not None:
            self.outflow.discard()
        self.theirs = self.outflow = self.authors = self._next_request = None
        self.awareness = {}
        self.received_seq = self.acknowledged_seq = self._sent_ack = 0
        self.received_parts = self.taken_parts = self._sent_taken = 0
        self._requested = self._answered = 0

    def request(self, state_vector: bytes) -> tuple[int, Sync1 | None]:
        """Return the number of the request that will be sent for this, and its frame if it can be sent now.

        One request is on its way at a time; those made meanwhile become one.
        """
        if self._requested > self._answered:
            self._next_request = state_vector
            return self._requested + 1, None
        self._requested += 1
        return self._requested, Sync1(self.document, state_vector)

    def answered(self) -> tuple[int, Sync1 | None]:
        """Take in an answer: return the number of its request, and the next request's frame if one waits."""
        if self._requested == self._answered:
            raise ProtocolError(f"an answer for {self.document!r} that was not asked for", Code.OUT_OF_ORDER)
        self._answered = number = self._requested
        waiting, self._next_request = self._next_request, None
        return number, None if waiting is None else self.request(waiting)[1]

    def received(self, seq: int) -> None:
        """Check the number of a frame of updates."""
        if seq != self.received_seq + 1:
            raise ProtocolError(
                f"frame {seq} of {self.document!r} came after frame {self.received_seq}", Code.OUT_OF_ORDER
            )
        self.received_seq = seq

    @property
    def settled(self) -> int | None:
        """The number of the last frame that came, if it was acknowledged and nothing was asked for since."""
        settled = self._sent_ack == self.received_seq and self._requested == self._answered
        return self.received_seq if settled else None

    def take_taken(self) -> int | None:
        """Return the number of parts to tell as taken, if it is a new one."""
        if self.taken_parts == self._sent_taken:
            return None
        self._sent_taken = self.taken_parts
        return self._sent_taken

    def take_ack(self) -> int | None:
        """Return the number to acknowledge, if it is a new one."""
        if self.acknowledged_seq == self._sent_ack:
            return None
        self._sent_ack = self.acknowledged_seq
        return self._sent_ack


_VERB: Final = {
    Step.OFFER: "be offered",
    Step.WITHDRAW: "withdraw",
    Step.PEER_OPENS: "open",
    Step.PEER_CLOSES: "close",
}
