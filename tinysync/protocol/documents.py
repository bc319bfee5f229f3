"""The documents of one link: opened, refused and closed one by one, without harm to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import ProtocolError
from tinysync.model import NOT_KEPT
from tinysync.protocol.authors import AuthorsExchange
from tinysync.protocol.channel import Channel, ChannelState, Step, Terms
from tinysync.protocol.events import (
    Acknowledged,
    AuthorsLearned,
    AwarenessReceived,
    DigestReceived,
    DocumentClosed,
    DocumentOffered,
    DocumentOpened,
    DocumentRefused,
    Event,
    PartReceived,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.protocol.messages import (
    PASSING,
    Ack,
    Awareness,
    Code,
    Digest,
    Error,
    Message,
    Open,
    Part,
    Sync1,
    Sync2,
    Taken,
    Update,
    Wrote,
)
from tinysync.protocol.outflow import Budget, Outflow, UpdateTooLarge
from tinysync.protocol.presence import joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.model import DeviceId, DocumentId, Kind
    from tinysync.protocol.authors import KnownAuthors
    from tinysync.protocol.limits import Limits


class Documents:
    """What a session does for each document.

    Commands for a document that is not open do nothing: it may have been closed by the peer just now.
    """

    takes_pieces: Final = True
    """Whether a long diff is to be given in pieces."""

    def __init__(self, limits: Limits, events: list[Event]) -> None:
        self._limits = limits
        self._events = events
        self._peer: Limits | None = None
        """What the peer accepts; None as long as it has not said hello."""
        self._channels: dict[DocumentId, Channel] = {}
        self._budget = Budget(limits.max_queued)
        self._outbox: list[Message] = []
        """Messages that go before any updates."""
        self._active: dict[DocumentId, None] = {}
        """Documents that may have something else to send, the longest waiting first."""
        self._acknowledged: dict[DocumentId, None] = {}
        """Documents of which something is to be acknowledged."""
        self._long: dict[DocumentId, None] = {}
        """Documents that may have a part of a long diff to send, the longest waiting first."""
        self._lagging: dict[DocumentId, None] = {}
        """Documents that need a diff as soon as there is room, the longest waiting first."""
        self._diffs: set[DocumentId] = set()
        """Documents with a diff in the making."""

    # Commands from the application

    def offer(
        self,
        document: DocumentId,
        kind: Kind,
        epoch: int,
        replica: DeviceId = NOT_KEPT,
        authors: KnownAuthors | None = None,
    ) -> None:
        """Open a document as soon as the peer does. Leads to `DocumentOpened` or `DocumentRefused`.

        ``replica`` identifies the folder in which this side keeps it; by default it keeps nothing. ``authors`` are
        those that the peer is told of, and tells of.
        """
        channel = self._channels.setdefault(document, Channel(document))
        channel.ours = Terms(kind, epoch, replica)
        channel.known_authors = authors
        if channel.state in (ChannelState.IDLE, ChannelState.INVITED):
            self._open(channel)

    def withdraw(
        self, document: DocumentId, code: Code = Code.WITHDRAWN, text: str = "it is not shared any more"
    ) -> None:
        """Take a document back; the peer learns the reason. What is on its way for it is lost quietly."""
        channel = self._channels.get(document)
        if channel is None or channel.ours is None:
            return
        channel.ours = None
        if channel.state in (ChannelState.OFFERED, ChannelState.OPEN):
            self._close(channel, code, text)
        self._forget_if_unused(channel)

    def request_sync(self, document: DocumentId, state_vector: bytes) -> int:
        """Ask for all that the peer holds beyond ``state_vector``.

        Returns the request's number, counted from 1 since the document was opened; `UpdatesReceived` tells with
        it when it was answered. A request made while another is on its way waits for that one's answer; several
        that wait become one. Returns 0 if the document is not open.
        """
        channel = self._open_channel(document)
        if channel is None:
            return 0
        number, frame = channel.request(state_vector)
        if frame is not None:
            self._outbox.append(frame)
        return number

    def answer_sync(self, document: DocumentId, updates: list[bytes]) -> None:
        """Answer `SyncRequested` with what the document holds beyond the state vector."""
        channel = self._open_channel(document)
        if channel is None or channel.outflow is None:
            return
        try:
            channel.outflow.provide_diff(updates)
        except UpdateTooLarge as error:
            self._refuse_too_large(channel, error)
        else:
            self._long[document] = self._active[document] = None

    def send_updates(self, document: DocumentId, updates: list[bytes]) -> None:
        """Queue updates that the document already holds; those queued between two sends travel in one frame."""
        outflow = self._outflow(document)
        if outflow is None:
            return
        outflow.give(updates)
        self._active[document] = None
        while self._budget.used > self._budget.limit:
            flows = {name: channel.outflow for name, channel in self._channels.items() if channel.outflow}
            largest = max(flows, key=lambda name: flows[name].queued)
            self._make_up_for(largest, flows[largest])

    def _make_up_for(self, document: DocumentId, outflow: Outflow) -> None:
        """Have a diff sent instead of what is queued."""
        outflow.drop()
        self._lagging[document] = None

    def send_awareness(self, document: DocumentId, entries: dict[int, bytes]) -> None:
        """Tell passing states; a newer one of a client replaces one that was not sent yet."""
        channel = self._open_channel(document)
        if channel is not None:
            channel.awareness.update(entries)
            self._active[document] = None

    def tell_authors(self, document: DocumentId) -> None:
        """Tell the peer what there is to know of authors, soon; before what they wrote it is told it anyway."""
        channel = self._open_channel(document)
        if channel is not None:
            self._active[document] = None

    def in_step(self, document: DocumentId) -> tuple[int, int] | None:
        """Return the numbers of the last frames sent and received, if all of them are durable on both sides.

        None while something is to be sent, on its way or asked for. The peer's are the same, the other way round.
        """
        channel = self._open_channel(document)
        if channel is None or channel.outflow is None:
            return None
        sent, received = channel.outflow.settled, channel.settled
        return None if sent is None or received is None else (sent, received)

    def send_digest(self, document: DocumentId, counts: tuple[int, int], digest: bytes) -> None:
        """Tell the peer what the document held when ``in_step`` gave these counts, if it gives them still."""
        if self.in_step(document) == counts:
            self._outbox.append(Digest(document, *counts, digest))

    def acknowledge(self, document: DocumentId, seq: int) -> None:
        """Tell the peer that all it sent for the document up to ``seq`` is in the op log."""
        channel = self._open_channel(document)
        if channel is not None and channel.acknowledged_seq < seq <= channel.received_seq:
            channel.acknowledged_seq = seq
            self._acknowledged[document] = None

    def take(self, document: DocumentId, number: int) -> None:
        """Tell the peer that the parts up to ``number`` are in the document, and there is room for more."""
        channel = self._open_channel(document)
        if channel is not None and channel.taken_parts < number <= channel.received_parts:
            channel.taken_parts = number
            self._active[document] = None

    # What the application can know

    def offered(self) -> dict[DocumentId, str]:
        """Return the documents that only the peer offers, with their kinds."""
        invited = (channel for channel in self._channels.values() if channel.state is ChannelState.INVITED)
        return {channel.document: channel.theirs.kind for channel in invited if channel.theirs is not None}

    def sending(self, document: DocumentId) -> tuple[int, int] | None:
        """Return how much of a long diff the peer has taken, and how long it is, in bytes; None: there is none."""
        outflow = self._outflow(document)
        return None if outflow is None else outflow.sending

    def is_open(self, document: DocumentId) -> bool:
        """Tell whether both sides have opened the document."""
        return self._open_channel(document) is not None

    def given(self, document: DocumentId) -> int:
        """Return a mark for all that was sent so far to an open document, for `is_acknowledged`."""
        outflow = self._outflow(document)
        return 0 if outflow is None else outflow.given

    def is_acknowledged(self, document: DocumentId, mark: int) -> bool:
        """Tell whether all that was sent before ``mark`` is durable on the peer."""
        outflow = self._outflow(document)
        return outflow is not None and outflow.acknowledged >= mark

    # For the session

    def start(self, peer: Limits) -> None:
        """Open what was offered, now that the peer has told its limits."""
        self._peer = peer
        for channel in list(self._channels.values()):
            self._open(channel)

    def receive(self, message: Message) -> None:
        """Take in a message about one document."""
        _HANDLERS[type(message)](self, message)
        if len(self._outbox) > 4 * self._limits.max_documents + 16:
            raise ProtocolError("the peer sends, but does not read what it is sent", Code.TOO_MUCH)

    @property
    def has_more(self) -> bool:
        """Whether there is more to send at once."""
        return bool(self._outbox or self._active or self._long)

    @property
    def has_acks(self) -> bool:
        """Whether there is something to acknowledge, which can wait a moment to travel with what comes next."""
        return bool(self._acknowledged)

    def messages(self) -> list[Message]:
        """Take what can be sent now, but of long diffs one part: what is short need not wait for them."""
        messages = self._outbox
        # Whatever is closed on the way goes behind what was taken.
        self._outbox = []
        active, self._active, self._acknowledged = {**self._active, **self._acknowledged}, {}, {}
        for document in active:
            channel = self._open_channel(document)
            if channel is not None:
                messages.extend(self._messages_of(channel))
        messages.extend(self._outbox)
        self._outbox = []
        part = self._next_part()
        return messages if part is None else [*messages, part]

    def _next_part(self) -> Part | None:
        """Take a part of a long diff: documents that have one take turns."""
        for document in list(self._long):
            del self._long[document]
            outflow = self._outflow(document)
            part = None if outflow is None else outflow.next_part()
            if outflow is None or part is None:
                continue
            if outflow.has_part:
                self._long[document] = None
            if not part.left:
                self._active[document] = None
            return part
        return None

    @property
    def needs_diffs(self) -> bool:
        """Whether there is anything to do for `request_diffs`."""
        return bool(self._lagging or self._diffs)

    def request_diffs(self) -> None:
        """Ask the application for diffs that are needed, as many as there may be at once."""
        self._diffs = {document for document in self._diffs if self._awaits_diff(document)}
        for document in list(self._lagging):
            outflow = self._outflow(document)
            if outflow is not None and outflow.needs_diff():
                if len(self._diffs) >= self._limits.max_diffs:
                    return
                self._diffs.add(document)
                self._events.append(SyncRequested(document, outflow.request_diff()))
            if outflow is None or not outflow.lags:
                del self._lagging[document]

    # Opening and closing

    def _open(self, channel: Channel) -> None:
        """Send our half of opening a document, and agree on it if the peer has sent its half."""
        if self._peer is None:
            return
        opened = (ChannelState.OFFERED, ChannelState.OPEN, ChannelState.CLOSING)
        if sum(c.state in opened for c in self._channels.values()) >= self._peer.max_documents:
            channel.ours = None
            text = f"the peer takes {self._peer.max_documents} documents on one link"
            self._events.append(DocumentRefused(channel.document, Code.TOO_MUCH, text, channel.replica))
            self._forget_if_unused(channel)
            return
        self._outbox.append(channel.opening())
        if channel.step(Step.OFFER) is ChannelState.OPEN:
            self._agree(channel)

    def _agree(self, channel: Channel) -> None:
        """Start to exchange a document that both sides have offered, or refuse it."""
        assert self._peer is not None
        assert channel.theirs is not None
        conflict = channel.conflict()
        if conflict is not None:
            self._refuse(channel, *conflict)
            return
        window = min(self._limits.window, self._peer.window)
        limits = self._limits
        channel.outflow = Outflow(channel.document, window, self._peer.max_frame, limits.max_part, self._budget)
        if channel.known_authors is not None:
            most = min(limits.max_authors, self._peer.max_authors)
            channel.authors = AuthorsExchange(channel.document, channel.known_authors, most, self._peer.max_frame)
        self._events.append(DocumentOpened(channel.document, channel.theirs.replica))

    def _refuse(self, channel: Channel, code: Code, text: str, *, is_outdated: bool = False) -> None:
        channel.ours = None
        replica = channel.replica
        self._close(channel, code, text)
        self._events.append(DocumentRefused(channel.document, code, text, replica, is_outdated))

    def _close(self, channel: Channel, code: Code, text: str) -> None:
        channel.step(Step.WITHDRAW)
        channel.reset()
        self._outbox.append(Error(code, text[: self._limits.max_text], channel.document))

    def _forget_if_unused(self, channel: Channel) -> None:
        if channel.state is ChannelState.IDLE and channel.ours is None:
            del self._channels[channel.document]

    # What is open

    def _open_channel(self, document: DocumentId) -> Channel | None:
        channel = self._channels.get(document)
        return channel if channel is not None and channel.state is ChannelState.OPEN else None

    def _outflow(self, document: DocumentId) -> Outflow | None:
        channel = self._open_channel(document)
        return None if channel is None else channel.outflow

    def _awaits_diff(self, document: DocumentId) -> bool:
        outflow = self._outflow(document)
        return outflow is not None and outflow.awaits_diff

    def _messages_of(self, channel: Channel) -> list[Message]:
        messages: list[Message] = []
        assert channel.outflow is not None
        authors = channel.authors
        if authors is not None and authors.told != authors.known.count:
            messages.extend(authors.news())
        try:
            messages.extend(channel.outflow.messages())
        except UpdateTooLarge:
            # By now it may have been overwritten: a diff, which is made of what is there, tells.
            self._make_up_for(channel.document, channel.outflow)
        # What somebody waits for goes first, what only frees memory last.
        if channel.awareness:
            messages.append(Awareness(channel.document, joined(channel.awareness)))
            channel.awareness = {}
        count, seq = channel.take_taken(), channel.take_ack()
        if count is not None:
            messages.append(Taken(channel.document, count))
        if seq is not None:
            messages.append(Ack(channel.document, seq))
        return messages

    def _refuse_too_large(self, channel: Channel, error: UpdateTooLarge) -> None:
        assert self._peer is not None
        text = (
            f"a change takes {error.size:,} bytes, and its receiver accepts frames of {self._peer.max_frame:,}."
            " Make the value smaller, or give the receiver larger Limits(max_frame=...)"
        )
        self._refuse(channel, Code.TOO_LARGE, text, is_outdated=error.is_outdated)

    # Messages from the peer

    def _on_open(self, message: Open) -> None:
        channel = self._channels.setdefault(message.document, Channel(message.document))
        state = channel.step(Step.PEER_OPENS)
        if state is ChannelState.CLOSING:
            return
        channel.theirs = Terms(message.kind, message.epoch, message.replica)
        if sum(c.theirs is not None for c in self._channels.values()) > self._limits.max_documents:
            raise ProtocolError(f"the peer opened more than {self._limits.max_documents} documents", Code.TOO_MUCH)
        if state is ChannelState.OPEN:
            self._agree(channel)
        else:
            self._events.append(DocumentOffered(channel.document, message.kind, message.replica))

    def _channel_for(self, document: DocumentId) -> Channel | None:
        """Return the open channel that a message is for, or None if this side has just closed it."""
        channel = self._channels.get(document)
        if channel is not None and channel.state is ChannelState.OPEN:
            return channel
        if channel is not None and channel.state is ChannelState.CLOSING:
            return None
        raise ProtocolError(f"a message for {document!r}, which is not open", Code.NOT_OPEN)

    def _on_sync_1(self, message: Sync1) -> None:
        channel = self._channel_for(message.document)
        if channel is not None and channel.outflow is not None:
            channel.outflow.ask(message.state_vector)
            self._lagging[message.document] = None

    def _on_updates(self, message: Sync2 | Update) -> None:
        channel = self._channel_for(message.document)
        if channel is None:
            return
        channel.received(message.seq)
        answers = None
        if isinstance(message, Sync2):
            answers, following = channel.answered()
            if following is not None:
                self._outbox.append(following)
        self._events.append(UpdatesReceived(message.document, message.seq, message.updates, answers))

    def _on_part(self, message: Part) -> None:
        channel = self._channel_for(message.document)
        if channel is not None:
            channel.received_parts += 1
            number = channel.received_parts
            self._events.append(PartReceived(message.document, number, message.left, message.updates))

    def _on_taken(self, message: Taken) -> None:
        channel = self._channel_for(message.document)
        if channel is not None and channel.outflow is not None:
            channel.outflow.taken(message.count)
            self._long[message.document] = None

    def _on_ack(self, message: Ack) -> None:
        channel = self._channel_for(message.document)
        if channel is not None and channel.outflow is not None:
            channel.outflow.acknowledge(message.seq)
            if channel.outflow.queued:
                self._active[message.document] = None
            self._events.append(Acknowledged(message.document, message.seq))

    def _on_awareness(self, message: Awareness) -> None:
        if self._channel_for(message.document) is not None:
            self._events.append(AwarenessReceived(message.document, message.state))

    def _on_digest(self, message: Digest) -> None:
        if self._channel_for(message.document) is not None:
            self._events.append(
                DigestReceived(message.document, message.sent, message.received, message.digest),
            )

    def _on_wrote(self, message: Wrote) -> None:
        channel = self._channel_for(message.document)
        if channel is not None and channel.authors is not None and channel.authors.learn(message):
            self._events.append(AuthorsLearned(message.document))

    def _on_closed(self, message: Error) -> None:
        assert message.document is not None
        channel = self._channels.get(message.document)
        if channel is None:
            raise ProtocolError(f"{message.document!r} was closed without being open", Code.OUT_OF_ORDER)
        was_ours_to_close = channel.state is ChannelState.CLOSING
        is_whole = self.is_acknowledged(message.document, self.given(message.document))
        replica = channel.replica
        channel.step(Step.PEER_CLOSES)
        channel.reset()
        if not was_ours_to_close:
            self._outbox.append(Error(Code.WITHDRAWN, "closed in return", channel.document))
            self._report_closed(channel, message, replica, is_whole=is_whole)
        if channel.ours is not None:
            self._open(channel)
        self._forget_if_unused(channel)

    def _report_closed(self, channel: Channel, message: Error, replica: DeviceId, *, is_whole: bool) -> None:
        if channel.ours is None:
            return
        if message.code in PASSING:
            self._events.append(DocumentClosed(channel.document, message.code, message.text, is_whole))
        else:
            channel.ours = None
            self._events.append(DocumentRefused(channel.document, message.code, message.text, replica))


_HANDLERS: Final[dict[type[Message], Callable[[Documents, Any], None]]] = {
    Open: Documents._on_open,
    Sync1: Documents._on_sync_1,
    Sync2: Documents._on_updates,
    Update: Documents._on_updates,
    Part: Documents._on_part,
    Taken: Documents._on_taken,
    Ack: Documents._on_ack,
    Awareness: Documents._on_awareness,
    Digest: Documents._on_digest,
    Wrote: Documents._on_wrote,
    Error: Documents._on_closed,
}
