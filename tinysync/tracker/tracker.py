"""The handle of a tracked structure: what a program can ask and do beside reading and editing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from tinysync.errors import UsageError
from tinysync.tracker.diffs import Mark, apply_diff, diff_since, diff_to, mark_of, revert_to, set_mark, undo_diff
from tinysync.tracker.forgetting import forget
from tinysync.tracker.history import history, restore, state_at
from tinysync.tracker.patterns import parse_pattern
from tinysync.tracker.streaming import ChangeStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from tinysync.model import Conflict, HistoryEntry, Kind, Path, Undone
    from tinysync.status import DeviceStatus, SyncStatus
    from tinysync.tracker.notify import Callback, Subscription
    from tinysync.tracker.presence import Presence
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.status_watch import StatusSubscription


class Tracker:
    """The handle behind a tracked structure: ``tracker(x)``."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def __repr__(self) -> str:
        closed = " (closed)" if self._replica.closed else ""
        return f"<Tracker of the {self.kind} {self.name!r}{closed}>"

    @property
    def name(self) -> str | None:
        """The name that was given to ``track``."""
        return self._replica.name

    @property
    def kind(self) -> Kind:
        """What the structure is: 'dict', 'list' or 'set'."""
        return self._replica.kind

    @property
    def closed(self) -> bool:
        """Whether it was closed; then it can be read, but not written to."""
        return self._replica.closed

    @property
    def root(self) -> Any:
        """The tracked dict, list or set itself; of one that was given as a dataclass, the dict behind it."""
        return self._replica.root

    def snapshot(self) -> Any:
        """Return a consistent plain copy of the structure; of a typed one, an instance of its dataclass."""
        schema = self._replica.schema
        return self._replica.snapshot() if schema is None else schema.plain(self._replica.root)

    # --- transactions --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Begin a transaction, as ``with x:`` does; a type checker sees no transaction in a typed structure."""
        self._replica.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._replica.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Self:
        """Begin a transaction, as ``async with x:`` does."""
        await self._replica.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._replica.__aexit__(kind, error, traceback)

    # --- callbacks -----------------------------------------------------------------------------------------

    @overload
    def on(self, callback: Callback, /) -> Subscription: ...
    @overload
    def on(self, pattern: str | Sequence[Any], callback: Callback, /) -> Subscription: ...
    def on(self, pattern: Any, callback: Any = None, /) -> Subscription:
        """Call back with each change, or with those that concern what a path pattern matches.

        Return a subscription: call it, or use it as a context manager, to end it. ``callback`` gets a ``Change``,
        or, for a transaction, the list of those that concern it if they are several; wherever they came from
        (``change.origin``, ``change.device``). It is called after the change was made, saved and sent, by the
        thread that made it or, for what arrives, the one that ``dispatch=`` chooses. It may change the structure,
        subscribe, unsubscribe and close. No lock is held: it may change other structures, too; other threads read
        the structure meanwhile, and wait until callbacks are through before they change it. It must not wait for
        a thread that does. Where two threads would wait for each other, in callbacks of two structures that change
        the other one, one of them goes on, and what it changes is called back by the other. What a callback raises
        is raised by the call that changed the structure, after all other callbacks, or logged if the change came
        from elsewhere.

        A pattern is a str of steps from the root, with '/' between them. A step is a key or an index; '*' stands
        for any one step, '**' for any number, none too. A step like '3' matches the index 3, and the keys '3' and
        3. For keys that contain '/', or are no str, give a list or tuple of steps, which match as they are:
        ``['servers', 3, 'a/b']`` (but '*' and '**' are wildcards here as well). The elements of a set are its
        entries. '' and [] match the root.

        The callback for 'servers/*/port' hears of a change if it

        * writes or removes the entry itself: ``servers.a.port = 1``;
        * happens anywhere inside it, if it is a container: ``servers.a.port.tcp = 1``;
        * writes or removes a container above, so that the entry is new, gone or replaced by another: ``del
          servers.a`` where there is a ``servers.a.port``. ``servers.a = {...}`` changes a dict in place: that
          concerns ``port`` only if it writes the entry ``port``.

        In a list, what is inserted or removed is what changes, and so are the places between which elements are
        moved. An index that is given as such, 'queue/0', is also concerned if another element comes to stand
        there. A pattern need not match anything yet.

        If callbacks change the structure in answer to their own changes without an end (1,000 deep, or 20,000
        times), they are stopped with EndlessCallbacks. Raises UsageError if the pattern is none.
        """
        if callback is None and callable(pattern):
            return self._replica.notifier.add(pattern)
        if not callable(callback):
            raise UsageError(f"a callback must be a function that takes the changes, not {callback!r}")
        return self._replica.notifier.add(callback, parse_pattern(pattern))

    def changes(self, limit: int = 10_000) -> ChangeStream:
        """Return an asynchronous iterator over the changes from now on, each a ``Change``, wherever it came from.

        ``async for change in tracker(x).changes(): ...`` runs until the structure is closed. Whoever changes the
        structure never waits for the reader: if more than ``limit`` changes wait, new ones are dropped, and the
        iterator raises ChangesMissed where they are missing; it can be read on after that. Raises UsageError
        outside of an event loop.
        """
        return ChangeStream(self._replica, limit)

    # --- marks, diffs --------------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Return a mark of this moment, which changes can be counted from and reverted to.

        From the first mark on, the old value of what changes is kept, as long as a mark from before the change is:
        the last one always is. Any number of marks may be set. Raises UsageError inside a transaction.
        """
        return set_mark(self._replica)

    @property
    def changed_paths(self) -> list[Path]:
        """The paths of what changed since the last mark; ``mark.changed_paths`` says it for any other one.

        They are those of the smallest changed entries: of the dict entry or list element that was written, added
        or removed; of the list itself if its length changed; of the set itself. Every difference between then and
        now is at one of them or inside. An entry that was set back is not among them, a container that was
        replaced by an equal one is. It takes time for what changed, not for all there is. In a transaction, what
        it did so far counts. Raises UsageError if there is no mark.
        """
        return mark_of(self._replica, None).changed_paths

    def diff(self, other: Any = None) -> list[tuple[str, Path, Any]]:
        """Return the differences from a mark to now, or from now to another structure, as dictdiffer has them.

        ``other`` is a mark (by default the last one), or a plain or tracked structure of the same kind. The items
        are ``('change', path, (old, new))``, and ``('add', path, [(key, value), ...])`` and ``('remove', path,
        [(key, value), ...])`` for the container at a path; paths are lists, values plain copies. Beyond what
        ``dictdiffer.diff`` does by itself, ``1``, ``1.0`` and ``True`` differ. Lists are compared index by index.

        From a mark, it takes time for what changed, not for all there is. Raises UsageError if there is no mark,
        or it is another structure's, and KindMismatch if the other structure is of another kind.
        """
        if other is None or isinstance(other, Mark):
            return diff_since(mark_of(self._replica, other))
        return diff_to(self._replica, other)

    def patch(self, diff: Iterable[Any]) -> None:
        """Apply a diff, as ``diff`` or ``dictdiffer.diff`` return it, as one transaction: all of it or nothing.

        As few changes are made as it takes: in a list, what is the same afterwards is not touched, wherever
        in the list it comes to stand. Old values in the diff are not compared with what is there. Raises
        UsageError if it is no diff, or does not fit the structure (a path that is not there).
        """
        apply_diff(self._replica, diff)

    def revert(self, to: Mark | Iterable[Any] | None = None) -> None:
        """Bring everything back to what it was at a mark (by default the last one), or take a diff back.

        One transaction, all of it or nothing, of as few changes as it takes. Reverting to a mark takes back what
        others did since as well. Raises what ``diff`` and ``patch`` raise.
        """
        if to is None or isinstance(to, Mark):
            revert_to(mark_of(self._replica, to))
        else:
            undo_diff(self._replica, to)

    # --- saving, syncing, closing --------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the readable file now, and have the disk hold all of it; raises StorageError if that fails.

        While the program runs, a readable file over 4 KiB may be written a third of a second after a change: over
        64 KiB always, below that if it was just written before. A smaller one is written before the call returns,
        unless another process is at it. Raises UsageError inside a transaction.
        """
        self._replica.flush()

    # --- undo ----------------------------------------------------------------------------------------------

    def undo(self) -> Undone:
        """Take back the newest transaction of this program, or hand edit of the file, that is not undone yet.

        That is itself an ordinary transaction: saved, sent, and reported to callbacks with origin 'local'. What
        another device or process wrote since is left as it is: ``left`` says where and why; what else the
        transaction did is taken back. A container that comes back has what it held when it was removed. If there
        is nothing to undo, the result is false. A default that comes back counts as chosen from then on. What
        callbacks changed when they heard of a transaction is undone with it.

        Undo knows the transactions since the structure was opened. Raises UsageError inside a transaction, and
        what any change raises (StructureClosed, StorageError); then nothing was undone. If a callback raises, it
        was undone.
        """
        return self._replica.undoing.undo()

    def redo(self) -> Undone:
        """Take back the newest undo, unless something was changed here since; otherwise like ``undo``."""
        return self._replica.undoing.redo()

    @property
    def can_undo(self) -> bool:
        """Whether there is a transaction to undo."""
        return self._replica.undoing.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is an undo to take back. A new change here ends that; one of another device does not."""
        return self._replica.undoing.can_redo

    @property
    def undo_grouping(self) -> float:
        """Transactions that follow each other within so many seconds are undone together; 0: each alone.

        For typing, one or two seconds. A group ends with a change of another device, a hand edit and an undo.
        """
        return self._replica.undoing.grouping

    @undo_grouping.setter
    def undo_grouping(self, seconds: float) -> None:
        self._replica.undoing.set_grouping(seconds)

    @property
    def undo_limit(self) -> int:
        """How many transactions can be undone, 1,000 at first; 0 turns undo off.

        There are fewer where they removed or replaced very much: undo keeps some 500,000 values at most.
        """
        return self._replica.undoing.limit

    @undo_limit.setter
    def undo_limit(self, transactions: int) -> None:
        self._replica.undoing.set_limit(transactions)

    # --- history -------------------------------------------------------------------------------------------

    def history(self) -> Sequence[HistoryEntry]:
        """Return the versions that are kept, the newest first: one for each transaction, hand edit and delivery.

        How long they are kept is the ``history=`` of ``track``: by default 30 days or 10 MB of changes, whichever
        is less, and in any case those since the op log was last compacted. Their numbers are those of
        this device, and stay the same when it is reopened. Raises UsageError for a structure without an op log
        (in memory, or in a format without a document), and StorageError if the files cannot be read.
        """
        return history(self._replica)

    def at(self, version: int | datetime) -> Any:
        """Return the structure as it was after a version, or at a time, as a plain dict, list or set.

        A datetime without a time zone is local time. Times are those at which this device got a change: one of
        another device may have been made long before. Raises what ``history`` raises, and UsageError if nothing is
        kept from then.
        """
        return state_at(self._replica, version)

    def restore(self, path: Path | None = None, *, at: int | datetime) -> None:
        """Bring a part of the structure, or all of it, back to what it was at a version or a time.

        This is a new change, one transaction, that can be undone; what is the same already is not touched. The
        path is a list of keys and indices. Raises what ``at`` raises, and UsageError if there was nothing at that
        path then, or has no place now.
        """
        restore(self._replica, path or [], at)

    # --- conflicts -----------------------------------------------------------------------------------------

    def conflicts(self) -> list[Conflict]:
        """Return the conflicts that are kept, the newest last: writes that lost against one made at the same time.

        Where this device and another wrote the same place without knowing of each other's write, one of the two
        takes effect, on all devices the same; the other one is noted here. That is so if both wrote the same key
        or list element, or one wrote it and the other deleted it; if both moved an element; and if one removed or
        replaced a container, and the other wrote something inside (then ``lost`` is the container as it was here).
        Nothing is noted if the later one knew of the earlier, or both wrote the same. Defaults (the argument of
        ``track``, and ``setdefault``) are nobody's write. What several programs write that have one folder open
        is this device's own doing.

        ``conflicts()[-1].restore()`` brings the newest one's lost value back.

        Whether a write knew of another is told by the document itself: each write says what it was made upon
        (YATA's left origins). So it does not depend on clocks, and what was written in an earlier run counts. The
        device that lost a value notes it always (unless it is killed between saving an update and noting); the
        one whose value was kept, if it heard of the other one before that had given it up. Of a value that was
        replaced before it was sent only the last one counts. A device that only passes writes on notes nothing.
        The other device is the one that wrote, whoever passed it on. A deletion from a list does not say whose it
        is, and of Yjs clients nothing is known: then ``via`` is True, and the device is the one that brought it.

        Deleting a plain value that is no default leaves no trace that says what it knew. That another device
        wrote such an entry again is noted if this device was in touch with nobody from the deletion on until they
        met, and had the structure open in one program. Of a list element that was deleted here and assigned
        elsewhere only the other device knows. Moves, and removals of containers, which come in a long answer are
        noted some seconds later.

        Kept are the newest 1,000, up to 4 MiB, in the state folder, or with ``persist=False`` in memory. Raises
        UsageError for a structure without a document, and StorageError if the file cannot be read.
        """
        return self._replica.conflicts.all()

    # --- the end -------------------------------------------------------------------------------------------

    def wait_synced(self, timeout: float | None = None) -> None:
        """Return once every peer has what was written here, and this device has what they held at the call.

        Waited for are the peer at each ``connect`` address, and each that is connected: it must have confirmed
        that what was written here before the call is in its op log; what it held when it was asked is here. Others
        are not waited for: with ``sync=True``, or a Peer that only listens, this returns where nobody is there, at
        the latest after the three seconds that devices on the local network have to be found. ``status().synced``
        tells of all devices that are known, also those that are off.

        ``timeout`` is in seconds. Raises SyncTimeout, naming the peers that did not answer in time, KindMismatch
        if a peer has a structure of another kind under this name, and DocumentsDiffer if a peer turned out to hold
        something else although it has the same updates.
        """
        self._replica.sharing.wait_synced(timeout)

    async def synced(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - it has to name the peers
        """Return when ``wait_synced`` would, without blocking the event loop; raises what it raises.

        It does not wait for devices that are off and have no address here: ``status().synced`` tells of all.
        Changes that arrive meanwhile are applied by the loop, as always.
        """
        await self._replica.sharing.synced(timeout)

    @property
    def presence(self) -> Presence:
        """What this device shows to the others that are there, and what they show: a small dict for each.

        ``tracker(x).presence['cursor'] = 3`` shows it, ``presence.others`` are the other devices, and
        ``presence.on(callback)`` tells who comes, changes and goes. It is never stored. Offline, nobody else is
        there.
        """
        return self._replica.presence

    @presence.setter
    def presence(self, shown: Presence) -> None:
        """Take what ``tracker(x).presence |= {...}`` assigns; raises UsageError for all else."""
        if shown is not self._replica.presence:
            raise UsageError("presence cannot be replaced: assign to its keys, or call presence.update({...})")

    def status(self) -> SyncStatus:
        """Return how far the other devices are with this structure; printed, it is a table.

        Its ``devices`` has an entry for each device that is connected, that a ``connect`` address leads to, or
        that was linked before: what each has confirmed to hold in its op log is remembered over restarts, so that
        ``pending`` and ``durable`` are known while it is offline, too. (After a crash more may count as pending
        than is, until the devices meet.) Another process that has it open in the same folder is no other device.
        Raises TransactionBusy if another asyncio task has a transaction open.
        """
        return self._replica.sharing.status()

    def forget(self, device: DeviceStatus | str) -> None:
        """Forget a device that will not come back, whose folder was lost, say: ``status`` tells of it no more.

        ``device`` is an entry of ``status().devices``, or its ``id``. One that does come back is met again like
        any other. Raises UsageError for one that is connected, or not known, StructureClosed and StorageError.
        """
        forget(self._replica, device)

    def on_status(self, callback: Callable[[SyncStatus], object]) -> StatusSubscription:
        """Call back with ``status()`` whenever it has changed: a device came or went, confirmed or is behind.

        Return a subscription: call it, or use it as a context manager, to end it. Callbacks run where
        ``dispatch=`` has changes of others arrive (in asyncio programs the loop), or else in a thread of their
        own; no lock is held. Several changes within a moment are one call. What a callback raises is logged.
        Raises StructureClosed.
        """
        return self._replica.sharing.on_status(callback)

    def close(self) -> None:
        """Write what is to be written, leave the peers and give the files free.

        The structure stays readable, unless it is in a database; writing to it raises StructureClosed. Closing
        twice is fine. Raises UsageError inside a transaction, and StorageError if the readable file could not be
        written; the op log has everything even then.
        """
        self._replica.close()
