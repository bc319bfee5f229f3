"""One document on one link, as long as both sides have it open."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from tinysync.errors import BadUpdate
from tinysync.model import Delivered, DeviceId, Outcome
from tinysync.peer import comparing, confirming
from tinysync.protocol.events import PartReceived, UpdatesReceived
from tinysync.status import Coverage, Progress
from tinysync.transport.eventloop import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tinysync.model import DocumentId
    from tinysync.peer.shared import SharedDocument
    from tinysync.peer.turns import Turns
    from tinysync.protocol.documents import Documents
    from tinysync.protocol.yjs import YjsRoom


class Owner(comparing.Owner, confirming.Owner, Protocol):
    """What an open document needs of its connection."""

    waiting_bytes: int

    def pump(self) -> None:
        """Send what the session has to send."""

    def pass_on(self, name: DocumentId, updates: list[bytes]) -> None:
        """Send updates on all other links."""

    def progressed(self, document: SharedDocument) -> None:
        """Remember what the peer said to hold, and how much of it has come."""

    def delivered(self) -> None:
        """Note that updates are in the op log, or that there is room for more."""

    def refuse(self, error: BadUpdate) -> None:
        """Close the link because of what came over it."""

    def give_up(self, opened: OpenDocument, error: Exception) -> None:
        """Close this document on the link because this side failed."""


PARTS: Final = 128 * 1024
"""Bytes of parts of a long diff that are delivered in one go: the others come meanwhile."""
LARGE: Final = 64 * 1024
"""Bytes of an update that is cut into portions in another thread."""


@dataclass(slots=True)
class _Delivery:
    """Updates on their way into the document."""

    batch: list[UpdatesReceived | PartReceived]
    """Parts of a long diff, or what else came; never both."""
    portions: deque[list[bytes]] = field(default_factory=deque)
    """Those that are still to be delivered."""
    is_diff: bool = False
    """Whether they are, or are a part of, what the peer held when it was asked."""
    is_parked: bool = False
    """Whether some are parked until others arrive."""
    is_over: bool = False


class OpenDocument:
    """Brings what arrives into the document, one delivery at a time, and answers what the peer asks.

    What arrives during a delivery waits and is delivered together. All methods are called in the loop.
    """

    def __init__(
        self,
        document: SharedDocument,
        device: DeviceId,
        documents: Documents | YjsRoom,
        owner: Owner,
        *,
        replica: DeviceId,
        turns: Turns,
    ) -> None:
        self.document = document
        self.replica = replica
        """Identifies the folder in which the peer keeps it; empty: it keeps nothing."""
        self.is_copy = False
        """Whether that is a copy of this device's own."""
        self.answered = 0
        """The number of the last request of which the answer is in the op log."""
        self.steps = 0
        """Counts what comes and what is delivered of it."""
        self.waiting_bytes = 0
        """How much waits for a delivery to end; answers, which were asked for, do not count."""
        self.comparison = comparing.Comparison(document, documents, owner)
        self.confirmation = confirming.Confirmation(document, documents, owner)
        self._device = device
        self._documents = documents
        self._owner = owner
        self.receiving: Progress | None = None
        """How much of a long diff is in the op log, while it comes."""
        self.told: Coverage | None = None
        """What the peer said to hold in its op log when it asked last; None: it has not asked yet."""
        self._waiting: deque[UpdatesReceived | PartReceived] = deque()
        self._busy = False
        self.all_delivered = asyncio.Event()
        """Set while nothing that has arrived is still on its way into the document."""
        self.all_delivered.set()
        self._delivering = False
        self._incomplete = False
        """Whether updates are parked until a diff brings their predecessors; they are not acknowledged before."""
        self._turns = turns
        self._is_its_turn = False
        """Whether the peer may be asked."""
        self._requested = 0
        """The number of the last request."""
        self._asks_again = False
        """Whether another request is to be made as soon as that one is answered."""
        self._part_is_parked = False
        """Whether some of a long diff is parked until others arrive."""
        self._closed = False

    @property
    def is_kept_elsewhere(self) -> bool:
        """Whether the peer keeps it on disk, and in another folder than this device."""
        return bool(self.replica) and self.replica != self.document.replica

    async def see_whether_copied(self, peer: DeviceId) -> None:
        """Find out whether a folder with the id of this device's own is a copy; then it is known by another id."""
        self.is_copy = await in_thread(self.document.is_copied_by, peer)
        if self.is_copy:
            self.replica = DeviceId(f"{self.replica}@{self._device}")

    @property
    def has_all(self) -> bool:
        """Whether what the peer held when it was asked is here."""
        return self.answered > 0 and not self._incomplete

    @property
    def waiting(self) -> int:
        """How many frames wait for a delivery to end."""
        return len(self._waiting)

    def close(self, *, deliver_rest: bool) -> None:
        """Note that the document is not open on this link any more; what has arrived can still be delivered."""
        self._closed = True
        self._turns.over(self)
        self.comparison.close()
        self.confirmation.close()
        if not deliver_rest:
            self._waiting.clear()
            self._count(-self.waiting_bytes)

    # --- requests ------------------------------------------------------------------------------------------

    def sync(self) -> int:
        """Ask for what this device lacks; returns the request's number.

        While another is on its way this one waits, so that it need not ask for what that one brings; so does the
        first one, while another device is asked.
        """
        if not self._is_its_turn:
            return self._requested + 1
        if self._requested > self.answered:
            self._asks_again = True
            return self._requested + 1
        self._requested += 1
        self._begin(self._request)
        return self._requested

    def take_turn(self) -> None:
        """Ask for what this device lacks, as it is this peer's turn to be asked."""
        self._is_its_turn = True
        self.sync()

    async def _request(self) -> None:
        state_vector = await in_thread(self.document.state_vector)
        if not self._closed:
            self._documents.request_sync(self.document.name, state_vector)
            self._owner.pump()

    def answer(self, state_vector: bytes) -> None:
        """Send what a replica with this state vector lacks."""
        self._begin(partial(self._answer, state_vector))

    async def _answer(self, state_vector: bytes) -> None:
        def look() -> tuple[Coverage, list[bytes]]:
            told = self.document.told(state_vector)
            return told, self.document.diff(state_vector, self._documents.takes_pieces)

        self.told, updates = await in_thread(look)
        if not self._closed:
            self._documents.answer_sync(self.document.name, updates)
            self._owner.pump()
            # Nothing else may happen for a while that would tell of it.
            self._owner.progressed(self.document)

    def _begin(self, work: Callable[[], Awaitable[object]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not take the link with it
                self._failed(error)

        self._owner.begin(guarded())

    def _failed(self, error: Exception) -> None:
        if self._closed:
            return
        if isinstance(error, BadUpdate):
            self._owner.refuse(error)
        else:
            self._owner.give_up(self, error)

    # --- deliveries ----------------------------------------------------------------------------------------

    def arrived(self, event: UpdatesReceived | PartReceived) -> None:
        """Deliver updates, now or after those that came before them."""
        self.steps += 1
        self._waiting.append(event)
        self._count(_size(event))
        self._deliver()

    def _count(self, size: int) -> None:
        self.waiting_bytes += size
        self._owner.waiting_bytes += size

    def _deliver(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        while self._waiting and not self._busy:
            delivery = _Delivery(self._take())
            self._busy = True
            self.all_delivered.clear()
            transactions = [event.updates for event in delivery.batch if _is_live(event)]
            diff = [update for event in delivery.batch if not _is_live(event) for update in event.updates]
            delivery.is_diff = bool(diff)
            cut = partial(self.document.portions, transactions, diff)
            if any(len(update) > LARGE for event in delivery.batch for update in event.updates):
                cutting = self._owner.loop.run_in_executor(None, cut)
                cutting.add_done_callback(partial(self._was_cut, delivery))
            else:
                self._start(delivery, cut)
        self._delivering = False

    def _was_cut(self, delivery: _Delivery, cutting: asyncio.Future[list[list[bytes]]]) -> None:
        self._start(delivery, cutting.result)

    def _start(self, delivery: _Delivery, cut: Callable[[], list[list[bytes]]]) -> None:
        """Begin a delivery with its first portion."""
        try:
            delivery.portions.extend(cut())
        except BadUpdate as error:
            self._end(delivery, Delivered(Outcome.FAILED, error))
            return
        if delivery.portions:
            self._go_on(delivery)
        else:
            self._end(delivery, Delivered(Outcome.DUPLICATE))

    def _take(self) -> list[UpdatesReceived | PartReceived]:
        """Take what waits, up to the answer of a request: that one settles all before it. Of parts take some."""
        are_parts = isinstance(self._waiting[0], PartReceived)
        batch: list[UpdatesReceived | PartReceived] = []
        size = 0
        while self._waiting and isinstance(self._waiting[0], PartReceived) is are_parts and size < PARTS:
            event = self._waiting.popleft()
            self._count(-_size(event))
            batch.append(event)
            if isinstance(event, UpdatesReceived) and event.answers is not None:
                break
            size += _bytes(event) if are_parts else 0
        return batch

    def _go_on(self, delivery: _Delivery) -> None:
        """Deliver the next portion."""
        if delivery.is_over:
            return
        portion = delivery.portions.popleft()
        known: list[Delivered] = []
        is_here = True

        def is_at_once() -> bool:
            return is_here and asyncio._get_running_loop() is self._owner.loop

        def done(delivered: Delivered) -> None:
            if is_at_once():
                known.append(delivered)
            else:
                self._later(self._note, delivery, portion, delivered)

        def ended() -> None:
            # Not earlier: whoever is at it now would have to go on with the next portion, too.
            if not is_at_once():
                self._later(self._go_on, delivery)

        self.document.deliver(portion, self._device, done, ended, is_diff=delivery.is_diff)
        is_here = False
        if known:
            self._note(delivery, portion, known[0])
            if not delivery.is_over:
                # Others want their turn.
                self._owner.loop.call_soon(self._go_on, delivery)

    def _later(self, call: Callable[..., None], *arguments: object) -> None:
        # Nobody is there to hear of it once the loop is closed.
        with contextlib.suppress(RuntimeError):
            self._owner.loop.call_soon_threadsafe(call, *arguments)

    def _note(self, delivery: _Delivery, portion: list[bytes], delivered: Delivered) -> None:
        """Note what became of a portion."""
        self.steps += 1
        is_parked = delivered.outcome is Outcome.PENDING
        if delivered.outcome is Outcome.APPLIED or (is_parked and delivered.new):
            # Also if this link has closed the document meanwhile: the others do not have them yet.
            self._owner.pass_on(self.document.name, portion)
        delivery.is_parked |= is_parked
        self._part_is_parked |= is_parked and isinstance(delivery.batch[0], PartReceived)
        if delivered.outcome is Outcome.FAILED or not delivery.portions:
            self._end(delivery, delivered)

    def _end(self, delivery: _Delivery, delivered: Delivered) -> None:
        delivery.is_over = True
        self._busy = False
        self._finish(delivery, delivered)
        if not self._delivering:
            self._deliver()
            self._owner.pump()
        if not self._busy:
            self.all_delivered.set()

    def _finish(self, delivery: _Delivery, delivered: Delivered) -> None:
        """Tell the peer what became of a delivery."""
        if delivered.outcome is Outcome.FAILED:
            assert delivered.error is not None
            self._failed(delivered.error)
            return
        if self._closed:
            return
        batch = delivery.batch
        last = batch[-1]
        if isinstance(last, PartReceived):
            self._note_parts(batch, last)
            return
        is_parked = delivery.is_parked or self._part_is_parked
        self._part_is_parked = False
        if last.answers is not None:
            # The peer has sent all it holds: what is parked still is parked there, too.
            self._incomplete = False
            self.answered = last.answers
            self._owner.progressed(self.document)
            self._turns.over(self)
            if self._asks_again:
                self._asks_again = False
                self.sync()
        elif is_parked and not self._incomplete:
            self._incomplete = True
            self.sync()
        if not self._incomplete:
            self._documents.acknowledge(self.document.name, last.seq)
            self.comparison.stir()
            self.confirmation.stir()
        self._owner.delivered()

    def _note_parts(self, batch: list[UpdatesReceived | PartReceived], last: PartReceived) -> None:
        """Note that parts of a long diff are in the op log, and have more of it sent."""
        done = sum(map(_bytes, batch)) + (self.receiving.done if self.receiving is not None else 0)
        self.receiving = Progress(done, done + last.left) if last.left else None
        self._documents.take(self.document.name, last.number)
        self.confirmation.stir()
        self._owner.progressed(self.document)
        self._owner.delivered()


def _is_live(event: UpdatesReceived | PartReceived) -> bool:
    """Tell whether updates come as they were made, and not because they were missed."""
    return isinstance(event, UpdatesReceived) and event.answers is None


def _bytes(event: UpdatesReceived | PartReceived) -> int:
    return sum(map(len, event.updates))


def _size(event: UpdatesReceived | PartReceived) -> int:
    """Return what an event that waits counts."""
    return 0 if isinstance(event, UpdatesReceived) and event.answers is not None else _bytes(event)
