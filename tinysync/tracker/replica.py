"""One replica of a structure: its transactions, and the order in which a change takes effect."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from tinysync.crdt.document import Document
from tinysync.errors import (
    BadUpdate,
    EngineFailure,
    StorageError,
    StructureClosed,
    UsageError,
)
from tinysync.model import NOT_KEPT, History
from tinysync.tracked.adopt import make_container
from tinysync.tracked.local import LocalDocument
from tinysync.tracked.plain import plain
from tinysync.tracker.calls import Call
from tinysync.tracker.conflicts import Conflicts
from tinysync.tracker.inbox import Inbox
from tinysync.tracker.known_devices import KnownDevices
from tinysync.tracker.lock import AT_ONCE, Hold, TransactionLock
from tinysync.tracker.notify import Notifier
from tinysync.tracker.presence import Presence
from tinysync.tracker.receiver import Receiver
from tinysync.tracker.sharing import Sharing
from tinysync.tracker.tracker import Tracker
from tinysync.tracker.transaction import Transaction
from tinysync.tracker.undoing import Undoing
from tinysync.tracker.unpersisted import rebuild_from_itself
from tinysync.transport.eventloop import current_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op
    from tinysync.model import Conflict, Kind, Origin
    from tinysync.storage.atomic import Durability
    from tinysync.tracked.base import Tracked
    from tinysync.tracked.detached import DetachedEdit
    from tinysync.tracked.edit import Edit
    from tinysync.tracker.changed import Changed
    from tinysync.tracker.diffs import Mark
    from tinysync.tracker.inbox import Dispatch
    from tinysync.tracker.lock import Taken
    from tinysync.tracker.notify import Callback
    from tinysync.tracker.place import Place
    from tinysync.tracker.schema import Schema

logger = logging.getLogger("tinysync")

CLOSED: Final = "it was closed; track it again to go on"


class Replica:
    """What is behind a tracked structure on this device; programs get its ``handle``.

    A change takes effect in this order: checked, live structure, document, op log, readable file, peers,
    callbacks. An error up to the op log leaves all of them as they were.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        name: str | None = None,
        version: int = 0,
        callback: Callback | None = None,
        conflict_callback: Callable[[Conflict], object] | None = None,
        dispatch: Dispatch | None = None,
        disk: Place | None = None,
        local: LocalDocument | None = None,
        holds_anything: bool = False,
        durability: Durability = "os",
        history: History | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.disk = disk
        self._document = local or Document(kind, self._make_container, version)
        self.holds_anything = holds_anything
        self.durability: Durability = durability
        self.history = history or History()
        self.notifier = Notifier(name)
        self.lock = TransactionLock(self.notifier, self._lock_is_free)
        self._calls = Transaction()
        """The transaction of single calls."""
        self.transaction = self._calls
        self.changed: Changed | None = None
        """What changed since the last mark; None: there is no mark."""
        self.last_mark: Mark | None = None
        self.inbox = Inbox(dispatch, self.lock, name, is_held=self._is_at_closing)
        self.known = KnownDevices(NOT_KEPT)
        """The other devices that have the structure."""
        self.sharing = Sharing(self)
        self.presence = Presence(self)
        self.undoing = Undoing(self)
        self.conflicts = Conflicts(self)
        self.receiver = Receiver(self)
        self.schema: Schema | None = None
        """The types that edits of this program are checked against, if the structure is a typed one."""
        self.handle = Tracker(self)
        self._closed: str | None = None
        """Why the structure can no more be written to, and what to do."""
        self._closing: threading.Lock | None = None
        """Locked while the thread that began to close the structure last is at it."""
        self._suspect = False
        """Whether a change failed and could not be taken back: then the document is read again before anything."""
        self._close_listeners: list[Callable[[], object]] = []
        self.add_callbacks(callback, conflict_callback)

    def add_callbacks(
        self, callback: Callback | None, conflict_callback: Callable[[Conflict], object] | None
    ) -> None:
        """Call these back from now on, if they are given."""
        if callback is not None:
            self.notifier.add(callback)
        if conflict_callback is not None:
            self.notifier.add_for_conflicts(conflict_callback)

    @property
    def closed(self) -> bool:
        """Whether the structure can no more be written to."""
        return self._closed is not None

    @property
    def document(self) -> Document:
        """The document; raises UsageError if the structure has none."""
        if isinstance(self._document, LocalDocument):
            raise UsageError(self._document.reason)
        return self._document

    def reading(self) -> Hold:
        """Hold the lock for reading the document; waits while a transaction is open elsewhere."""
        return Hold(self.lock, self._see_that_it_is_whole, to_read=True)

    def changing(self) -> Hold:
        """Hold the lock for what may change the structure; waits also while another thread calls back."""
        return Hold(self.lock, self._see_that_it_is_whole, to_read=False)

    def _see_that_it_is_whole(self) -> None:
        if self._suspect:
            self._repair()

    def _make_container(self, kind: Kind, node: Node) -> Any:
        return make_container(kind, node, self)

    @property
    def root(self) -> Any:
        """The tracked structure."""
        return self._document.root.container

    # --- transactions --------------------------------------------------------------------------------------

    def edit(
        self,
        container: Tracked,
        func_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
        /,
    ) -> AbstractContextManager[Edit | DetachedEdit]:
        """Return the context in which a mutating call makes its edits."""
        return Call(self, container, func_name, args, kwargs)

    def put_plain(self, container: Any, key: str, value: Any, /) -> bool:
        """Make the commonest call, ``container[key] = value`` with a plain value, without a Call."""
        lock = self.lock
        if lock.blocks and lock.is_mine():
            return self._put_plain(container, key, value)
        taken: Taken = []
        try:
            # Here, not in a method of the lock: it is the hot path.
            taken.extend(filter(None, map(lock.take, AT_ONCE)))
            if not taken:
                lock.wait_for_holder(taken)
            if lock.teller is not None and not lock.is_calling_back:
                return False
            if not self._put_plain(container, key, value):
                return False
            self.commit()
        except BaseException:
            if taken:
                self.drop_uncommitted()
            raise
        else:
            return True
        finally:
            try:
                if lock.to_tell and taken:
                    lock.release(taken)
            finally:
                if taken:
                    lock.give()
                    if lock.jobs or lock.tasks:
                        lock.freed()

    def _put_plain(self, container: Any, key: str, value: Any) -> bool:
        transaction, node, task = self.transaction, container._node, self.lock.task
        if self._closed is not None or self._suspect or self.schema or not node.attached:
            return False
        if task is not None and task is not current_task():
            return False
        journal = transaction.journal
        mark = len(journal.ops)
        try:
            if not journal.put_plain(node, key, value):
                return False
            if self.notifier.subscriptions:
                transaction.note(self, container, "__setitem__", (key, value), None, mark=-1)
        except BaseException:
            journal.rollback(mark)
            raise
        return True

    def __enter__(self) -> Self:
        self._begin_block()
        return self

    async def __aenter__(self) -> Self:
        taken: Taken = []
        await self.lock.acquire_async(taken)
        self._begin_block(taken)
        return self

    def _begin_block(self, taken: Taken | None = None, *, origin: Origin = "local") -> None:
        lock, depth = self.lock, None
        taken = [] if taken is None else taken
        try:
            if not taken:
                lock.acquire(taken)
            depth = len(lock.blocks)
            self.check_open()
            if not depth:
                self.transaction = Transaction(origin=origin, keep_key_order=True)
            self.transaction.begin_block()
            lock.begin_block(taken)
        except BaseException:
            if depth is not None:
                self._drop_block(depth)
                if depth < len(lock.blocks):
                    lock.release(lock.blocks)
            if taken:
                lock.release(taken)
            raise

    def _drop_block(self, depth: int) -> None:
        """Leave a block that an interrupt kept from beginning, or ending, as if it had failed."""
        if depth < len(self.transaction.marks):
            self.transaction.end_block(failed=True)
        if not depth:
            self.lock.end_blocks()
            self.drop_uncommitted()

    def drop_uncommitted(self) -> None:
        """Take back what an outermost transaction did that an interrupt kept from being committed."""
        transaction = self.transaction
        if not self._suspect and not self.lock.blocks[1:]:
            if transaction.journal.ops:
                transaction.journal.rollback()
            transaction.finish()
            self.transaction = self._calls

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        lock, depth, is_mine = self.lock, 0, True
        try:
            is_mine = lock.is_mine()
            if is_mine:
                depth = len(lock.blocks) - 1
                self.transaction.end_block(failed=error is not None)
                if not depth:
                    lock.end_blocks()
                    self.commit()
        except BaseException:
            self._drop_block(depth)
            raise
        finally:
            if is_mine:
                try:
                    lock.release(lock.blocks)
                except BaseException:
                    if len(lock.blocks) > depth:  # an interrupt before anything was done
                        lock.blocks.pop()
                        lock.give()
                    raise
        if not is_mine:
            raise UsageError(
                "a 'with' block has to be left by the thread that has entered it, and this one has not; if another"
                " thread has, it can still leave it"
            )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def commit(self) -> None:
        """Make the journal take effect; called with the lock held, at the end of the outermost transaction."""
        transaction = self.transaction
        ops = transaction.journal.ops
        if not ops:
            self.transaction = self._calls
            return
        # Until it is known to be everywhere or nowhere. What fails here may fail anywhere: an interrupt, a stack
        # that is used up.
        self._suspect = True
        try:
            updates = self._document.commit(ops)
            if self.disk is not None:
                self.disk.record(self, transaction.origin, ops, updates)
            # The change is made: nothing takes it back any more.
            transaction.journal.ops = []
        except BaseException as error:
            self._take_back(transaction, error)
            raise
        self._suspect = False
        changes = transaction.finish()
        self.transaction = self._calls
        if self.changed is not None:
            self.changed.note(ops)
        if len(ops) > 1:
            transaction.journal.rank_removals(ops)
        self.undoing.note(ops, transaction.origin)
        if changes:
            # They are told when the lock is given back.
            self.notifier.put(changes, transaction.origin, self.undoing.cause_of_answers())
        self._take_effect(updates)

    def _take_back(self, transaction: Transaction, error: BaseException) -> None:
        """Set everything back to before a transaction that could not be written into document and op log.

        What is not in the op log must not be anywhere, or all that builds on it is lost at the next opening.
        """
        # Else it is not known how far it got.
        written = isinstance(error, StorageError) or isinstance(self._document, LocalDocument)
        failed = list(transaction.journal.ops) if written else None
        transaction.journal.rollback()
        transaction.finish()
        self.transaction = self._calls
        if isinstance(error, EngineFailure):
            self._stop(str(error))
        else:
            self.rebuild(failed)
        self._suspect = False

    def _repair(self) -> None:
        """Read the document again, because a change failed and so did taking it back."""
        if not self.lock.blocks:
            self._calls = self.transaction = Transaction()
            self.rebuild()
            self._suspect = False

    def rebuild(self, failed: list[Op] | None = None) -> None:
        """Bring the document back to what is on disk, or in memory without one; if that fails, stop writing."""
        try:
            if failed is None:
                self.undoing.clear()
            if self.disk is None:
                self.sharing.publish(rebuild_from_itself(self.document))
                return
            self._document.rebuild(self.disk.reread(), failed)
        except (BadUpdate, EngineFailure, StorageError) as error:
            self._stop(f"its document failed and could not be read again: {error}")

    def _stop(self, reason: str) -> None:
        """Write no more: what is on disk is whole, what is in memory may not be."""
        self._closed = f"{reason}{' Then' if reason.endswith('.') else ';'} track it again to go on"
        self.sharing.close(failed=True)
        if self.disk is not None:
            self.disk.abandon()
            self.disk = None
        self._tell_closed()

    def fail(self, error: EngineFailure) -> None:
        """Stop because of what no call of the program can be told."""
        logger.error("The structure %r is closed: %s. What is on disk is whole: track it again.", self.name, error)
        self._stop(str(error))

    def _take_effect(self, updates: list[bytes]) -> None:
        """Do what follows the op log: readable file, peers."""
        try:
            if self.disk is not None:
                self.disk.save(self)
        finally:
            self.sharing.publish(updates)

    def edit_from_file(self, edit: Callable[[Any], None]) -> None:
        """Run a function that brings a hand edit of the readable file into the structure, as one transaction."""
        self._begin_block(origin="file")
        try:
            edit(self.root)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        self.__exit__(None, None, None)

    def _lock_is_free(self) -> None:
        self.inbox.call()

    # --- the end -------------------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """Return a consistent plain copy of the structure."""
        with self.reading():
            return plain(self.root)

    def flush(self) -> None:
        """Write the readable file and have the disk hold all of it."""
        with self.changing():
            if self.lock.blocks:
                raise UsageError("what a transaction changes is saved at its end; flush the structure after that")
            if self.disk is not None and self._closed is None:
                self.disk.flush(self)

    def close(self, reason: str = CLOSED) -> None:
        """Write what is to be written, leave the peers and give the files free.

        What peers have sent and is not applied yet is not acknowledged: it comes again when the devices meet.
        ``reason`` is what those are told who write to it from then on.
        """
        closing = threading.Lock()
        closing.acquire()
        try:
            with self.changing():
                if self.lock.blocks:
                    raise UsageError(
                        "a structure cannot be closed inside a transaction, which is saved at its end; close it"
                        " then"
                    )
                self._closing = closing
            self.sharing.close()
            with self.changing():
                if self._closed is None:
                    self._close(reason)
        finally:
            # One call of C, as an interrupt may come after any.
            closing.release()
            self.inbox.call()

    def _close(self, reason: str) -> None:
        self.conflicts.close()
        try:
            if self.disk is not None:
                self.disk.close(self)
        finally:
            self._closed = reason
            self.disk = None
            self._tell_closed()

    def is_being_closed(self) -> bool:
        """Whether another thread is closing the structure, and does not wait for this one meanwhile."""
        return self._is_at_closing() and not (self.lock.is_mine() or self.lock.is_calling_back)

    def _is_at_closing(self) -> bool:
        """Whether a thread is closing the structure."""
        closing = self._closing
        return closing is not None and closing.locked()

    def wait_closed(self) -> None:
        """Wait until nobody is closing the structure."""
        closing = self._closing
        if closing is not None:
            with closing:
                pass

    def _tell_closed(self) -> None:
        for listener in self._close_listeners:
            listener()

    def on_close(self, listener: Callable[[], object]) -> None:
        """Call this when the structure was closed."""
        self._close_listeners.append(listener)

    def abandon(self, reason: str) -> None:
        """Stop writing, without touching anything: this is a fork's copy."""
        self._closed = f"{reason}; track it again to go on"
        self.disk = None
        # Whoever held the lock is not in this process.
        self.lock = TransactionLock(self.notifier, self._lock_is_free)

    def check_open(self) -> None:
        """Raise StructureClosed unless the structure can be written to."""
        if self._suspect:
            self._repair()
        if self._closed is not None:
            what = f"the structure {self.name!r}" if self.name is not None else "the structure"
            raise StructureClosed(f"{what} cannot be changed: {self._closed}")
