"""A structure's place on disk: its op log and its readable file."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.folding import fold
from tinysync.model import DeviceId, History
from tinysync.storage.failures import storage_errors
from tinysync.storage.lock import PATIENCE, FolderLock
from tinysync.storage.oplog import UNWRITABLE, FileOpLog
from tinysync.storage.oplog_contract import Retention
from tinysync.storage.readable import ReadableFile
from tinysync.storage.records import OpRecord
from tinysync.storage.sessions import has_others
from tinysync.storage.yaml_dump import register_plain_types
from tinysync.tracked.dicts import DictWrapper
from tinysync.tracked.lists import ListWrapper
from tinysync.tracked.sets import SetWrapper
from tinysync.tracker.compacting import Compacting
from tinysync.tracker.scratch import scratch
from tinysync.tracker.view import View
from tinysync.tracker.watching import FileWatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tinysync.crdt.ops import Op
    from tinysync.model import Origin
    from tinysync.storage.atomic import Durability
    from tinysync.storage.format import Format
    from tinysync.storage.names import Paths
    from tinysync.storage.oplog_contract import Opened, Past
    from tinysync.storage.plain import Vocabulary
    from tinysync.tracker.replica import Replica

COMPACT_BYTES: Final = 1024 * 1024
COMPACT_RECORDS: Final = 2000
"""The op log is compacted on opening when it is over one of these; see ``compacting`` for later."""

COMPACT_BYTES_AT_FIRST: Final = 64 * 1024
"""So is one that is smaller, if it is over this and as large as what is compacted already."""


register_plain_types([DictWrapper], [ListWrapper], [SetWrapper])


class Disk:
    """Writes what happens to one structure; used under the structure's lock.

    The op log carries durability; the readable file is a view of it.
    """

    def __init__(
        self,
        paths: Paths,
        file_format: Format,
        vocabulary: Vocabulary,
        durability: Durability = "os",
        history: History | None = None,
    ) -> None:
        self._paths = paths
        self.vocabulary = vocabulary
        self._lock = FolderLock(paths.state)
        self._log = FileOpLog(paths, durability, retention(history or History()), self._lock)
        readable = ReadableFile(paths, file_format, vocabulary, durability)
        self.view = View(paths, readable, vocabulary, self._log, self._lock)
        self._compacting = Compacting(self._log, self.view, self._lock)
        self._watch: FileWatch | None = None
        self.device = DeviceId("")
        """The id of this device, once the op log is open."""
        self._session = ""

    @property
    def path(self) -> Path:
        """The readable file."""
        return self._paths.readable

    # --- op log --------------------------------------------------------------------------------------------

    @contextmanager
    def opening(self) -> Iterator[Opened]:
        """Open the op log and hold the folder's lock, so that of those who open at once one begins.

        Raises what ``OpLog.open`` does; gives the place free if the block fails.
        """
        with storage_errors("open the state folder", self._paths.state, UNWRITABLE):
            self._paths.state.mkdir(parents=True, exist_ok=True)
        with self._lock.held(PATIENCE):
            opened = self._log.open()
            self.device, self._session = opened.device, opened.session
            try:
                yield opened
            except BaseException:
                self.abandon()
                raise

    def has_others(self) -> bool:
        """Tell, from any thread, whether another process has the structure open; raises OSError."""
        return has_others(self._paths.state, self._session)

    def record(
        self,
        replica: Replica,
        origin: Origin,
        ops: Sequence[Op],
        updates: list[bytes],
        meta: dict[str, Any] | None = None,
    ) -> None:
        """Add the updates of a transaction to the op log; raises StorageError."""
        del ops
        self.append(origin, replica.document.engine.client_id, updates, meta)
        self._compacting.note(replica, updates)

    def append(
        self,
        kind: str,
        client: int,
        updates: list[bytes],
        meta: dict[str, Any] | None = None,
    ) -> None:
        """Add updates that were made or received in one go; raises StorageError."""
        self._log.append(OpRecord(kind, time.time_ns() // 1_000_000, client, tuple(updates), meta or {}))

    def reread(self) -> list[bytes]:
        """Return all updates on disk; raises StorageError."""
        return updates_of(self._log.reread())

    def compact_if_large(self, opened: Opened, replica: Replica) -> None:
        """Replace a long op log by a snapshot, unless updates are missing from it."""
        compacted = opened.file_bytes - opened.loose_bytes
        large = opened.loose_bytes > min(COMPACT_BYTES, max(COMPACT_BYTES_AT_FIRST, compacted))
        large = large or len(opened.records) > COMPACT_RECORDS
        if not replica.document.is_complete():
            return
        if large or opened.past_due:
            (update,) = replica.document.diff()
            up_to_date = self.view.is_up_to_date()
            self._log.compact(update, replica.document.prepare())
            if up_to_date:
                self.view.still_up_to_date()
        elif opened.unprepared:
            # It comes from another machine, say: there it stays what it is.
            (update,) = opened.records[0].updates
            document = scratch(replica.kind, [update])
            if document.is_complete():
                self._log.prepare(update, document.prepare())

    def past(self) -> Past:
        """Return the records that are kept for the history; raises StorageError."""
        return self._log.past()

    # --- readable file -------------------------------------------------------------------------------------

    def save(self, replica: Replica, *, received: bool = False) -> None:
        """Bring the readable file up to date, now or in a moment."""
        self.view.save(replica, received=received)

    def watch(self, replica: Replica) -> None:
        """Have hand edits, and what other processes write, taken in from now on."""
        self._watch = FileWatch(replica, self.view, self._log, self._paths)

    def flush(self, replica: Replica) -> None:
        """Write the readable file if it is behind; raises StorageError or UnreadableFile."""
        self.view.flush(replica)

    def close(self, replica: Replica) -> None:
        """Flush, and give the place free in any case."""
        try:
            self.view.flush(replica)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give the place free as it is."""
        if self._watch is not None:
            self._watch.close()
        self._compacting.stop()
        self.view.close()
        self._log.close()


def retention(history: History) -> Retention:
    """Return what an op log is to retain."""
    days = min(history.days, 1e6)
    return Retention(int(days * 86_400_000), int(min(history.megabytes, 1e9) * 1_000_000), fold)


def updates_of(records: list[OpRecord]) -> list[bytes]:
    """Return the updates of records, in order."""
    return [update for record in records for update in record.updates]
