"""Compacting the op log of a structure while it is open, when it has outgrown its bounds.

The program waits only while the state is taken out of the document, and while files change their names. What takes
long is done in between, in a thread: reading the op log, seeing what is kept of the past, writing the snapshot.
Whatever ends it, and whoever has the folder open too, there is always either what was there or the snapshot.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, TypeVar

from tinysync.errors import DocumentInUse, StorageError
from tinysync.storage.prepared import MIN_BYTES
from tinysync.tracker.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.storage.compaction import Draft
    from tinysync.storage.lock import FolderLock
    from tinysync.storage.oplog import FileOpLog
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.view import View

Result = TypeVar("Result")

logger = logging.getLogger("tinysync")

BYTES: Final = 4 * 1024 * 1024
RECORDS: Final = 8_000
"""The op log is compacted when it has grown by one of these since it was compacted or opened, ..."""

RECORD_BYTES: Final = 100
SHARE: Final = 2
"""... and by so many times the size of the last snapshot, a record counting as so many bytes at least, ..."""

AGE: Final = 86_400.0
"""... or has grown and so many seconds have passed: what is too old of the past is let go then."""

_PAUSE: Final = 0.1
_PATIENCE: Final = 60.0
"""Seconds between two looks whether nobody has the folder's lock, and for which it is looked."""


class Compacting:
    """Watches how an op log grows, and compacts it; used under the structure's lock."""

    def __init__(self, log: FileOpLog, view: View, lock: FolderLock) -> None:
        self._log = log
        self._view = view
        self._lock = lock
        self._bytes = self._records = 0
        """How much the op log has grown."""
        self._least = 0
        self._since = time.monotonic()
        self._thread: threading.Thread | None = None
        self._writing = threading.Lock()
        """Held while files are written without the structure's lock."""
        self._stopped = threading.Event()

    def note(self, replica: Replica, updates: list[bytes]) -> None:
        """Note a record that was added, and begin to compact if it is time."""
        self._records += 1
        self._bytes += sum(map(len, updates))
        if self._is_due() and self._thread is None and not self._stopped.is_set():
            # Who drops a structure without closing it wants it gone.
            reference = weakref.ref(replica)
            thread = threading.Thread(target=self._run, args=[reference], name="tinysync-compact", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # an interpreter that is about to end begins no threads
                self._thread = None

    def _is_due(self) -> bool:
        if self._bytes <= BYTES and self._records <= RECORDS:
            return time.monotonic() - self._since > AGE
        return self._bytes + RECORD_BYTES * self._records >= self._least

    def stop(self) -> None:
        """Write nothing any more; what is being written is finished, or as if it had not been begun."""
        self._stopped.set()
        with self._writing:
            pass

    # --- in the thread -------------------------------------------------------------------------------------

    def _run(self, reference: weakref.ref[Replica]) -> None:
        try:
            replica = reference()
            if replica is not None:
                self._compact(replica)
        except (DocumentInUse, StorageError) as error:
            if not self._stopped.is_set():
                logger.warning("%s It is tried again when the op log has grown as much once more.", error)
        finally:
            self._thread = None

    def _compact(self, replica: Replica) -> None:
        with replica.reading():
            self._bytes = self._records = 0
            self._since = time.monotonic()
            if self._stopped.is_set() or not replica.document.is_complete():
                return
            write = self._log.begin_compaction()
            (update,) = replica.document.diff()
        self._least = SHARE * len(update)
        prepared = None
        if len(update) >= MIN_BYTES:
            # Not of the structure's own document, which must not be held up: nobody waits for another one.
            document = scratch(replica.kind, [update])
            prepared = document.prepare()
            document.give_up()
            del document
        written = self._patiently(lambda: self._write(write, update, prepared))
        if written is None:
            return
        try:
            self._patiently(lambda: self._end(replica, written))
        except BaseException:
            written.discard()
            raise

    def _patiently(self, attempt: Callable[[], Result]) -> Result:
        """Do what needs the folder's lock, which others have for moments, or for as long as a large file takes."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return attempt()
            except DocumentInUse:
                if time.monotonic() > deadline:
                    raise
                self._stopped.wait(_PAUSE)

    def _write(
        self, write: Callable[[bytes, bytes | None], Draft], update: bytes, prepared: bytes | None
    ) -> Draft | None:
        with self._writing:
            return None if self._stopped.is_set() else write(update, prepared)

    def _end(self, replica: Replica, written: Draft) -> None:
        with replica.reading():
            if self._stopped.is_set():
                written.discard()
                return
            with self._lock.held(0):
                up_to_date = self._view.is_up_to_date()
                if self._log.end_compaction(written) and up_to_date:
                    self._view.still_up_to_date()
