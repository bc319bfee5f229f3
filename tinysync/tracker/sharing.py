"""The side of a structure that peers see."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from tinysync.crdt.check import check_state_vector
from tinysync.crdt.portions import SMALL_UPDATE, parts_of_diff, portions
from tinysync.crdt.seed import EPOCH
from tinysync.errors import StructureClosed, UsageError
from tinysync.model import Author, DocumentId, Outcome
from tinysync.status import Coverage, SyncStatus, all_devices
from tinysync.tracked.local import LocalDocument
from tinysync.tracker.disk import Disk
from tinysync.tracker.status_watch import StatusWatch
from tinysync.transport.eventloop import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Future

    from tinysync.model import Delivered, DeviceId, Kind
    from tinysync.status import KnownDevice, Reached
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.status_watch import StatusSubscription


PIECE_BYTES: Final = 32 * 1024
"""The size of the pieces, about, in which a large document is sent."""
DIGEST_BUDGET: Final = 500
"""How many cells are read in one go for a digest, while the program waits if it wants to write."""


class SharingPeer(Protocol):
    """What a structure needs of a peer."""

    id: DeviceId
    """What tells its links from those of others."""

    @property
    def closed(self) -> bool:
        """Whether it has left the network for good."""

    def share(self, document: Shared) -> None:
        """Offer the document on all links."""

    def unshare(self, name: DocumentId, coverage: Coverage | None = None) -> None:
        """Offer it no more, after sending what was published."""

    def publish(self, name: DocumentId, updates: list[bytes]) -> None:
        """Send updates on all links; cheap, from any thread."""

    def wait_synced(self, name: DocumentId, timeout: float | None = None) -> None:
        """Return once all peers have everything; raises SyncTimeout or KindMismatch."""

    def begin_wait_synced(self, name: DocumentId, timeout: float | None = None) -> Future[None]:
        """Begin what ``wait_synced`` does, and return its end to come."""

    @property
    def device(self) -> str:
        """The name that other devices see."""

    def publish_presence(self, name: DocumentId, entries: dict[int, bytes], source: object = None) -> None:
        """Tell passing states on all links but the one that they came from; cheap, from any thread."""

    def reached(self, name: DocumentId, here: Coverage, known: Sequence[KnownDevice]) -> Reached:
        """Return how far the devices are that it has links to, or should have."""

    def watch_status(self, listener: Callable[[], None]) -> None:
        """Call a function whenever the status may have changed."""

    def unwatch_status(self, listener: Callable[[], None]) -> None:
        """Do not call this function any more."""

    def tell_status(self) -> None:
        """Call those functions, as something else than links has changed the status; from any thread."""

    def close(self) -> None:
        """Close all links."""


class Shared:
    """A structure as one of its peers deals with it; all methods may be called from any thread.

    ``relay`` is called with what this peer delivered and the structure did not have yet.
    """

    def __init__(self, replica: Replica, name: DocumentId, relay: Callable[[list[bytes]], None]) -> None:
        self._replica = replica
        self._relay = relay
        self.name = name
        self.kind: Kind = replica.kind
        self.epoch = EPOCH
        self.replica = replica.known.here
        self.authors = replica.known.authors
        """Who wrote it, as far as that is known."""

    def is_copied_by(self, peer: DeviceId) -> bool:
        """Tell whether a peer with a folder of the same id has a copy of it, and not the same one; may block."""
        disk = self._replica.disk
        if not isinstance(disk, Disk) or self._replica.sharing.has(peer):
            return False
        try:
            return not disk.has_others()
        except OSError:
            return False

    def known_devices(self) -> list[KnownDevice]:
        """Return what is remembered of other devices."""
        return self._replica.known.all()

    def note_device(self, device: KnownDevice) -> None:
        """Remember how far another device is."""
        self._replica.known.note(device)

    def note_unreached(self, addresses: Mapping[str, str]) -> bool:
        """Remember where this peer finds nobody, and why; return whether that is news."""
        return self._replica.known.note_unreached(self, addresses)

    def save_devices(self) -> None:
        """Write down what was remembered since."""
        self._replica.known.save()

    def coverage(self) -> Coverage:
        """Return in short what the document holds; waits while a transaction is open."""
        with self._replica.reading():
            return self._replica.document.coverage()

    def state_vector(self) -> bytes:
        """Return the document's encoded state vector; waits while a transaction is open."""
        with self._replica.reading():
            return self._replica.document.state_vector()

    def told(self, state_vector: bytes) -> Coverage:
        """Return what a replica with this state vector holds at least; raises BadUpdate if it is none."""
        return Coverage(check_state_vector(state_vector))

    def diff(self, state_vector: bytes, in_pieces: bool = False) -> list[bytes]:
        """Return what a replica with this state vector lacks; raises BadUpdate if it is no state vector.

        ``in_pieces``: if it is long it is cut, outside of the lock, each piece building on those before it.
        """
        with self._replica.reading():
            updates = self._replica.document.diff(state_vector)
            self._replica.document.deleted_here.tell()
        return list(parts_of_diff(updates, PIECE_BYTES)) if in_pieces else updates

    def digest(self) -> bytes:
        """Return a digest of what the document holds, empty while updates are parked; from any thread.

        The structure is kept busy only for moments.
        """
        while True:
            with self._replica.reading():
                digest = self._replica.document.digest(DIGEST_BUDGET)
            if digest is not None:
                return digest

    def portions(self, transactions: list[list[bytes]], diff: list[bytes]) -> list[list[bytes]]:
        """Return what comes to the same as updates, in portions for ``deliver``; raises BadUpdate."""
        if not diff and len(transactions) == 1 and sum(map(len, transactions[0])) <= SMALL_UPDATE:
            return transactions  # the commonest case: one edit
        return list(portions(transactions, diff))

    def deliver(
        self,
        updates: list[bytes],
        device: DeviceId,
        done: Callable[[Delivered], None],
        ended: Callable[[], None] = lambda: None,
        *,
        is_diff: bool = False,
    ) -> None:
        """Bring updates into the structure once it is free.

        ``done`` is called when they are in the op log and show, ``ended`` when callbacks have heard of them, or
        they failed. ``is_diff``: they are, or are a part of, what the device held when it was asked.
        """

        def logged(delivered: Delivered) -> None:
            if delivered.outcome is Outcome.APPLIED or (delivered.outcome is Outcome.PENDING and delivered.new):
                self._relay(updates)
            done(delivered)

        def job() -> None:
            self._replica.receiver.receive(updates, device, logged, is_diff=is_diff)
            if is_diff:
                self._replica.document.deleted_here.meet()

        self._replica.inbox.put(job, ended)

    def greet(self) -> dict[int, bytes]:
        """Return the passing states that a peer is to be told that shares it from now on."""
        return self._replica.presence.greet()

    def receive_presence(self, update: bytes, source: object) -> None:
        """Take in passing states that came over the link ``source``; raises ProtocolError."""
        self._replica.presence.receive(update, source)

    def presence_lost(self, source: object) -> None:
        """Note that a link is down."""
        self._replica.presence.lost(source)

    def tick_presence(self) -> bool:
        """Renew and forget what is due; return whether there is anybody."""
        return self._replica.presence.tick()

    def links_were_down(self) -> None:
        """Note that the structure may be edited on both sides of a cut link."""
        self._replica.inbox.put(self._replica.document.links_were_down)


class Sharing:
    """The peers of one structure."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._peers: list[tuple[SharingPeer, str | None]] = []
        """Peers, with the address for those that were made to join one."""
        self._leave: dict[SharingPeer, Callable[[], object]] = {}
        """What to call when the structure is closed, for those of them that nobody else will close."""
        self._name = DocumentId(replica.name or "")
        self._authors = replica.known.authors
        self._own: Collection[int] = ()
        """The client ids under which this device writes, once there are peers."""
        self._watch: StatusWatch | None = None

    def has_joined(self, address: str) -> bool:
        """Tell whether there is a peer already that was made to join this address."""
        return any(joined == address and not peer.closed for peer, joined in self._peers)

    def has(self, peer: DeviceId) -> bool:
        """Tell whether the structure is shared by a peer of this process."""
        return any(known.id == peer for known, _ in tuple(self._peers))

    def add(self, peer: SharingPeer, joined: str | None = None, leave: Callable[[], object] | None = None) -> None:
        """Share the structure with a peer's links.

        ``joined``: the address that the peer was made to join. ``leave`` is called when the structure is closed.
        """
        self._peers = [(known, address) for known, address in self._peers if not known.closed]
        if any(peer is known for known, _ in self._peers):
            return
        if not self._name:
            raise UsageError("a structure needs a name to be synced: track(structure, 'name', sync=...)")
        _ = self._replica.document  # refused without one
        # Added first: what is written from now on is published, what was written before is in the first diff.
        self._peers.append((peer, joined))
        self._replica.presence.device = self._replica.presence.device or peer.device
        self._note_own_clients()
        try:
            peer.share(Shared(self._replica, self._name, partial(self.publish, source=peer)))
        except BaseException:
            self._peers.remove((peer, joined))
            raise
        if leave is not None:
            self._leave[peer] = leave
        if self._watch is not None:
            peer.watch_status(self._watch.poke)
            self._watch.poke()

    def publish(self, updates: list[bytes], source: SharingPeer | None = None) -> None:
        """Send what was written here, or delivered by the peer ``source``, on the links of all other peers."""
        if len(self._own) != self._authors.told_own:
            self._note_own_clients()  # before what was written under a new one
        for peer, _ in self._peers:
            if peer is not source:
                peer.publish(self._name, updates)

    def _note_own_clients(self) -> None:
        known = self._replica.known
        self._authors, self._own = known.authors, self._replica.document.own
        self._authors.note_own(tuple(self._own), Author(known.here, self._replica.presence.device))

    def publish_presence(self, entries: dict[int, bytes], source: object) -> None:
        """Tell passing states on all links but the one that they came from."""
        for peer, _ in tuple(self._peers):
            peer.publish_presence(self._name, entries, source)

    def status(self) -> SyncStatus:
        """Return how far the other devices are."""
        here = Coverage()
        if not isinstance(self._replica._document, LocalDocument):
            with self._replica.reading():
                here = self._replica.document.coverage()
        known = self._replica.known.all()
        reached = [peer.reached(self._name, here, known) for peer, _ in self._peers if not peer.closed]
        return SyncStatus(self._replica.name, all_devices(here, known, reached))

    def on_status(self, callback: Callable[[SyncStatus], object]) -> StatusSubscription:
        """Call back with the status whenever it has changed."""
        if self._replica.closed:
            raise StructureClosed(f"cannot watch the peers of {self._name!r}: it is closed; track it again")
        if self._watch is None:
            name = f"tinysync-status-{self._name}"
            self._watch = StatusWatch(self.status, name, self._replica.inbox.run)
            for peer, _ in self._peers:
                peer.watch_status(self._watch.poke)
        return self._watch.add(callback)

    def tell_status(self) -> None:
        """Have it looked whether the status has changed."""
        if self._watch is not None:
            self._watch.poke()
        for peer, _ in tuple(self._peers):
            peer.tell_status()

    def _open_peers(self) -> list[SharingPeer]:
        """Return the peers that can be waited for."""
        with self._replica.reading():
            if self._replica.lock.blocks:
                raise UsageError("cannot wait for peers inside a transaction: they get it at its end")
            if self._replica.lock.is_calling_back:
                raise UsageError("a callback cannot wait for peers: it keeps their changes out; wait afterwards")
        peers = [peer for peer, _ in self._peers if not peer.closed]
        if self._replica.closed:
            raise StructureClosed(f"cannot wait for the peers of {self._name!r}: it is closed")
        if not peers:
            _ = self._replica.document  # without one there are none, and sync= would be refused
            raise UsageError(f"{self._replica.handle!r} has no open peer to wait for: track it with sync=...")
        return peers

    async def synced(self, timeout: float | None) -> None:  # noqa: ASYNC109 - it has to name the peers
        """Wait for all peers without blocking the event loop."""
        waiting = [peer.begin_wait_synced(self._name, timeout) for peer in self._open_peers()]
        try:
            for future in waiting:
                await result_of(future)
        finally:
            for future in waiting:
                future.cancel()

    def wait_synced(self, timeout: float | None) -> None:
        """Wait for all peers, doing meanwhile what they deliver."""
        peers = self._open_peers()
        deadline = None if timeout is None else time.monotonic() + timeout
        for peer in peers:
            self._wait_for(peer, None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _wait_for(self, peer: SharingPeer, timeout: float | None) -> None:
        inbox = self._replica.inbox
        if inbox.dispatch is None or not inbox.is_home:
            peer.wait_synced(self._name, timeout)
            return
        # This is the thread that deliveries are dispatched to: it does them itself while it waits.
        wake = threading.Event()
        answers: list[BaseException | None] = []

        def wait() -> None:
            try:
                peer.wait_synced(self._name, timeout)
                answers.append(None)
            except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
                answers.append(error)
            finally:
                wake.set()

        inbox.tell_arrivals(wake.set)
        threading.Thread(target=wait, name="tinysync-wait", daemon=True).start()
        try:
            while not answers:
                wake.wait()
                wake.clear()
                inbox.drain()
        finally:
            inbox.tell_arrivals(None)
        if answers[0] is not None:
            raise answers[0]

    def close(self, *, failed: bool = False) -> None:
        """Leave all peers; ``failed``: the document cannot be read."""
        self._replica.presence.close()
        peers, self._peers = self._peers, []
        coverage = None
        if peers and not failed:
            with self._replica.reading():
                coverage = self._replica.document.coverage()
        if self._watch is not None:
            self._watch.close()
        for peer, _ in peers:
            if self._watch is not None:
                peer.unwatch_status(self._watch.poke)
            peer.unshare(self._name, coverage)
            if peer in self._leave:
                self._leave.pop(peer)()
        self._replica.known.close()
