"""One link of a peer, from the first frame to the last."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tinysync.errors import (
    BadUpdate,
    DocumentsDiffer,
    EngineFailure,
    KindMismatch,
    LinkClosed,
    PeerError,
    PeerRefused,
    ProtocolError,
    StructureClosed,
)
from tinysync.model import NOT_KEPT, DeviceId, DocumentId
from tinysync.peer.confirming import coverage_of
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
from tinysync.status import Coverage, KnownDevice
from tinysync.transport.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from tinysync.peer.links import Links
    from tinysync.peer.shared import SharedDocument
    from tinysync.protocol.session import Session
    from tinysync.protocol.yjs import YjsSession
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


class SaveSoon(Protocol):
    """Has a document write down what it remembers, in a while or at once."""

    def __call__(self, document: SharedDocument, *, at_once: bool = False) -> None:
        """Have it written."""


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
        self.replicas: dict[DocumentId, DeviceId] = {}
        """In which folder the peer keeps each document that was open at some time."""
        self.refusals: dict[DocumentId, PeerError | KindMismatch] = {}
        self.failures: dict[DocumentId, str] = {}
        """Why the peer could not go on with a document of which it has not acknowledged anything since."""
        self.differences: dict[DocumentId, DocumentsDiffer] = {}
        """Documents that hold something else than the peer's, although they should not."""
        self._agreed: set[DocumentId] = set()
        """Documents that were found to hold the same as the peer's."""
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
        self._retries: dict[DocumentId, Backoff] = {}
        self._oversized: set[DocumentId] = set()
        """Documents that were refused because of a change that was too large, and have not changed since."""
        self._room = asyncio.Event()
        self._denial = ""
        """Why the other device may not be linked any more."""
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

    def device(self, replica: DeviceId, coverage: Coverage | None = None) -> KnownDevice:
        """Return who is at the other end, with what it holds of a document, which it keeps in ``replica``."""
        address = self.url or min(self.urls, default=None)
        return KnownDevice(
            replica,
            self.device_name,
            self._link.fingerprint,
            address,
            datetime.now(UTC),
            coverage or Coverage(),
            refused=self._denial,
        )

    def knows(self, name: DocumentId) -> bool:
        """Tell whether the other end has said something about a document."""
        return any(name in told for told in (self.opened, self.refusals, self.failures))

    def is_of_this_folder(self, name: DocumentId) -> bool:
        """Tell whether the other end keeps a document in the folder that this side does: it is no other device."""
        document, kept_in = self._documents.get(name), self.replicas.get(name)
        # One that holds something else is told about, whatever it is.
        return document is not None and kept_in == document.replica != NOT_KEPT and name not in self.differences

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
            self._note(opened, linked=has_twin)
            if not has_twin:
                opened.document.presence_lost(self)
        if self.refusals and not self._links.has_twin(self):
            for name in self.refusals:
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
        self._denial = reason
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
        if name in self.refusals:
            self._note_refused(name, linked=False)
            del self.refusals[name]
        self._oversized.discard(name)
        self._retries.pop(name, None)
        self.pump()

    def send_updates(self, name: DocumentId, updates: list[bytes]) -> None:
        """Queue updates that a document holds now."""
        self._left.pop(name, None)
        if name in self._oversized:
            self._try_smaller(name)
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
            self._note(opened, coverage, linked=self._is_linked)
            if opened.has_all:
                self._note_who_is_made_up_for(opened, coverage)
        self._changed()

    def _note_who_is_made_up_for(self, opened: OpenDocument, here: Coverage) -> None:
        """Remember of which other devices nothing is missing any more, that could not send all they had."""
        for device in opened.document.known_devices():
            if device.receiving is not None and device.replica != opened.replica and not here.lacking(device.held):
                opened.document.note_device(replace(device, receiving=None))

    def progressed(self, document: SharedDocument) -> None:
        """Remember what the peer said to hold of a document, and how much of it has come."""
        opened = self.opened.get(document.name)
        if opened is not None:
            self._note(opened, linked=self._is_linked)
        self._changed()

    def _note(self, opened: OpenDocument, coverage: Coverage | None = None, *, linked: bool) -> None:
        """Remember that the peer was here just now, and what it is known to hold."""
        name = opened.document.name
        differs = name in self.differences
        # A copy of this device's own folder is no other device, until it turns out to hold something else.
        if opened.is_kept_elsewhere or (opened.replica and differs):
            known = {device.replica: device for device in opened.document.known_devices()}
            before = known.get(opened.replica, KnownDevice(opened.replica))
            device = replace(
                self.device(opened.replica, coverage or opened.confirmation.coverage or before.coverage),
                told=opened.told or before.told,
                receiving=opened.receiving or (None if opened.has_all else before.receiving),
                linked=linked,
                differs=differs or (before.differs and name not in self._agreed),
            )
            opened.document.note_device(device)
            # Others see by the note who is linked, and a process that is killed writes none later: not what was
            # missing, either.
            news = not before.linked or device.told != before.told or (device.receiving and not before.receiving)
            self._save_soon(opened.document, at_once=linked and bool(news))

    def compared(self, document: SharedDocument, error: DocumentsDiffer | None) -> None:
        """Note whether a document is the same as the peer's."""
        known = self.differences.pop(document.name, None)
        if error is not None:
            self.differences[document.name] = error
            self._agreed.discard(document.name)
            if known is None:
                logger.error("%s", error)
        news = error is not None or document.name not in self._agreed
        if error is None:
            self._agreed.add(document.name)
        if news and document.name in self.opened:
            self._note(self.opened[document.name], linked=self._is_linked)
        self._changed()

    def give_up(self, opened: OpenDocument, error: Exception) -> None:
        """Close one document on the link because this side failed, and try again later if that may help."""
        name = opened.document.name
        logger.warning("Cannot go on to sync %r with %s: %s", name, self.device_name, error, exc_info=error)
        self.session.documents.withdraw(name, Code.FAILED, str(error))
        self._close_document(name)
        if not isinstance(error, StructureClosed | EngineFailure):
            self.begin(self._try_again(opened.document))
        self.pump_soon()

    def _try_smaller(self, name: DocumentId) -> None:
        """Offer a document again that was too large: it has changed, so it may fit now."""
        self._oversized.discard(name)
        self.failures[name] = str(self.refusals.pop(name))
        self.begin(self._try_again(self._documents[name]))

    async def _try_again(self, document: SharedDocument) -> None:
        backoff = self._retries.setdefault(document.name, Backoff(random.Random()))  # noqa: S311 - jitter
        await asyncio.sleep(backoff.next())
        if self._documents.get(document.name) is document:
            self.offer(document)

    def _close_document(self, name: DocumentId, *, deliver_rest: bool = False) -> None:
        opened = self.opened.pop(name, None)
        if opened is not None:
            opened.close(deliver_rest=deliver_rest)
            self._note(opened, linked=False)
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
            self._note(opened, coverage, linked=name in self.opened)
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
                self.refusals.pop(name, None)
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
                self.replicas[name] = replica
                self._note(opened, linked=True)
                if replica and replica == opened.document.replica:
                    self.begin(self._see_whether_copied(opened))
                self._links.turns.wait(opened)
                self.session.documents.send_awareness(name, opened.document.greet())
            case DocumentOffered(name, kind, replica):
                self._offered(name, kind)
                self._is_offered(name, replica)
            case DocumentClosed(name, code, text, is_whole):
                left = self.opened.get(name)
                self._close_document(name, deliver_rest=True)
                if left is not None and is_whole and not self._is_over:
                    self._left[name] = left
                    look = asyncio.ensure_future(self._look_at_left(left))
                    self._last_looks.add(look)
                    look.add_done_callback(self._last_looks.discard)
                if code == Code.FAILED:
                    self.failures[name] = text
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
                self.failures.pop(name, None)
                if name in self.opened:
                    self.opened[name].comparison.stir()
                    self.opened[name].confirmation.stir()

    async def _see_whether_copied(self, opened: OpenDocument) -> None:
        await opened.see_whether_copied(self.identity.device)
        name = opened.document.name
        if opened.is_copy and self.opened.get(name) is opened:
            self.replicas[name] = opened.replica
            if all(known.replica != opened.replica for known in opened.document.known_devices()):
                logger.warning("%s", _COPY.format(name=name, device=self.device_name))
            self._note(opened, linked=self._is_linked)
            self._changed()

    def _is_offered(self, name: DocumentId, replica: DeviceId) -> None:
        """Answer to the peer's offer of a document that could not be shared until now."""
        if name in self._oversized:
            self._oversized.discard(name)
            self.offer(self._documents[name])
        elif name in self.refusals:
            self._note_refused(name, replica, linked=True)

    def _is_refused(self, event: DocumentRefused) -> None:
        self._note_refusal(event.document, event.code, event.text)
        self._note_refused(event.document, event.replica, linked=True)
        if event.code == Code.TOO_LARGE:
            self._oversized.add(event.document)
            if event.is_outdated:
                self._try_smaller(event.document)

    def _note_refusal(self, name: DocumentId, code: str, text: str) -> None:
        message = f"{name!r} cannot be shared with {self.device_name}: {text}"
        self.refusals[name] = KindMismatch(message) if code == Code.KIND else PeerRefused(message)
        twin = self._links.to(self.identity, but=self)
        known = self.failures.get(name) if twin is None else str(twin.refusals.get(name))
        if known != message:
            logger.warning("%s", message)

    def _note_refused(self, name: DocumentId, replica: DeviceId = NOT_KEPT, *, linked: bool) -> None:
        """Remember with the peer's device, if it keeps a document, that it is not shared with it, and why."""
        document = self._documents.get(name)
        if document is None:
            return
        if replica not in {NOT_KEPT, document.replica}:
            self.replicas[name] = replica
        known = {device.replica: device for device in document.known_devices()}
        if kept_in := self.replicas.get(name):
            before = known.get(kept_in, KnownDevice(kept_in))
            device = replace(self.device(kept_in, before.coverage), told=before.told, receiving=before.receiving)
            refused = str(self.refusals[name])
            document.note_device(replace(device, differs=before.differs, linked=linked, refused=refused))
            self._save_soon(document, at_once=linked)
