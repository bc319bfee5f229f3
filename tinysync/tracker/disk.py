"""A structure's place on disk: its op log and its readable file."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.folding import fold
from tinysync.errors import KindMismatch, StorageError, TinySyncWarning
from tinysync.model import History
from tinysync.storage.merge import apply_edits
from tinysync.storage.oplog import FileOpLog
from tinysync.storage.oplog_contract import Retention
from tinysync.storage.readable import Edited, ReadableFile, Unreadable, Untouched, Written
from tinysync.storage.records import OpRecord
from tinysync.storage.yaml_dump import register_plain_types
from tinysync.tracked.dicts import DictWrapper
from tinysync.tracked.lists import ListWrapper
from tinysync.tracked.plain import plain
from tinysync.tracked.sets import SetWrapper
from tinysync.tracker.watching import FileWatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tinysync.crdt.ops import Op
    from tinysync.model import Origin
    from tinysync.storage.atomic import Durability
    from tinysync.storage.format import Format
    from tinysync.storage.names import Paths
    from tinysync.storage.oplog_contract import Opened, OpLog, Past
    from tinysync.storage.plain import Vocabulary
    from tinysync.storage.readable import Status
    from tinysync.tracker.replica import Replica

logger = logging.getLogger("tinysync")

SMALL: Final = 64 * 1024
"""A readable file up to so many bytes is written before the call that changed the structure returns."""

WRITE_BEHIND: Final = 0.3
"""Seconds after a change at which a larger readable file is written."""

COMPACT_BYTES: Final = 1024 * 1024
COMPACT_RECORDS: Final = 2000
"""The op log is compacted on opening when it is over one of these."""


register_plain_types([DictWrapper], [ListWrapper], [SetWrapper])


class Disk:
    """Writes what happens to one structure; used under the structure's lock.

    The op log carries durability; the readable file is a view of it, and is written before a call returns while
    it is small, else a moment later.
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
        self._path = paths.readable
        self.vocabulary = vocabulary
        self._log: OpLog = FileOpLog(paths, durability, retention(history or History()))
        self._readable = ReadableFile(paths, file_format, vocabulary, durability)
        self._timer: threading.Timer | None = None
        self._unsaved = False
        self._large = False
        self._writing = False
        self._watch: FileWatch | None = None
        self._reported: Unreadable | None = None
        self._file_lock = threading.Lock()
        """Held while the readable file is written; taken after the structure's lock, if that is needed too."""

    @property
    def path(self) -> Path:
        """The readable file."""
        return self._path

    # --- op log --------------------------------------------------------------------------------------------

    def open(self) -> Opened:
        """Take the place for this process and return what is there."""
        return self._log.open()

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
        large = opened.loose_bytes > COMPACT_BYTES or len(opened.records) > COMPACT_RECORDS
        if (large or opened.past_due) and replica.document.is_complete():
            (update,) = replica.document.diff()
            self._log.compact(update)

    def past(self) -> Past:
        """Return the records that are kept for the history; raises StorageError."""
        return self._log.past()

    # --- readable file -------------------------------------------------------------------------------------

    def save(self, replica: Replica) -> None:
        """Bring the readable file up to date, now or in a moment."""
        self._unsaved = True
        if self._large:
            self._save_later(replica)
            return
        try:
            self._write(replica)
        except (StorageError, KindMismatch) as error:
            warnings.warn(f"{error} The change itself is in the op log.", TinySyncWarning, stacklevel=2)

    def _save_later(self, replica: Replica) -> None:
        if self._timer is None:
            self._timer = threading.Timer(WRITE_BEHIND, self._save_behind, [replica])
            self._timer.daemon = True
            self._timer.start()

    def _save_behind(self, replica: Replica) -> None:
        """Write the readable file from a copy, so that the program can go on meanwhile."""
        with replica.reading():
            self._timer = None
            if replica.disk is not self or not self._unsaved:
                return
            self._unsaved = False
            copy = plain(replica.root)
        try:
            with self._file_lock:
                outcome = self._readable.write(copy)
            if not isinstance(outcome, Written):
                with replica.reading():
                    self._write(replica)
        except (StorageError, KindMismatch) as error:
            self._unsaved = True
            logger.error("%s The change itself is in the op log.", error)  # noqa: TRY400 - it says all

    def _write(self, replica: Replica, merged: Edited | None = None) -> None:
        """Write the readable file; a hand edit that is found in it comes into the structure first.

        Raises UnreadableFile, and leaves the file alone, if it was edited and does not parse.
        """
        if self._writing:
            return
        self._writing = True
        try:
            with self._file_lock:
                outcome = self._readable.write(replica.root, merged)
                while isinstance(outcome, Edited):
                    self._take_in(replica, outcome)
                    outcome = self._readable.write(replica.root, outcome)
        finally:
            self._writing = False
        if isinstance(outcome, Unreadable):
            raise outcome.error
        self._unsaved = False
        self._note_size()

    def _note_size(self) -> None:
        try:
            self._large = self._path.stat().st_size > SMALL
        except FileNotFoundError:
            self._large = False

    def status(self) -> Status:
        """Tell what became of the readable file; raises UnreadableFile if it does not parse."""
        status = self._readable.status()
        if isinstance(status, Unreadable):
            raise status.error
        return status

    def readable_value(self, status: Status) -> Any | None:
        """Return what the readable file holds, None if it holds nothing."""
        return status.file_value if isinstance(status, Edited) else self._readable.value()

    def open_readable(self, replica: Replica, status: Status, *, taken: bool) -> None:
        """Take in a hand edit that was made while the structure was closed, and write the file if it is behind.

        ``taken``: the edit is in the structure already.
        """
        merged = status if isinstance(status, Edited) else None
        if merged is not None and not taken:
            self._take_in(replica, merged)
        self._unsaved = True
        self._note_size()
        if self._large and merged is None:
            self._save_later(replica)
        else:
            self._write(replica, merged)

    def _take_in(self, replica: Replica, edit: Edited) -> None:
        replica.edit_from_file(lambda root: apply_edits(root, edit.base_value, edit.file_value, self.vocabulary))

    # --- while it is open ----------------------------------------------------------------------------------

    def watch(self, replica: Replica) -> None:
        """Have hand edits taken in from now on."""
        self._watch = FileWatch(replica, self, self._paths)

    def was_edited(self) -> bool:
        """Tell, from any thread, whether the readable file holds what the program did not write."""
        try:
            return self._readable.was_edited()
        except OSError:
            return True  # taking it in says why it cannot be read

    def take_in(self, replica: Replica) -> None:
        """Bring a hand edit of the readable file into the structure; write the file again if it was deleted.

        A file that does not parse, or holds another kind of structure, is left alone and reported once.
        """
        with self._file_lock:
            status = self._readable.status()
        if isinstance(status, Unreadable):
            if status is not self._reported:
                self._reported = status
                logger.error("%s What the program changes meanwhile is kept in the op log.", status.error)
            return
        if isinstance(status, Edited):
            self._writing = True
            try:
                self._take_in(replica, status)
                with self._file_lock:
                    self._readable.accept(status)
            finally:
                self._writing = False
        if not isinstance(status, Untouched):
            self.save(replica)

    def flush(self, replica: Replica) -> None:
        """Write the readable file if it is behind; raises StorageError or UnreadableFile."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unsaved:
            self._write(replica)

    def close(self, replica: Replica) -> None:
        """Flush, and give the place free in any case."""
        try:
            self.flush(replica)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give the place free as it is."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.close()
        self._readable.close()
        self._log.close()


def retention(history: History) -> Retention:
    """Return what an op log is to retain."""
    days = min(history.days, 1e6)
    return Retention(int(days * 86_400_000), int(min(history.megabytes, 1e9) * 1_000_000), fold)


def updates_of(records: list[OpRecord]) -> list[bytes]:
    """Return the updates of records, in order."""
    return [update for record in records for update in record.updates]
