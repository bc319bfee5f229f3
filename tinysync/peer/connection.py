"""One link of a peer, from the first frame to the last."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysync.errors import (
    BadUpdate,
    DocumentsDiffer,
    EngineFailure,
    LinkClosed,
    ProtocolError,
    StructureClosed,
)
from tinysync.model import NOT_KEPT, DeviceId, DocumentId
from tinysync.peer.confirming import coverage_of
from tinysync.peer.device_notes import DeviceNotes
from tinysync.peer.obstacles import Obstacles
from tinysync.peer.opened import OpenDocument
from tinysync.peer.sender import Sender
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
    HelloReceived,
    PartReceived,
    PeerErred,
    PeerLeft,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.protocol.messages import Code
from tinysync.protocol.session import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from tinysync.peer.device_notes import SaveSoon
    from tinysync.peer.links import Links
    from tinysync.peer.shared import SharedDocument
    from tinysync.protocol.session import Session
    from tinysync.protocol.yjs import YjsSession
    from tinysync.status import Coverage
    from tinysync.transport.link import Link

logger = logging.getLogger("tinysync")

GREETING_SECONDS: Final = 10.0
"""How long a link may stay open without a hello."""
LAST_WORD_SECONDS: Final = 1.0
"""How long a peer has time to read why the link is being closed."""
LAST_LOOK_SECONDS: Final = 0.5
"""How long a link that is down waits for a transaction to end, to look what it has to remember."""
_COPY: Final = (
    "{device} keeps {name!r} in a copy of this device's folder. The two are synced, but other devices cannot tell"
    " them apart. For that, delete the file 'device' in the .tinysync/{name} of one of them while it is closed."
)


class Identity(NamedTuple):
    """Who is at the other end of a link: a running peer, as it says, on a device whose certificate was checked."""

    device: DeviceId
    fingerprint: str | None


class Connection:
    """Drives a session over a link; all in the event loop of the peer.

    ``documents`` are those that the peer shares, ``pass_on`` is called with updates that were new here,
    ``changed`` after anything that somebody may be waiting for, ``flush`` to have the session given all that
    was published, ``save_soon`` when a document was told what is to be remembered, and ``present`` when it was
    told who is there. ``links`` are all of the peer. ``url`` is the address that was connected to, None for a link
    that came in.
    """

    def __init__(
        self,
        link: Link,
        session: Session | YjsSession,
        documents: dict[DocumentId, SharedDocument],
        *,
        pass_on: Callable[[Connection, DocumentId, list[bytes]], None],
        changed: Callable[[], None],
        flush: Callable[[], None],
        save_soon: SaveSoon,
        present: Callable[[], None],
        offered: Callable[[DocumentId, str], None],
        links: Links,
        url: str | None = None,
    ) -> None:
        self.url = url
        self.urls: set[str] = set()
        """The configured addresses of the device at the other end, as far as they are known."""
        self.identity = Identity(DeviceId(""), None)
        """Who is at the other end, once it has said hello."""
        self.ended = asyncio.Event()
        """Set when the link is down."""
        self.session = session
        self.loop = asyncio.get_running_loop()
        self.device_name = ""
        self.opened: dict[DocumentId, OpenDocument] = {}
        self.obstacles = Obstacles(documents, self)
        self.notes = DeviceNotes(documents, self, save_soon)
        self._left: dict[DocumentId, OpenDocument] = {}
        """Documents that the peer has closed after it had confirmed everything, until there is something new."""
        self._last_looks: set[asyncio.Task[None]] = set()
        self.waiting_bytes = 0
        """How much arrived and waits to be delivered, over all documents."""
        self._link = link
        self._documents = documents
        self._pass_on = pass_on
        self._changed = changed
        self._flush = flush
        self._save_soon = save_soon
        self._present = present
        self._offered = offered
        self._links = links
        self._greeting = asyncio.timeout(GREETING_SECONDS)
        self._room = asyncio.Event()
        self._leaves = False
        """Whether this side has said goodbye."""
        self._failure: BaseException | None = None
        """Why the link cannot go on, found out while a frame was taken in as it arrived."""
        self._is_over = False
        """Whether nothing is begun any more, because the link is being closed for good."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._sender = Sender(link, session, self.loop, self._handle_all)
        self.pump, self.pump_soon = self._sender.pump, self._sender.pump_soon
        self.sent = self._sender.sent

    @property
    def origin(self) -> str:
        """Where the link comes from, in words."""
        return self._link.origin

    @property
    def fingerprint(self) -> str | None:
        """That of the device at the other end, which was checked; None without security."""
        return self._link.fingerprint

    @property
    def is_greeting(self) -> bool:
        """Whether the other side has not said hello yet."""
        return self.session.state is LinkState.GREETING

    @property
    def is_ready(self) -> bool:
        """Whether both sides have introduced themselves."""
        return self.session.state is LinkState.READY

    @property
    def _is_linked(self) -> bool:
        """Whether there is a link to the other device: this one, unless it is about to end, or another."""
        return self.is_ready or self._links.has_twin(self)

    def knows(self, name: DocumentId) -> bool:
        """Tell whether the other end has said something about a document."""
        return name in self.opened or name in self.obstacles

    # --- frames --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Exchange frames until the link is down or closed; raises LinkClosed or ProtocolError."""
        for document in self._documents.values():
            self.offer(document)
        self.pump()  # says hello, also where nothing is shared yet
        writer = asyncio.ensure_future(self._sender.run())
        self._link.take_at_once(self._take_at_once)
        try:
            async with self._greeting:
                await self._read()
        except ProtocolError as error:
            self.session.fail(Code(error.code), str(error))
            raise
        except TimeoutError:
            if not self._greeting.expired():
                raise
            self.session.fail(Code.OUT_OF_ORDER, "there was no hello")
            raise ProtocolError(f"it did not say hello within {GREETING_SECONDS:g} s") from None
        finally:
            await self._finish(writer)

    async def _read(self) -> None:
        while True:
            frame = await self._link.receive()
            if self._failure is not None:
                raise self._failure
            if self.session.state is LinkState.CLOSED:
                continue  # it was on its way when this side said goodbye
            self._take_in(frame)
            while self._is_overfull():
                self._room.clear()
                await self._room.wait()

    def _take_at_once(self, frame: bytes) -> bool:
        """Take in a frame as it arrives, if there is no reason to have `_read` do it."""
        if self.session.state is not LinkState.READY or self._failure is not None or self._is_overfull():
            return False
        try:
            self._take_in(frame)
        except BaseException as error:  # noqa: BLE001 - the reader raises it
            self._failure = error
        return self._failure is None

    def _take_in(self, frame: bytes) -> None:
        self._handle_all(self.session.receive(frame))
        self._flush()  # what callbacks have written goes before what else has come
        if self.session.has_more:
            self.pump_soon()
        elif self.session.has_acks:
            self._sender.acknowledge_soon()

    def _is_overfull(self) -> bool:
        """Tell whether more waits to be delivered than a peer that keeps to the window can have sent."""
        limits = self.session.limits
        return self.waiting_bytes > limits.window and (
            self.waiting_bytes > limits.max_frame + limits.window
            or any(
                opened.waiting > 1 and opened.waiting_bytes > 2 * limits.window for opened in self.opened.values()
            )
        )

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """Send the last word, then close the link; also if that is cut short."""
        try:
            await self._look_once_more()
        finally:
            self._part()
            self.session.close("the link is closed")
            self.pump()
            try:
                await asyncio.wait({writer}, timeout=LAST_WORD_SECONDS)
            finally:
                await self._end(writer)

    def _part(self) -> None:
        """Note how far the peer is with each document, now that it goes."""
        for opened in self.opened.values():
            opened.confirmation.close()
            opened.comparison.close()
            self._links.turns.over(opened)
            has_twin = self._links.has_twin(self)
            self.notes.note(opened, linked=has_twin)
            if not has_twin:
                opened.document.presence_lost(self)
        if self.obstacles.refusals and not self._links.has_twin(self):
            for name in self.obstacles.refusals:
                self._note_refused(name, linked=False)

    async def _end(self, writer: asyncio.Task[None]) -> None:
        """End what runs as long as the link is up, and then the link."""
        self._is_over = True
        tasks = (writer, *self._tasks, *self._last_looks)
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self._link.close()

    async def _look_once_more(self) -> None:
        """Have it remembered if the peer has confirmed everything."""
        if not self._leaves:
            opened = [opened for opened in self.opened.values() if opened.confirmation.is_whole]
            looks = [asyncio.ensure_future(one.confirmation.look()) for one in opened]
            looks += self._last_looks
            if looks:
                try:
                    await asyncio.wait(looks, timeout=LAST_LOOK_SECONDS)
                finally:
                    for look in looks:
                        look.cancel()

    def flush(self) -> None:
        """Count what was published, and send what the session has to send."""
        self._flush()
        self.pump()

    def say_goodbye(self, reason: str) -> None:
        """Close the session in good order; the link closes when all was sent, or after a moment."""
        self._leaves = True
        self.session.close(reason)
        self._close_soon()

    def refuse(self, error: BadUpdate) -> None:
        """Close the link because of what came over it."""
        logger.warning("Closing the link to %s: %s", self.device_name, error)
        self.session.fail(Code.BAD_UPDATE, str(error))
        self._close_soon()

    def turn_away(self, text: str) -> None:
        """Tell the other side why it is not served."""
        self.session.fail(Code.TOO_MUCH, text)
        self.pump()

    def break_off(self, reason: str) -> None:
        """Close the link at once."""
        logger.info("Breaking off the link to %s: %s", self.device_name or "a stranger", reason)
        self.session.fail(Code.TOO_MUCH, reason)
        self._link.abort()

    def deny(self, reason: str) -> None:
        """Close the link at once because the other device may not be linked any more."""
        self.notes.denial = reason
        self.break_off(reason)

    async def is_alive(self, seconds: float) -> bool:
        """Tell whether the other end answers within so many seconds."""
        return await self._link.is_alive(seconds)

    def _close_soon(self) -> None:
        self.pump()

        async def close() -> None:
            await asyncio.sleep(LAST_WORD_SECONDS)
            await self._link.close()

        self.begin(close())

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something as long as the link is up."""
        if self._is_over:
            work.close()
            return
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- documents -----------------------------------------------------------------------------------------

    def offer(self, document: SharedDocument) -> None:
        """Share a document on this link."""
        self.session.documents.offer(
            document.name, document.kind, document.epoch, document.replica, document.authors
        )
        self.pump()

    def withdraw(self, name: DocumentId) -> None:
        """Send what can be sent of a document, and share it no more."""
        self.pump()
        self.session.documents.withdraw(name)
        self._close_document(name)
        if name in self.obstacles.refusals:
            self._note_refused(name, linked=False)
        self.obstacles.withdrawn(name)
        self.pump()

    def send_updates(self, name: DocumentId, updates: list[bytes]) -> None:
        """Queue updates that a document holds now."""
        self._left.pop(name, None)
        if self.obstacles.oversized:
            self.obstacles.changed(name)
        self.session.documents.send_updates(name, updates)

    def pass_on(self, name: DocumentId, updates: list[bytes]) -> None:
        """Send updates that came over this link on all others."""
        self._pass_on(self, name, updates)

    def delivered(self) -> None:
        """Note that updates are in the op log, or that there is room for more."""
        self._room.set()
        self._changed()

    def confirmed(self, document: SharedDocument, coverage: Coverage) -> None:
        """Remember what the peer holds of a document."""
        opened = self.opened.get(document.name)
        if opened is not None:
            self.notes.note(opened, coverage, linked=self._is_linked)
            if opened.has_all:
                self.notes.note_who_is_made_up_for(opened, coverage)
        self._changed()

    def progressed(self, document: SharedDocument) -> None:
        """Remember what the peer said to hold of a document, and how much of it has come."""
        opened = self.opened.get(document.name)
        if opened is not None:
            self.notes.note(opened, linked=self._is_linked)
        self._changed()

    def compared(self, document: SharedDocument, error: DocumentsDiffer | None) -> None:
        """Note whether a document is the same as the peer's."""
        opened = self.opened.get(document.name)
        if self.notes.compared(document.name, error) and opened is not None:
            self.notes.note(opened, linked=self._is_linked)
        self._changed()

    def give_up(self, opened: OpenDocument, error: Exception) -> None:
        """Close one document on the link because this side failed, and try again later if that may help."""
        name = opened.document.name
        logger.warning("Cannot go on to sync %r with %s: %s", name, self.device_name, error, exc_info=error)
        self.session.documents.withdraw(name, Code.FAILED, str(error))
        self._close_document(name)
        if not isinstance(error, StructureClosed | EngineFailure):
            self.obstacles.try_again(opened.document)
        self.pump_soon()

    def _close_document(self, name: DocumentId, *, deliver_rest: bool = False) -> None:
        opened = self.opened.pop(name, None)
        if opened is not None:
            opened.close(deliver_rest=deliver_rest)
            self.notes.note(opened, linked=False)
            opened.document.presence_lost(self)
        self.delivered()

    async def _look_at_left(self, opened: OpenDocument) -> None:
        """Remember all that is here as confirmed, unless something was written after the peer had left."""
        name = opened.document.name
        await opened.all_delivered.wait()  # what the peer has sent, it has
        coverage = await coverage_of(opened.document)
        # All of it was published, or passed on, before it could be seen.
        self.flush()
        if coverage is not None and self._left.get(name) is opened:
            del self._left[name]
            self.notes.note(opened, coverage, linked=name in self.opened)
            self._changed()

    def _handle_all(self, events: list[Event]) -> None:
        for event in events:
            self._handle(event)
        if events:
            self._changed()

    def _handle(self, event: Event) -> None:
        match event:
            case HelloReceived(device_id, name):
                self._greeting.reschedule(None)
                self._link.trust()
                self.device_name = name
                self.identity = Identity(device_id, self._link.fingerprint)
                self._links.introduced(self)
            case DocumentOpened(name, replica):
                self.obstacles.opened(name)
                device = DeviceId(self.device_name)
                opened = OpenDocument(
                    self._documents[name],
                    device,
                    self.session.documents,
                    self,
                    replica=replica,
                    turns=self._links.turns,
                )
                self.opened[name] = opened
                self.notes.replicas[name] = replica
                self.notes.note(opened, linked=True)
                if replica and replica == opened.document.replica:
                    self.begin(self._see_whether_copied(opened))
                self._links.turns.wait(opened)
                self.session.documents.send_awareness(name, opened.document.greet())
            case DocumentOffered(name, kind, replica):
                self._offered(name, kind)
                self.obstacles.offered(name)
                if name in self.obstacles.refusals:
                    self._note_refused(name, replica, linked=True)
            case DocumentClosed(name, code, text, is_whole):
                left = self.opened.get(name)
                self._close_document(name, deliver_rest=True)
                if left is not None and is_whole and not self._is_over:
                    self._left[name] = left
                    look = asyncio.ensure_future(self._look_at_left(left))
                    self._last_looks.add(look)
                    look.add_done_callback(self._last_looks.discard)
                if code == Code.FAILED:
                    self.obstacles.failures[name] = text
            case DocumentRefused(name, _, _, _):
                self._close_document(name)
                self._is_refused(event)
            case PeerErred(_, text) | PeerLeft(text):
                raise LinkClosed(f"{self.device_name or 'the peer'} closed the link: {text}")
            case _:
                self._handle_of_document(event)

    def _handle_of_document(self, event: Event) -> None:
        """Take in what concerns a document that is open."""
        match event:
            case UpdatesReceived(name, _, _, _) | PartReceived(name, _, _, _) if name in self.opened:
                self.opened[name].arrived(event)
            case SyncRequested(name, state_vector) if name in self.opened:
                self.opened[name].answer(state_vector)
            case DigestReceived(name, _, _, _) if name in self.opened:
                self.opened[name].comparison.received(event)
            case AuthorsLearned(name) if name in self.opened:
                self._save_soon(self.opened[name].document)
                self._links.tell_authors(name, source=self)
            case AwarenessReceived(name, update) if name in self.opened:
                self.opened[name].document.receive_presence(update, self)
                self._present()
            case Acknowledged(name, _):
                self.obstacles.failures.pop(name, None)
                if name in self.opened:
                    self.opened[name].comparison.stir()
                    self.opened[name].confirmation.stir()

    async def _see_whether_copied(self, opened: OpenDocument) -> None:
        await opened.see_whether_copied(self.identity.device)
        name = opened.document.name
        if opened.is_copy and self.opened.get(name) is opened:
            self.notes.replicas[name] = opened.replica
            if all(known.replica != opened.replica for known in opened.document.known_devices()):
                logger.warning("%s", _COPY.format(name=name, device=self.device_name))
            self.notes.note(opened, linked=self._is_linked)
            self._changed()

    def _is_refused(self, event: DocumentRefused) -> None:
        twin = self._links.to(self.identity, but=self)
        self.obstacles.refused(event, None if twin is None else twin.obstacles)
        self._note_refused(event.document, event.replica, linked=True)
        if event.is_outdated:
            self.obstacles.changed(event.document)

    def _note_refused(self, name: DocumentId, replica: DeviceId = NOT_KEPT, *, linked: bool) -> None:
        self.notes.note_refused(name, str(self.obstacles.refusals[name]), replica, linked=linked)
