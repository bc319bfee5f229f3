"""One link of a peer, from the first frame to the last."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinysync.errors import BadUpdate, KindMismatch, LinkClosed, PeerError, PeerRefused, ProtocolError
from tinysync.model import Delivered, DeviceId, DocumentId, Outcome
from tinysync.protocol.events import (
    Acknowledged,
    DocumentClosed,
    DocumentOpened,
    DocumentRefused,
    Event,
    HelloReceived,
    PeerErred,
    PeerLeft,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.protocol.messages import Code
from tinysync.protocol.session import LinkState, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from tinysync.peer.shared import SharedDocument
    from tinysync.transport.link import Link

logger = logging.getLogger("tinysync")


@dataclass(slots=True)
class Inflow:
    """What comes in for one document: deliveries are made one after the other.

    The queue is bounded by what the peer may have on its way without an acknowledgement.
    """

    waiting: deque[UpdatesReceived] = field(default_factory=deque)
    busy: bool = False
    incomplete: bool = False
    """Updates are parked because others are missing; nothing is acknowledged until a diff brought them."""
    answered: int = 0
    """The number of the last sync request whose answer is in the op log."""


class Connection:
    """Drives a session over a link; all in the event loop of the peer.

    ``documents`` are those that the peer shares, ``pass_on`` is called with updates that were new here, and
    ``changed`` after anything that somebody may be waiting for.
    """

    def __init__(
        self,
        link: Link,
        session: Session,
        documents: dict[DocumentId, SharedDocument],
        pass_on: Callable[[Connection, DocumentId, list[bytes]], None],
        changed: Callable[[], None],
    ) -> None:
        self.session = session
        self.device: DeviceId | None = None
        self.device_name = ""
        self.refusals: dict[DocumentId, PeerError | KindMismatch] = {}
        self._link = link
        self._documents = documents
        self._pass_on = pass_on
        self._changed = changed
        self._inflows: dict[DocumentId, Inflow] = {}
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._sending = False
        self.sent = asyncio.Event()
        """Set when the session is closed and all was sent, or the link is down."""
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_ready(self) -> bool:
        """Whether both sides have introduced themselves."""
        return self.session.state is LinkState.READY

    async def run(self) -> None:
        """Exchange frames until the link is down or closed; raises LinkClosed or ProtocolError."""
        for document in self._documents.values():
            self.offer(document)
        writer = asyncio.ensure_future(self._write())
        try:
            while True:
                events = self.session.receive(await self._link.receive())
                self._handle_all(events)
                # In the next turn of the loop, behind what callbacks have published in this one.
                self._loop.call_soon(self.pump)
        except (LinkClosed, ProtocolError):
            self.pump()
            raise
        finally:
            await self._finish(writer)

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """Send the last word, then close the link."""
        self.session.close("the link is closed")
        self.pump()
        try:
            await asyncio.wait({writer}, timeout=1)
        finally:
            for task in (writer, *self._tasks):
                task.cancel()
            await asyncio.gather(writer, *self._tasks, return_exceptions=True)
            await self._link.close()
            self._changed()

    async def _write(self) -> None:
        try:
            while self._outbox or self.session.state is not LinkState.CLOSED:
                if not self._outbox:
                    await self._wake.wait()
                self._wake.clear()
                self.pump()
                self._sending = True
                while self._outbox:
                    await self._link.send(self._outbox.popleft())
                self._sending = False
        except LinkClosed:
            pass  # the reader learns it too, and says so
        finally:
            self.sent.set()

    def pump(self) -> None:
        """Take from the session what can be sent, unless the link has enough to do."""
        if len(self._outbox) < 4 or self.session.state is LinkState.CLOSED:
            self._outbox.extend(self.session.frames_to_send())
            self._handle_all(self.session.events())
        if not self._sending:
            # Without a detour over the writer: that would take one more turn of the loop.
            while self._outbox and self._link.send_now(self._outbox[0]):
                self._outbox.popleft()
        if self._outbox or self.session.state is LinkState.CLOSED:
            self._wake.set()

    def wake(self) -> None:
        """Have the writer look for something to send."""
        self._wake.set()

    def say_goodbye(self, reason: str) -> None:
        """Close the session in good order; the link closes when the peer has read it, or after a moment."""
        self.session.close(reason)
        self.pump()

    # --- documents -----------------------------------------------------------------------------------------

    def offer(self, document: SharedDocument) -> None:
        """Share a document on this link."""
        self.session.documents.offer(document.name, document.kind, document.epoch)
        self.pump()

    def withdraw(self, name: DocumentId) -> None:
        """Send what can be sent of a document, and share it no more."""
        self.pump()
        self.session.documents.withdraw(name)
        self._inflows.pop(name, None)
        self.refusals.pop(name, None)
        self.pump()

    def answered(self, name: DocumentId) -> int:
        """Return the number of the last sync request of which the answer is in the op log."""
        inflow = self._inflows.get(name)
        return 0 if inflow is None else inflow.answered

    async def request_sync(self, name: DocumentId) -> int:
        """Ask for what this device lacks; returns the request's number, 0 if the document is not open."""
        document = self._documents.get(name)
        if document is None:
            return 0
        state_vector = await asyncio.to_thread(document.state_vector)
        number = self.session.documents.request_sync(name, state_vector)
        self.pump()
        return number

    # --- events --------------------------------------------------------------------------------------------

    def _handle_all(self, events: list[Event]) -> None:
        for event in events:
            self._handle(event)
        if events:
            self._changed()

    def _handle(self, event: Event) -> None:
        match event:
            case HelloReceived(device, name):
                self.device, self.device_name = device, name
            case DocumentOpened(name):
                self.refusals.pop(name, None)
                self._inflows[name] = Inflow()
                self._begin(self._sync(name))
            case DocumentClosed(name, _, _):
                self._inflows.pop(name, None)
            case DocumentRefused(name, code, text):
                self._inflows.pop(name, None)
                self._note_refusal(name, code, text)
            case SyncRequested(name, state_vector):
                self._begin(self._answer(name, state_vector))
            case UpdatesReceived(name, _, _, _):
                inflow = self._inflows.get(name)
                if inflow is not None:
                    inflow.waiting.append(event)
                    self._deliver_next(name, inflow)
            case PeerErred(_, text):
                raise LinkClosed(f"{self.device_name or 'the peer'} closed the link: {text}")
            case PeerLeft(reason):
                raise LinkClosed(f"{self.device_name or 'the peer'} left: {reason}")
            case Acknowledged():
                pass

    def _note_refusal(self, name: DocumentId, code: str, text: str) -> None:
        peer = self.device_name or "the peer"
        message = f"{name!r} cannot be shared with {peer}: {text}"
        self.refusals[name] = KindMismatch(message) if code == Code.KIND else PeerRefused(message)
        logger.warning("%s", message)

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        async def guarded() -> None:
            try:
                await work
            except ProtocolError as error:
                logger.warning("Closing the link to %s: %s", self.device_name, error)
            except BadUpdate as error:
                self._fail(Code.BAD_UPDATE, error)

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sync(self, name: DocumentId) -> None:
        await self.request_sync(name)

    async def _answer(self, name: DocumentId, state_vector: bytes) -> None:
        document = self._documents.get(name)
        if document is not None:
            self.session.documents.answer_sync(name, await asyncio.to_thread(document.diff, state_vector))
            self.pump()

    # --- deliveries ----------------------------------------------------------------------------------------

    def _deliver_next(self, name: DocumentId, inflow: Inflow) -> None:
        while inflow.waiting and not inflow.busy and self._inflows.get(name) is inflow:
            event = inflow.waiting.popleft()
            inflow.busy = True
            delivered = self._deliver(name, inflow, event)
            if delivered is not None:
                self._delivered(name, inflow, event, delivered)

    def _deliver(self, name: DocumentId, inflow: Inflow, event: UpdatesReceived) -> Delivered | None:
        """Deliver updates; return what became of them if that is known at once."""
        if not event.updates:
            return Delivered(Outcome.DUPLICATE)
        answers: list[Delivered] = []
        waiting_here = True

        def done(delivered: Delivered) -> None:
            if waiting_here and asyncio._get_running_loop() is self._loop:
                answers.append(delivered)
            else:
                self._loop.call_soon_threadsafe(self._delivered_later, name, inflow, event, delivered)

        device = DeviceId(self.device_name or self.device or "")
        self._documents[name].deliver(event.updates, device, done)
        waiting_here = False
        return answers[0] if answers else None

    def _delivered_later(
        self,
        name: DocumentId,
        inflow: Inflow,
        event: UpdatesReceived,
        delivered: Delivered,
    ) -> None:
        self._delivered(name, inflow, event, delivered)
        self._deliver_next(name, inflow)
        self.pump()

    def _delivered(self, name: DocumentId, inflow: Inflow, event: UpdatesReceived, delivered: Delivered) -> None:
        inflow.busy = False
        if self._inflows.get(name) is not inflow:
            return
        match delivered.outcome:
            case Outcome.FAILED:
                assert delivered.error is not None
                inflow.waiting.clear()
                is_theirs = isinstance(delivered.error, BadUpdate)
                self._fail(Code.BAD_UPDATE if is_theirs else Code.FAILED, delivered.error)
                return
            case Outcome.PENDING if event.answers is None:
                if not inflow.incomplete:
                    inflow.incomplete = True
                    self._begin(self._sync(name))
            case Outcome.APPLIED:
                self._pass_on(self, name, event.updates)
        if event.answers is not None:
            inflow.incomplete = delivered.outcome is Outcome.PENDING
            inflow.answered = event.answers
        if not inflow.incomplete:
            self.session.documents.acknowledge(name, event.seq)
        self._changed()

    def _fail(self, code: Code, error: Exception) -> None:
        """Close the link because of what came over it, or because it could not be saved."""
        logger.warning("Closing the link to %s: %s", self.device_name or "a peer", error)
        self.session.fail(code, str(error))
        self.pump()
        self._begin(self._link.close())
