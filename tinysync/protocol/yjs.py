"""The link to a Yjs client, which has one document: y-websocket's protocol instead of ours.

It is driven like `Session` and tells the same events, so that what a client sends goes the way of what peers send:
checked, parked, in portions, with back-pressure. What is different: a client acknowledges nothing, so it is never
known what it keeps; and when it is too slow to take what is queued for it, a diff takes its place.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from tinysync.errors import ProtocolError
from tinysync.model import NOT_KEPT, DeviceId
from tinysync.protocol.events import (
    AwarenessReceived,
    DocumentOpened,
    Event,
    HelloReceived,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.protocol.messages import PASSING, Code
from tinysync.protocol.presence import joined
from tinysync.protocol.session import LinkState
from tinysync.protocol.yjs_codec import Answer, Ask, AskPresent, Denied, Edit, Present, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.model import DocumentId, Kind
    from tinysync.protocol.authors import KnownAuthors
    from tinysync.protocol.limits import Limits

CLIENT: Final = "a Yjs client"
"""What its device is called."""
_UPDATE_COST: Final = 64
"""What a queued update costs beside its bytes."""


class YjsRoom:
    """What a client and this side have exchanged of the one document that they share: `Documents` for Yjs."""

    takes_pieces: Final = False
    """Whether a long diff is to be given in pieces: they know of none."""

    def __init__(self, document: DocumentId, limits: Limits, events: list[Event]) -> None:
        self.document = document
        self.end: tuple[Code, str] | None = None
        """Why this side has taken the document back."""
        self._limits = limits
        self._events = events
        self._vector: bytes | None = None
        """What the client had when it asked last."""
        self._asked = False
        """Whether it asked since the last diff was begun."""
        self._is_behind = True
        """Whether it needs a diff, because updates were not kept for it."""
        self._lacks_parked = False
        """Whether updates were left out of the last diff, because they build on what is not here yet."""
        self._awaits_diff = False
        self._answers = False
        """Whether the diff that is being made answers the client."""
        self._diff: Answer | Edit | None = None
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._awareness: dict[int, bytes] = {}
        self._sign_of_life = False
        self._requested = 0
        self._answered = 0
        self._question: bytes | None = None
        """The state vector to ask with next."""
        self._asks = False
        """Whether a question is on its way."""
        self._received = 0

    # Commands from the application, as those of `Documents`

    def offer(
        self,
        document: DocumentId,
        kind: Kind,
        epoch: int,
        replica: DeviceId = NOT_KEPT,
        authors: KnownAuthors | None = None,
    ) -> None:
        """Do nothing: the client has named the document already, and knows nothing of the rest."""

    def withdraw(
        self, document: DocumentId, code: Code = Code.WITHDRAWN, text: str = "it is not shared any more"
    ) -> None:
        """Take the document back; that ends the link, and the client tries again by itself."""
        if document == self.document:
            self.end = code, text

    def request_sync(self, document: DocumentId, state_vector: bytes) -> int:
        """Ask for all that the client holds beyond a state vector; return the number of the request."""
        if document != self.document:
            return 0
        if self._question is None:
            self._requested += 1
        self._question = state_vector
        return self._requested

    def answer_sync(self, document: DocumentId, updates: list[bytes]) -> None:
        """Answer SyncRequested: the first update is what the document holds, the others are parked.

        Those are kept back until they fit in: a client that holds parked ones writes updates with gaps.
        """
        if document == self.document and self._awaits_diff:
            self._awaits_diff = False
            first, *parked = updates
            self._lacks_parked = bool(parked)
            self._diff = Answer(first) if self._answers else Edit(first)

    def send_updates(self, document: DocumentId, updates: list[bytes]) -> None:
        """Queue updates behind all that was sent before, or if there are too many a diff instead."""
        if document != self.document or self._is_behind:
            return
        self._queue.extend(updates)
        self._queued += sum(map(len, updates)) + _UPDATE_COST * len(updates)
        if self._queued > self._limits.max_queued or self._lacks_parked:
            self._queue.clear()
            self._queued = 0
            self._is_behind = True

    def send_awareness(self, document: DocumentId, entries: dict[int, bytes]) -> None:
        """Tell passing states; a newer one of a client replaces one that was not sent yet."""
        if document == self.document:
            self._awareness.update(entries)

    def tell_authors(self, document: DocumentId) -> None:
        """Do nothing: clients neither tell nor are told who wrote what."""

    def acknowledge(self, document: DocumentId, seq: int) -> None:
        """Do nothing: clients do not ask whether anything was kept."""

    def take(self, document: DocumentId, number: int) -> None:
        """Do nothing: clients send no long diffs in pieces."""

    def sending(self, document: DocumentId) -> tuple[int, int] | None:  # noqa: ARG002 - as Documents
        """Return None: it is not known what a client has taken."""
        return None

    def in_step(self, document: DocumentId) -> tuple[int, int] | None:  # noqa: ARG002 - as Documents
        """Return None: nothing is known."""
        return None

    def send_digest(self, document: DocumentId, counts: tuple[int, int], digest: bytes) -> None:
        """Do nothing: clients know of no digests."""

    def given(self, document: DocumentId) -> int:  # noqa: ARG002 - as Documents
        """Return 0: what is not acknowledged is not counted."""
        return 0

    def is_acknowledged(self, document: DocumentId, mark: int) -> bool:  # noqa: ARG002 - as Documents
        """Return False: clients acknowledge nothing."""
        return False

    def offered(self) -> dict[DocumentId, str]:
        """Return nothing: clients bring no documents, they name one that is here."""
        return {}

    # For the session

    def receive(self, message: Ask | Answer | Edit | Present | AskPresent) -> None:
        """Take in a message."""
        match message:
            case Ask(state_vector):
                self._vector, self._asked = state_vector, True
            case Answer(update) if self._asks:
                self._asks = False
                self._answered += 1
                self._note(update, self._answered)
            case Answer(update) | Edit(update):
                self._note(update, None)
            case Present(states):
                self._events.append(AwarenessReceived(self.document, states))
                # y-websocket takes a server for dead that has not sent anything for 30 s. What it is sure of is
                # that its own state comes back, every 15 s.
                self._sign_of_life = True
            case AskPresent():
                # All states that are known were told at the beginning, and all changes since.
                self._sign_of_life = True

    def _note(self, update: bytes, answers: int | None) -> None:
        self._received += 1
        self._events.append(UpdatesReceived(self.document, self._received, [update], answers))

    def request_diff(self) -> None:
        """Ask the application for a diff, if the client needs one and none is being made."""
        if self._vector is None or self._awaits_diff or self._diff is not None:
            return
        if self._asked or self._is_behind:
            self._awaits_diff = True
            self._answers = self._asked
            self._asked = self._is_behind = False
            self._events.append(SyncRequested(self.document, self._vector))

    def messages(self) -> Iterator[Ask | Answer | Edit | Present]:
        """Yield what can be sent now."""
        if self._diff is not None:
            diff, self._diff = self._diff, None
            yield diff
        if not self._awaits_diff:  # else what is queued builds on the diff
            while self._queue:
                yield Edit(self._queue.popleft())
            self._queued = 0
        # Behind the answer: what the client knows already it need not send.
        if self._question is not None and not (self._asks or self._asked or self._awaits_diff):
            question, self._question = self._question, None
            self._asks = True
            yield Ask(question)
        if self._awareness or self._sign_of_life:
            states, self._awareness, self._sign_of_life = self._awareness, {}, False
            yield Present(joined(states))


class YjsSession:
    """One end of a link to a Yjs client: `Session` for Yjs."""

    def __init__(self, document: DocumentId, limits: Limits) -> None:
        self.limits = limits
        self._state = LinkState.GREETING
        self._events: list[Event] = []
        self.documents = YjsRoom(document, limits, self._events)
        self.denial = ""
        """What the client has done that it is not served any more."""
        self._last_words: list[bytes] = []

    has_more: Final = False
    """Whether there are more frames that can be sent now."""
    has_acks: Final = False
    """Whether there is something to acknowledge: this protocol has no acknowledgements."""

    @property
    def state(self) -> LinkState:
        """How far the link has got; a client greets with its first message, whatever that is."""
        if self.documents.end is not None:
            self.fail(*self.documents.end)
        return self._state

    def receive(self, frame: bytes) -> list[Event]:
        """Take in a frame; return what happened since events were taken last. Raises ProtocolError."""
        try:
            if self.state is LinkState.CLOSED:
                raise ProtocolError("a message came after the link was closed", Code.OUT_OF_ORDER)  # noqa: TRY301
            message = decode(frame, self.limits)
        except ProtocolError as error:
            self.fail(Code(error.code), str(error))
            raise
        if self._state is LinkState.GREETING:
            self._state = LinkState.READY
            self._events.append(HelloReceived(DeviceId(""), CLIENT))
            self._events.append(DocumentOpened(self.documents.document, NOT_KEPT))
        self.documents.receive(message)
        return self.events()

    def events(self) -> list[Event]:
        """Return what happened since the last call."""
        events = self._events.copy()
        self._events.clear()
        return events

    def frames_to_send(self) -> list[bytes]:
        """Take the frames that can be sent now, in order; to be called only while there is room for more."""
        if self.state is LinkState.CLOSED:
            frames, self._last_words = self._last_words, []
            return frames
        frames = [encode(message) for message in self.documents.messages()]
        self.documents.request_diff()
        return frames

    def close(self, reason: str) -> None:  # noqa: ARG002 - as that of Session
        """End the link behind what can be sent now; there is no word for why."""
        if self.state is not LinkState.CLOSED:
            self._last_words = [encode(message) for message in self.documents.messages()]
            self._state = LinkState.CLOSED

    def fail(self, code: Code, text: str) -> None:
        """End the link because of what the client sent, or because of this side, and tell it why."""
        if self._state is not LinkState.CLOSED:
            reason = f"{text[: self.limits.max_text]} ({code})"
            self.denial = "" if code in PASSING else reason
            self._last_words = [encode(Denied(reason))]
            self._state = LinkState.CLOSED
