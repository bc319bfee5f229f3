"""A peer: listens, connects, reconnects, and keeps its documents the same as those of the devices it reaches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tinysync.errors import (
    EngineFailure,
    TransactionBusy,
    UsageError,
)
from tinysync.group.key import as_key
from tinysync.model import DeviceId, DocumentId
from tinysync.peer.arguments import check_device, checked_addresses, checked_patterns
from tinysync.peer.connection import Connection
from tinysync.peer.finding import Finder, check_installed, place_to_listen
from tinysync.peer.links import Links
from tinysync.peer.membership import join
from tinysync.peer.offers import Offers
from tinysync.peer.saving import Saving
from tinysync.peer.telling import Teller
from tinysync.peer.visiting import Visit, Visitors
from tinysync.peer.waiting import wait_synced
from tinysync.protocol.limits import Limits
from tinysync.protocol.session import Session
from tinysync.status import (
    Coverage,
    KnownDevice,
    PeerStatus,
    Reached,
    SyncStatus,
    all_devices,
    together,
)
from tinysync.tracker.status_watch import StatusWatch
from tinysync.transport.addresses import parse_address
from tinysync.transport.loop_thread import LoopThread
from tinysync.transport.websocket import WebSocketTransport

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from tinysync.group.key import Key
    from tinysync.peer.shared import SharedDocument
    from tinysync.protocol.yjs import YjsSession
    from tinysync.tracker.status_watch import StatusSubscription
    from tinysync.transport.link import Link, Transport
    from tinysync.transport.security import Security

logger = logging.getLogger("tinysync")

AnyConnection = TypeVar("AnyConnection", bound=Connection)

GOODBYE_SECONDS: Final = 2.0
"""How long ``close`` waits for slow links to take what is left to send."""
TICK_SECONDS: Final = 3.0
"""How often it is looked which passing states are to be renewed or forgotten."""


class Peer:
    """One device on the network, for any number of tracked structures: ``track(x, 'name', sync=peer)``.

    listen: an address to take links at, like '127.0.0.1:8765' (port 0: any free one; see ``url``), or None.
    connect: the addresses of peers. They need not be there: the peer connects as soon as they are, and again
      whenever a link was lost, after delays that grow to 15 seconds.
    device: the name that other devices see; by default the host's.
    limits: how much links may cost this device (``Limits``); the defaults are generous.
    key: the secret of the group, as a ``Key``, its text, or the path of its file. Then links are encrypted (wss,
      TLS 1.3), made only with devices that have the same key, and may go to other machines. Without a key only
      loopback addresses are used, as anybody could link.
    allow: the fingerprints of the devices that may link, as a list, or as the path of a file that ``pair`` writes;
      by default all that have the key. ``default_allowed_path()`` is the list of 'tinysync pair'.
    identity: the folder in which this device keeps the key that its ``fingerprint`` is of; by default the user's.
    lan: whether the devices of the group find each other on the local network, without addresses, by mDNS (RFC
      6762). It takes a ``key``. The peer then listens on all interfaces, if ``listen`` says nothing else, and
      announces that somebody is there; only its group can tell who. It links to all devices of the group that it
      finds, wherever they move.
    documents: patterns of the names of documents, like 'home/*': only those are shared. ``*`` stands for any
      characters, '/' too (see ``fnmatch``). By default all are.
    yjs: an address to take Yjs clients at, like '127.0.0.1:8766', or None. Browser pages and programs with the npm
      packages yjs and y-websocket share the same structures there, each under its name (see ``yjs_url``). Links
      are not encrypted.
    yjs_token: a text of 16 characters or more that Yjs clients have to show, as the parameter ``token``. Without
      one only loopback addresses are used, and only pages of this machine are let in.

    It works in a thread of its own, in programs with and without an event loop. Updates that it receives are
    passed on, so any topology converges. A refused link is reported in the log of both sides, and by
    ``wait_synced``. Raises InvalidAddress for an address that is not understood, not allowed without a key, or in
    use; InvalidKey and InvalidFingerprint; InsecureFile for a key that others can read, StorageError for what
    cannot be read; and UsageError if ``tinysync[net]`` is not installed, which a key needs.
    """

    def __init__(
        self,
        listen: str | None = None,
        connect: Iterable[str] = (),
        device: str | None = None,
        *,
        limits: Limits | None = None,
        key: Key | str | os.PathLike[str] | None = None,
        allow: str | os.PathLike[str] | Iterable[str] | None = None,
        identity: str | os.PathLike[str] | None = None,
        lan: bool = False,
        documents: Iterable[str] | None = None,
        yjs: str | None = None,
        yjs_token: str | None = None,
    ) -> None:
        check_device(device)
        self._is_secure = key is not None
        urls = checked_addresses(connect, secure=self._is_secure)
        if lan:
            if key is None:
                raise UsageError("lan=True links the devices of a group: give the Peer the group's key=, too")
            check_installed()
            listen = str(place_to_listen(listen))
        if listen is not None:
            parse_address(listen, listening=True, secure=self._is_secure)
        key = None if key is None else as_key(key)
        security = join(key, allow, identity)
        self.fingerprint = security.fingerprint if security is not None else None
        """The fingerprint of this device, which others allow; None without a key."""
        self.device = device or socket.gethostname() or "device"
        # Of this Peer only, to know a link that leads back to it: what is to be known again after a restart is a
        # folder of state, and its id travels with each document.
        self.id = DeviceId(secrets.token_hex(16))
        """Identifies this peer, as long as it is open, to those that it is linked to."""
        self._limits = (limits or Limits()).checked()
        self._documents: dict[DocumentId, SharedDocument] = {}
        self._links = Links(
            self.id,
            self.device,
            self._limits,
            self._make_transport(security),
            security,
            connection_for=self._connection_for,
            changed=self._tell_watchers,
            parted=self._parted,
            tried=self._tried,
        )
        self._finder: Finder | None = None
        if lan and key is not None:
            secret = key.derive("lan announcements", 32)
            self._finder = Finder(secret, self.id, self._links)
        self._connections = self._links.connections
        self._teller = Teller(self._links, self._documents)
        if yjs_token is not None and yjs is None:
            raise UsageError("yjs_token= is for Yjs clients; say where to take them with yjs='127.0.0.1:8766'")
        self._visitors = None if yjs is None else self._make_visitors(yjs, yjs_token)
        self._published: deque[tuple[DocumentId, list[bytes]]] = deque()
        self._flush_is_due = False
        self._watchers: list[asyncio.Event] = []
        self._saving = Saving()
        self._status_listeners: tuple[Callable[[], None], ...] = ()
        self._status_watch = StatusWatch(self.status, f"tinysync-status-{self.device}")
        self._tick_is_due = False
        self.closed = False
        """Whether the peer has left the network for good."""
        self._offers = Offers(checked_patterns(documents))
        self._thread = LoopThread(f"tinysync-{self.device}")
        try:
            self._thread.run(self._start(listen, urls))
        except BaseException:
            self._thread.stop()
            self.closed = True
            raise

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.url or "not listening"
        return f"<Peer {self.device!r} {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _make_transport(self, security: Security | None) -> Transport:
        limits = self._limits
        return WebSocketTransport(
            limits.max_frame,
            security,
            max_first_frame=limits.max_first_frame,
            max_handshakes=limits.max_handshakes,
            handshakes_per_second=limits.handshakes_per_second,
        )

    def _make_visitors(self, address: str, token: str | None) -> Visitors:
        def connect(link: Link, session: YjsSession, documents: dict[DocumentId, SharedDocument]) -> Visit:
            return self._make_connection(Visit, link, session, documents, None)

        return Visitors(address, token, self._documents, self._limits, connect=connect)

    async def _start(self, listen: str | None, urls: list[str]) -> None:
        if self._visitors is not None:
            await self._visitors.listen()
        try:
            await self._links.start(listen, urls, self._hurry_up)
        except BaseException:
            if self._visitors is not None:
                await self._visitors.close()
            raise
        if self._finder is not None and self.url is not None:
            self._finder.start(parse_address(self.url, listening=True, secure=True))

    @property
    def url(self) -> str | None:
        """The address that is listened at, ``wss://`` with a key, or None if this peer does not listen.

        Others connect to it; where it says 0.0.0.0, they write the name or address of this machine instead.
        """
        return self._links.url

    @property
    def yjs_url(self) -> str | None:
        """The address that Yjs clients connect to, ``new WebsocketProvider(yjs_url, name, doc)``; None: nowhere.

        The document is the name that a structure is tracked under; special characters are escaped, as by
        ``encodeURIComponent``.
        """
        return self._visitors.address if self._visitors is not None else None

    def _all_connections(self) -> list[Connection]:
        """Return the connections to other devices and to Yjs clients."""
        visitors = self._visitors.connections if self._visitors is not None else ()
        return [*self._connections, *visitors]

    def connect(self, url: str) -> None:
        """Connect to one more peer, now or as soon as it is there; raises InvalidAddress.

        Returns at once. Connecting twice to one address is one connection.
        """
        self._thread.run_function(self._links.dial, str(parse_address(url, secure=self._is_secure)))

    def reconnect(self) -> None:
        """Try at once to connect to the peers that are not connected, and close links that do not answer.

        For a program that knows that the network is back; that the machine has woken up is noticed anyway.
        """
        self._thread.call(self._hurry_up)

    def _hurry_up(self) -> None:
        self._links.hurry()
        if self._finder is not None:
            self._finder.begin_anew()

    def connected_devices(self) -> list[str]:
        """Return the names of the devices that are connected at this moment."""
        if self.closed:
            return []
        return self._thread.run_function(self._links.names)

    def close(self) -> None:
        """Say goodbye on all links and stop; what could not be sent is sent when the devices meet again.

        Closing twice is fine, and so is closing in a forked process: it leaves the peer to the other one. From a
        callback that runs in the peer's own thread it returns before all is done. The structures stay open, and
        are offline.
        """
        if self.closed:
            return
        coverages = self._coverages()
        self.closed = True
        self._thread.stop(self._leave(coverages))
        for document in list(self._documents.values()):
            document.note_unreached({})
            document.save_devices()
        self._status_watch.close()

    def _coverages(self) -> dict[DocumentId, Coverage]:
        """Return what the documents hold, for what the other devices have confirmed to be remembered."""
        if self._thread.is_current():
            return {}  # whoever has a transaction open may be waiting for this thread
        found = {}
        for name, document in list(self._documents.items()):
            # It is not known exactly then, as after a crash.
            with contextlib.suppress(EngineFailure, TransactionBusy):
                found[name] = document.coverage()
        return found

    # --- documents -----------------------------------------------------------------------------------------

    def share(self, document: SharedDocument) -> None:
        """Offer a document on all links.

        Raises UsageError if one of that name is shared already, or is not among those that this peer shares.
        """
        self._thread.run_function(self._share, document)

    def _share(self, document: SharedDocument) -> None:
        if not self._offers.may_share(document.name):
            raise UsageError(
                f"the peer {self.device!r} shares only documents named like"
                f" {', '.join(self._offers.patterns or ())}, and not {document.name!r}: see its documents=",
            )
        if document.name in self._documents:
            raise UsageError(
                f"the peer {self.device!r} shares a structure named {document.name!r} already; "
                "close that one first, or use another name or another Peer",
            )
        self._documents[document.name] = document
        for connection in self._connections:
            connection.offer(document)
        self._note_unreached(document)

    def watch_offers(self, listener: Callable[[DocumentId, str], None]) -> None:
        """Call a function, which must be quick, in the peer's thread for each document that a device brings.

        Its arguments are the name and the kind. Those that this peer shares already, or may not, are left out;
        those that were brought before are told now.
        """
        self._thread.run_function(self._offers.watch, listener, self._connections)

    def unwatch_offers(self, listener: Callable[[DocumentId, str], None]) -> None:
        """Do not call this function any more."""
        self._offers.unwatch(listener)

    def unshare(self, name: DocumentId, coverage: Coverage | None = None) -> None:
        """Offer a document no more, after sending what was published and can be sent at once.

        ``coverage`` is what it holds, if that is known, to remember which of the others have confirmed as much.
        """
        # A peer that is closed, or another process's, shares nothing.
        with contextlib.suppress(UsageError):
            self._thread.run_function(self._unshare, name, coverage)

    def _unshare(self, name: DocumentId, coverage: Coverage | None) -> None:
        self._flush()
        self._confirm(name, coverage)
        for connection in self._all_connections():
            connection.withdraw(name)
        self._documents.pop(name, None)

    def _confirm(self, name: DocumentId, coverage: Coverage | None) -> None:
        """Remember who has confirmed all of a document, before the links are closed."""
        if coverage is not None:
            for connection in self._connections:
                if name in connection.opened:
                    connection.opened[name].confirmation.note(coverage)

    def publish(self, name: DocumentId, updates: list[bytes]) -> None:
        """Send updates on all links, from any thread; those of one turn of the loop travel together."""
        self._published.append((name, updates))
        if not self._flush_is_due:
            self._flush_is_due = True
            if not self._thread.call(self._flush):
                # Closed, or in a forked process: it will be in the diff when the devices meet again.
                self._flush_is_due = False
                self._published.clear()

    def _flush(self) -> None:
        # Cleared first: what is published from here on asks for another flush.
        self._flush_is_due = False
        if not self._published:
            return
        while self._published:
            name, updates = self._published.popleft()
            self._send(name, updates, None)
        for connection in self._all_connections():
            connection.pump()
        self._tell_status()

    def _send(self, name: DocumentId, updates: list[bytes], source: Connection | None) -> None:
        for connection in self._all_connections():
            if connection is not source:
                connection.send_updates(name, updates)

    def _pass_on(self, source: Connection, name: DocumentId, updates: list[bytes]) -> None:
        self._send(name, updates, source)
        for connection in self._all_connections():
            if connection is not source:
                connection.pump_soon()

    def wait_synced(self, name: DocumentId, timeout: float | None = None) -> None:
        """Return once every peer has what was published of a document, and what they held at the call is here.

        Asked are the peers at all ``connect`` addresses, and those that are connected and share the document. With
        ``lan`` there are three seconds after the peer was made for others to be found. A device that is off
        and has no address here is not waited for, so with nobody there this returns: ``status().synced`` tells of
        all devices that are known.
        Raises SyncTimeout, naming those that did not answer within ``timeout`` seconds, KindMismatch or
        PeerRefused if one refuses the document, and UsageError if this peer does not share it.
        """
        self._thread.run(self._wait_synced(name, timeout))

    def begin_wait_synced(self, name: DocumentId, timeout: float | None = None) -> Future[None]:
        """Begin what ``wait_synced`` does, and return its end to come; cancelling it calls it off."""
        return self._thread.begin(self._wait_synced(name, timeout))

    async def _wait_synced(self, name: DocumentId, timeout: float | None) -> None:  # noqa: ASYNC109 - the public one
        if not isinstance(name, str):
            raise UsageError(f"wait_synced takes the name of a structure, and then how long, not {name!r}")
        if name not in self._documents:
            shared = ", ".join(map(repr, self._documents)) or "nothing"
            raise UsageError(
                f"the peer {self.device!r} does not share {name!r} that it could wait for; it shares {shared}"
            )
        self._flush()
        if self._finder is not None:
            began = asyncio.get_running_loop().time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._finder.first_look()
            if timeout is not None:
                timeout = max(0.0, began + timeout - asyncio.get_running_loop().time())
        await wait_synced(
            name, timeout, self._links.dialling, self._links.unreached, self._connections, watchers=self._watchers
        )

    # --- status --------------------------------------------------------------------------------------------

    def status(self) -> PeerStatus:
        """Return how far the other devices are with what this one shares; printed, it is a table.

        There is an entry for each device that is connected, that a ``connect`` address leads to, or that a
        structure remembers. Raises TransactionBusy if another asyncio task has a transaction open. A closed peer
        tells what is remembered. ``tracker(x).status()`` tells it for one structure.
        """
        structures = []
        for document in list(self._documents.values()):
            here = document.coverage()
            known = document.known_devices()
            reached = self.reached(document.name, here, known)
            structures.append(SyncStatus(document.name, all_devices(here, known, [reached])))
        devices = together(structures)
        if not self.closed:
            told = {(device.fingerprint, device.name or device.address) for device in devices}
            others = self._thread.run_function(self._teller.without_structures)
            devices += tuple(one for one in others if (one.fingerprint, one.name or one.address) not in told)
        return PeerStatus(self.device, self.url, self.fingerprint, devices, tuple(structures))

    def on_status(self, callback: Callable[[PeerStatus], object]) -> StatusSubscription:
        """Call back with ``status()`` whenever it has changed: a device came or went, confirmed or is behind.

        Return a subscription: call it, or use it as a context manager, to end it. Callbacks run one after the
        other in a thread of their own, which holds no locks; several changes within a moment are one call. What a
        callback raises is logged.
        """
        if self.closed:
            raise UsageError("this peer is closed; make a new one")
        self.watch_status(self._status_watch.poke)
        return self._status_watch.add(callback)

    def watch_status(self, listener: Callable[[], None]) -> None:
        """Call a function, which must be quick, in the peer's thread whenever the status may have changed."""
        if listener not in self._status_listeners:
            self._status_listeners = (*self._status_listeners, listener)

    def tell_status(self) -> None:
        """Call those functions, as something else than links has changed the status; from any thread."""
        self._thread.call(self._tell_status)

    def unwatch_status(self, listener: Callable[[], None]) -> None:
        """Do not call this function any more."""
        self._status_listeners = tuple(known for known in self._status_listeners if known != listener)

    def reached(self, name: DocumentId, here: Coverage, known: Sequence[KnownDevice]) -> Reached:
        """Return how far the devices are that this peer has links to, or should have; from any thread.

        ``here`` is what the document holds, ``known`` what it remembers. A closed peer reaches nobody.
        """
        try:
            return self._thread.run_function(self._reached, name, here, known)
        except UsageError:
            return Reached()

    def _reached(self, name: DocumentId, here: Coverage, known: Sequence[KnownDevice]) -> Reached:
        self._flush()
        return self._teller.reached(name, here, known)

    def _tried(self) -> None:
        for document in self._documents.values():
            self._note_unreached(document)

    def _note_unreached(self, document: SharedDocument) -> None:
        """Have a document remember where nobody is found, for those who look without asking this peer."""
        if document.note_unreached(self._links.why_missing()):
            self._saving.begin(document)

    def _tell_status(self) -> None:
        for listener in self._status_listeners:
            listener()

    # --- presence ------------------------------------------------------------------------------------------

    def publish_presence(self, name: DocumentId, entries: dict[int, bytes], source: object = None) -> None:
        """Tell passing states on all links but the one that they came from; cheap, from any thread."""
        self._thread.call(self._send_presence, name, entries, source)

    def _send_presence(self, name: DocumentId, entries: dict[int, bytes], source: object) -> None:
        for connection in self._all_connections():
            if connection is not source:
                connection.session.documents.send_awareness(name, entries)
                connection.pump_soon()
        self._tick_soon()

    def _tick_soon(self) -> None:
        """Look in a while what of the passing states is to be renewed, or forgotten."""
        if not self._tick_is_due:
            self._tick_is_due = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._tick_is_due = False
        alive = [document.tick_presence() for document in self._documents.values()]
        if any(alive):
            self._tick_soon()

    # --- links ---------------------------------------------------------------------------------------------

    def _connection_for(self, link: Link, url: str | None) -> Connection:
        session = Session(self.id, self.device, self._limits)
        return self._make_connection(Connection, link, session, self._documents, url)

    def _parted(self) -> None:
        for document in self._documents.values():
            document.links_were_down()

    def _make_connection(
        self,
        kind: type[AnyConnection],
        link: Link,
        session: Session | YjsSession,
        documents: dict[DocumentId, SharedDocument],
        url: str | None,
    ) -> AnyConnection:
        return kind(
            link,
            session,
            documents,
            pass_on=self._pass_on,
            changed=self._tell_watchers,
            flush=self._flush,
            save_soon=self._saving.begin,
            present=self._tick_soon,
            offered=self._offers.offered,
            links=self._links,
            url=url,
        )

    def _tell_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.set()
        self._tell_status()

    async def _leave(self, coverages: Mapping[DocumentId, Coverage]) -> None:
        """Send what can be sent, say goodbye, and close everything."""
        self._flush()
        for name, coverage in coverages.items():
            self._confirm(name, coverage)
        links = self._all_connections()
        for connection in links:
            connection.say_goodbye(f"{self.device} closes")
        ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(connection.sent.wait()) for connection in links]
        finding: set[asyncio.Task[None]] = set()
        if self._finder is not None:
            ends.append(asyncio.ensure_future(self._finder.leave()))
            finding = self._finder.tasks
        if ends:
            await asyncio.wait(ends, timeout=GOODBYE_SECONDS)
        await self._links.close([*ends, *finding])
        if self._visitors is not None:
            await self._visitors.close()
