"""One replica of a structure: its transactions, and the order in which a change takes effect."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from tinysync.crdt.document import Document
from tinysync.crdt.engine import HalfApplied
from tinysync.errors import (
    BadUpdate,
    EngineFailure,
    StorageError,
    StructureClosed,
    UsageError,
)
from tinysync.model import NOT_KEPT, Change, Delivered, DeviceId, Outcome
from tinysync.tracked.adopt import make_container
from tinysync.tracked.local import LocalDocument
from tinysync.tracked.plain import plain
from tinysync.tracker.calls import Call
from tinysync.tracker.inbox import Inbox
from tinysync.tracker.known_devices import KnownDevices
from tinysync.tracker.lock import TransactionLock
from tinysync.tracker.notify import Notifier, log_all, raise_all
from tinysync.tracker.presence import Presence
from tinysync.tracker.sharing import Sharing
from tinysync.tracker.tracker import Tracker
from tinysync.tracker.transaction import Transaction
from tinysync.tracker.undoing import Undoing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from tinysync.crdt.document import Received
    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op
    from tinysync.crdt.patching import Patch
    from tinysync.model import Kind, Origin
    from tinysync.tracked.base import Tracked
    from tinysync.tracked.detached import DetachedEdit
    from tinysync.tracked.edit import Edit
    from tinysync.tracker.changed import Changed
    from tinysync.tracker.diffs import Mark
    from tinysync.tracker.inbox import Dispatch
    from tinysync.tracker.notify import Callback, Noted
    from tinysync.tracker.place import Place
    from tinysync.tracker.schema import Schema

logger = logging.getLogger("tinysync")


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
        dispatch: Dispatch | None = None,
        disk: Place | None = None,
        local: LocalDocument | None = None,
        holds_anything: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.disk = disk
        self._document = local or Document(kind, self._make_container, version)
        self.holds_anything = holds_anything
        self.lock = TransactionLock(self._lock_is_free)
        self._calls = Transaction()
        """The transaction of single calls."""
        self.transaction = self._calls
        self.notifier = Notifier(name)
        self.changed: Changed | None = None
        """What changed since the last mark; None: there is no mark."""
        self.last_mark: Mark | None = None
        self.inbox = Inbox(dispatch, self.lock.try_acquire, self.lock.release)
        self.known = KnownDevices(NOT_KEPT)
        """The other devices that have the structure."""
        self.sharing = Sharing(self)
        self.presence = Presence(self)
        self.undoing = Undoing(self)
        self.schema: Schema | None = None
        """The types that edits of this program are checked against, if the structure is a typed one."""
        self.handle = Tracker(self)
        self._closed: str | None = None
        self._suspect = False
        """Whether a change failed and could not be taken back: then the document is read again before anything."""
        self._close_listeners: list[Callable[[], object]] = []
        if callback is not None:
            self.notifier.add(callback)

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

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock for reading the document; waits while a transaction is open elsewhere."""
        self.lock.acquire()
        try:
            if self._suspect:
                self._repair()
            yield
        finally:
            self.lock.release()

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
        lock.acquire()
        try:
            transaction = self.transaction
            if self._closed is not None or self._suspect or self.schema or not container._node.attached:
                return False
            if not transaction.journal.put_plain(container._node, key, value):
                return False
            if self.notifier:
                transaction.note(self, container, "__setitem__", (key, value), None, mark=-1)
            if not lock.depth:
                self.commit()
            return True
        finally:
            lock.release()

    def __enter__(self) -> Self:
        self.lock.acquire()
        self._begin_block()
        return self

    async def __aenter__(self) -> Self:
        await self.lock.acquire_async()
        self._begin_block()
        return self

    def _begin_block(self) -> None:
        try:
            self.check_open()
            if not self.lock.depth:
                self.transaction = Transaction(keep_key_order=True)
            self.transaction.begin_block()
            self.lock.begin()
        except BaseException:
            self.lock.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        try:
            self.transaction.end_block(failed=error is not None)
            self.lock.end()
            if not self.lock.depth:
                self.commit()
        finally:
            self.lock.release()

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
        except BaseException as error:
            self._take_back(transaction, error)
            raise
        self._suspect = False
        changes = transaction.finish()
        self.transaction = self._calls
        if self.changed is not None:
            self.changed.note(ops)
        self.undoing.note(ops, transaction.origin)
        self._take_effect(changes, transaction.origin, updates)

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
            self._rebuild(failed)
        self._suspect = False

    def _repair(self) -> None:
        """Read the document again, because a change failed and so did taking it back."""
        if not self.lock.depth:
            self._calls = self.transaction = Transaction()
            self._rebuild()
            self._suspect = False

    def _rebuild(self, failed: list[Op] | None = None) -> None:
        """Bring the document back to what is on disk; without a disk, or if that fails too, stop writing."""
        if self.disk is None:
            self._stop("its document failed, and it is not persisted")
            return
        try:
            if failed is None:
                self.undoing.clear()
            self._document.rebuild(self.disk.reread(), failed)
        except (BadUpdate, EngineFailure, StorageError) as error:
            self._stop(f"its document failed and could not be read again from disk: {error}")

    def _stop(self, reason: str) -> None:
        """Write no more: what is on disk is whole, what is in memory may not be."""
        self._closed = reason
        self.sharing.close(failed=True)
        if self.disk is not None:
            self.disk.abandon()
            self.disk = None
        self._tell_closed()

    def _fail(self, error: EngineFailure) -> None:
        """Stop because of what no call of the program can be told."""
        logger.error("The structure %r is closed: %s. What is on disk is whole: track it again.", self.name, error)
        self._stop(str(error))

    def _take_effect(self, changes: list[Noted], origin: Origin, updates: list[bytes]) -> None:
        """Do what follows the op log: readable file, peers, callbacks."""
        try:
            if self.disk is not None:
                self.disk.save(self)
        finally:
            # Before the callbacks: what these change is then published after what it builds on.
            self.sharing.publish(updates)
        if not changes:
            return
        with self.undoing.followed_up():
            errors = self.notifier.notify(changes)
        if errors:
            if origin == "local":
                raise_all(errors)
            log_all(errors, self.name, origin)

    def edit_from_file(self, edit: Callable[[Any], None]) -> None:
        """Run a function that brings a hand edit of the readable file into the structure, as one transaction."""
        self.lock.acquire()
        try:
            self.transaction = Transaction(origin="file", keep_key_order=True)
            self.transaction.begin_block()
            self.lock.begin()
            failed = True
            try:
                edit(self.root)
                failed = False
            finally:
                self.transaction.end_block(failed=failed)
                self.lock.end()
            self.commit()
        finally:
            self.lock.release()

    # --- updates of others ---------------------------------------------------------------------------------

    def receive(self, updates: list[bytes], device: DeviceId, done: Callable[[Delivered], None]) -> None:
        """Bring updates of another device into the structure; the lock is held.

        ``done`` is called as soon as they are in the op log, before they show.
        """
        received = self._log_received(updates, device, done)
        if received is None:
            return
        changes = self._show(received, "remote", device)
        if changes is None:
            return
        if self.disk is not None:
            self.disk.save(self)
        if changes:
            log_all(self.notifier.notify(changes), self.name, "remote")

    def receive_from_log(
        self, updates: list[bytes], origin: Origin, device: DeviceId | None, *, is_state: bool
    ) -> None:
        """Bring in updates that another process has put into the op log; the lock is held.

        ``is_state``: they are a compacted state, of which most is known. Raises StorageError if they are damaged.
        """
        before = self.document.state_vector() if is_state else b""
        try:
            received = self.document.receive(updates, trusted=True)
        except EngineFailure as error:
            self._fail(error)
            return
        except BadUpdate as error:
            if isinstance(error, HalfApplied):
                self._rebuild()
            raise StorageError(f"what another process wrote into the op log cannot be used: {error}") from error
        if not received.new:
            return
        changes = self._show(received, origin, device)
        if self.closed:
            return
        self.sharing.publish(self.document.diff(before) if is_state else updates)
        if changes:
            log_all(self.notifier.notify(changes), self.name, origin)

    def _show(self, received: Received, origin: Origin, device: DeviceId | None) -> list[Noted] | None:
        """Make updates show; return what callbacks are to be told, None if nothing changed."""
        try:
            patches = self.document.show(received)
        except EngineFailure as error:
            self._fail(error)
            return None
        self.undoing.others_wrote(received.touched)
        if not patches:
            return None
        if self.changed is not None:
            self.changed.note_patches(patches)
        return self._remote_changes(patches, origin, device) if self.notifier else []

    def _remote_changes(self, patches: list[Patch], origin: Origin, device: DeviceId | None) -> list[Noted]:
        changes = [
            Change(
                self.root,
                self.name,
                patch.node.path() if patch.node.attached else [],
                patch.func_name,
                patch.args,
                {},
                patch.node.container,
                origin,
                device,
            )
            for patch in patches
        ]
        return self.notifier.note_patches(changes, patches)

    def _log_received(
        self,
        updates: list[bytes],
        device: DeviceId,
        done: Callable[[Delivered], None],
    ) -> Received | None:
        """Put updates into the engine and the op log; return None if there is nothing to show."""
        try:
            self.check_open()
            received = self.document.receive(updates)
        except EngineFailure as error:
            self._fail(error)
            done(Delivered(Outcome.FAILED, error))
            return None
        except (BadUpdate, StructureClosed) as error:
            if isinstance(error, HalfApplied):
                self._rebuild()
            done(Delivered(Outcome.FAILED, error))
            return None
        if not received.new:
            done(Delivered(Outcome.PENDING if received.pending else Outcome.DUPLICATE, new=False))
            return None
        try:
            if self.disk is not None:
                self.disk.record(self, "remote", (), received.kept, {"device": device})
        except StorageError as error:
            self._rebuild([])
            done(Delivered(Outcome.FAILED, error))
            return None
        done(Delivered(Outcome.PENDING if received.pending else Outcome.APPLIED))
        return received

    def _lock_is_free(self) -> None:
        self.inbox.call()

    # --- the end -------------------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """Return a consistent plain copy of the structure."""
        with self.reading():
            return plain(self.root)

    def flush(self) -> None:
        """Write the readable file and have the disk hold all of it."""
        with self.reading():
            if self.lock.depth:
                raise UsageError("what a transaction changes is saved at its end; flush the structure after that")
            if self.disk is not None and self._closed is None:
                self.disk.flush(self)

    def close(self) -> None:
        """Write what is to be written, leave the peers and give the files free."""
        with self.reading():
            if self.lock.depth:
                raise UsageError(
                    "a structure cannot be closed inside a transaction, which is saved at its end; close it then"
                )
        self.sharing.close()
        with self.reading():
            if self._closed is not None:
                return
            try:
                if self.disk is not None:
                    self.disk.close(self)
            finally:
                self._closed = "it was closed"
                self.disk = None
                self._tell_closed()

    def _tell_closed(self) -> None:
        for listener in self._close_listeners:
            listener()

    def on_close(self, listener: Callable[[], object]) -> None:
        """Call this when the structure was closed."""
        self._close_listeners.append(listener)

    def abandon(self, reason: str) -> None:
        """Stop writing, without touching anything: this is a fork's copy."""
        self._closed = reason
        self.disk = None
        # Whoever held the lock is not in this process.
        self.lock = TransactionLock(self._lock_is_free)

    def check_open(self) -> None:
        """Raise StructureClosed unless the structure can be written to."""
        if self._suspect:
            self._repair()
        if self._closed is not None:
            what = f"the structure {self.name!r}" if self.name is not None else "the structure"
            raise StructureClosed(f"{what} cannot be changed: {self._closed}; track it again to go on")
