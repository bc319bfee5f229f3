"""The readable file of a structure, kept the same as the structure, and the other way round.

Several processes may have the structure open. What one of them does to the file, and to the notes about it, it
does under the folder's lock, when it has what all of them have written: so the file never goes back in time, and a
hand edit is taken in by one of them, as an edit of what the file said.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import warnings
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import (
    DocumentInUse,
    InvalidValue,
    KindMismatch,
    StorageError,
    TinySyncError,
    TinySyncWarning,
    UnreadableFile,
)
from tinysync.storage.lock import PATIENCE
from tinysync.storage.merge import apply_edits
from tinysync.storage.oplog_contract import SNAPSHOT_KIND
from tinysync.storage.readable import Edited, ReadableFile, Unreadable, Untouched, Written, refused
from tinysync.storage.recovery import own_clients
from tinysync.storage.settling import StillWritten
from tinysync.tracked.plain import plain
from tinysync.tracker.authors import Credit, credit_of
from tinysync.tracker.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.model import DeviceId, Origin
    from tinysync.storage.lock import FolderLock
    from tinysync.storage.names import Paths
    from tinysync.storage.oplog_contract import OpLog
    from tinysync.storage.plain import Vocabulary
    from tinysync.storage.readable import Status
    from tinysync.storage.records import OpRecord
    from tinysync.tracker.replica import Replica

logger = logging.getLogger("tinysync")

SMALL: Final = 4 * 1024
"""A readable file up to so many bytes is written before each call that changes the structure returns."""

MEDIUM: Final = 64 * 1024
"""One up to so many bytes is, too, unless that was done within the last WRITE_BEHIND seconds."""

WRITE_BEHIND: Final = 0.3
"""Seconds after a change at which the readable file is written otherwise: many changes in a row at once."""

RESTS: Final = 3
"""So many times as long as writing a large file took, it is not written again: there is more to do."""

_IN_THE_LOG: Final = "The change itself is in the op log."

MOST_ROUNDS: Final = 3
"""So many times in a row a hand edit is taken in instead of writing the file, before others have their turn."""

MOMENT: Final = 0.25
"""Seconds for which a call waits for the folder's lock, before it leaves the readable file for later."""


class View:
    """Brings a structure and its readable file together; used under the structure's lock.

    ``vocabulary`` is what the file can say, ``log`` the structure's op log, ``lock`` the folder's.
    """

    def __init__(
        self, paths: Paths, readable: ReadableFile, vocabulary: Vocabulary, log: OpLog, lock: FolderLock
    ) -> None:
        self._path = paths.readable
        self._readable = readable
        self._vocabulary = vocabulary
        self._log = log
        self._lock = lock
        self._device: DeviceId | None = None
        self._timer: threading.Timer | None = None
        self._due_at = 0.0
        """When the timer goes off."""
        self._trouble = Trouble()
        self._changes = 0
        """The number of the last change."""
        self._saved = 0
        """The number of the last change that the readable file shows."""
        self._size = 0
        """How large the readable file was when it was last written."""
        self._written_at = -math.inf
        self._took = 0.0
        """Seconds that writing the file took, when it was last written behind."""
        self._closed = False
        self._behind = threading.Lock()
        """Held while the file is written without the structure's lock; taken before the folder's lock."""
        self._meeting = False
        """Whether the two are just being brought together: what changes meanwhile is written at the end."""
        self._refused: tuple[bytes, UnreadableFile] | None = None
        """What the file holds, and why it is not taken, if it is of another kind."""
        self._is_unread = False
        """Whether the file could not be read when it was last to be taken in."""
        self._asked: set[bool] = set()
        """Whether ``meet_soon`` waits for its turn, with and without the readable file."""
        self._reported = ""
        """The problem that was logged last, so that it is logged once."""

    @property
    def _unsaved(self) -> bool:
        return self._saved < self._changes

    @property
    def _large(self) -> bool:
        return self._size > MEDIUM

    # --- opening, under the folder's lock ------------------------------------------------------------------

    def status(self) -> Status:
        """Tell what became of the readable file; raises UnreadableFile if it does not parse."""
        status = self._readable.status()
        if isinstance(status, Unreadable):
            raise status.error
        return status

    def value(self, status: Status) -> Any | None:
        """Return what the readable file holds, None if it holds nothing."""
        return status.file_value if isinstance(status, Edited) else self._readable.value()

    def open(self, replica: Replica, status: Status, device: DeviceId, *, taken: bool) -> None:
        """Take in a hand edit that was made while the structure was closed, and write the file if it is behind.

        ``taken``: the edit is in the structure already.
        """
        self._device = device
        self._note_size()
        if isinstance(status, Untouched) and self.is_up_to_date():
            return
        self._changes += 1
        if self._large and not isinstance(status, Edited):
            self._save_later(replica)
            return
        with self._together():
            if isinstance(status, Edited):
                if not taken:
                    self._edit(replica, status)
                self._readable.accept(status)
            while not self._write(replica):
                self._take_in_edit(replica)

    def is_up_to_date(self) -> bool:
        """Tell whether the readable file, if nobody touched it, is known to show all that is in the op log."""
        return self._readable.shows(self._log.position())

    def still_up_to_date(self) -> None:
        """Note that it does, although what is in the op log lies elsewhere now."""
        self._readable.note_shown(self._log.position())

    # --- from the structure to the file --------------------------------------------------------------------

    def save(self, replica: Replica, *, received: bool = False) -> None:
        """Bring the readable file up to date, now or in a moment; what fails is told to who made the change.

        ``received``: that is another device, so the log is told, once.
        """
        self._changes += 1
        if self._meeting:
            return
        if not self._is_due():
            self._save_later(replica)
            return
        try:
            with self._lock.held(MOMENT):
                written = not self._log.news() and self._write(replica, patient=False)
        except (DocumentInUse, StillWritten):
            self._save_later(replica)
        except StorageError as error:
            is_news = self._failed(replica, error)
            if is_news and received:
                self._report(error, _IN_THE_LOG)
            elif is_news:
                # Without a registry, which knows what was warned of before, and not that it had ended.
                text = f"{error} {_IN_THE_LOG}"
                warnings.warn_explicit(text, TinySyncWarning, "tinysync", 0, module="tinysync")
        except BaseException:
            self._save_later(replica)
            raise
        else:
            if not written:
                self.meet_soon(replica)

    def _is_due(self) -> bool:
        if self._size <= SMALL:
            return True
        return not self._large and self._timer is None and time.monotonic() - self._written_at >= WRITE_BEHIND

    def flush(self, replica: Replica) -> None:
        """Write the readable file if it is behind; raises StorageError or UnreadableFile."""
        self._cancel_timer()
        if self._unsaved:
            refused = self._meet(replica, PATIENCE, write=True)
            if refused is not None:
                raise refused

    def _write(self, replica: Replica, *, patient: bool = True) -> bool:
        """Write the file, under the folder's lock; return False if it was edited and is to be taken in first.

        Raises UnreadableFile, and leaves the file alone, if it does not parse or is of another kind; StillWritten
        if it may be half written, unless ``patient``: then that is waited for.
        """
        if not self._unsaved:
            return True  # the thread that writes behind was faster
        outcome = self._readable.write(replica.root, position=self._log.position(), patient=patient)
        if isinstance(outcome, Unreadable):
            raise outcome.error
        if isinstance(outcome, Edited):
            if self._refused is not None and self._refused[0] == outcome.content:
                raise self._refused[1]
            return False
        self._note_written(self._changes)
        return True

    def _save_later(self, replica: Replica, delay: float | None = None) -> None:
        delay = max(WRITE_BEHIND, RESTS * self._took) if delay is None else delay
        due_at = time.monotonic() + delay
        if self._timer is not None and due_at < self._due_at:
            self._cancel_timer()  # a change is not kept waiting by what failed before
        if self._timer is None and not self._closed:
            timer = threading.Timer(delay, self._save_behind, [replica])
            timer.daemon = True
            # An interpreter that is about to end begins no threads; all is written at exit.
            with suppress(RuntimeError):
                timer.start()
                self._timer, self._due_at = timer, due_at

    def _failed(self, replica: Replica, error: StorageError) -> bool:
        """Have the file written in a while, with the lock held; return whether what went wrong is to be told."""
        delay = self._trouble.retry_after(error)
        if delay is not None:
            self._save_later(replica, delay)
        return self._trouble.is_new(error)

    def _save_behind(self, replica: Replica) -> None:
        """Write the readable file from a copy, so that the program can go on meanwhile."""
        try:
            with ExitStack() as held:
                with replica.reading():
                    self._timer = None
                    if self._is_unread and not self._closed:
                        self.meet_soon(replica)  # it may be an edit
                    if self._closed or not self._unsaved:
                        return
                    if not self._behind.acquire(blocking=False):
                        # It is just being written. Nobody waits for that with the structure's lock held.
                        self._save_later(replica)
                        return
                    # Released last: who closes waits for it, and then takes the folder's lock away.
                    held.callback(self._behind.release)
                    held.enter_context(self._lock.held(0))
                    written = not self._log.news()
                    if written:
                        self._written_at = time.monotonic()
                        change, copy = self._changes, plain(replica.root)
                        position = self._log.position()
                if written:
                    outcome = self._readable.write(copy, position=position, patient=False)
                    written = isinstance(outcome, Written)
                    self._took = time.monotonic() - self._written_at
                    if written:
                        self._note_written(change)
        except (DocumentInUse, StillWritten):
            with replica.reading():
                self._save_later(replica)
        except StorageError as error:
            with replica.reading():
                is_news = self._failed(replica, error)
            if is_news:
                self._report(error, _IN_THE_LOG)
        else:
            if not written:
                self.meet_soon(replica)

    def _note_written(self, change: int) -> None:
        self._trouble.over()
        self._reported = ""
        self._saved = change
        self._written_at = time.monotonic()
        self._note_size()

    def _note_size(self) -> None:
        try:
            self._size = self._path.stat().st_size
        except FileNotFoundError:
            self._size = 0

    # --- from the file, and from other processes, to the structure -----------------------------------------

    def was_edited(self) -> bool:
        """Tell, from any thread, whether the readable file holds what this process does not know as written."""
        try:
            return self._readable.was_edited()
        except (OSError, StorageError):
            return True  # taking it in says why it cannot be read

    def looks_unfinished(self) -> bool:
        """Tell, from any thread, whether somebody may not have written the readable file to its end yet."""
        return self._readable.looks_unfinished()

    def meet_soon(self, replica: Replica, *, edited: bool = True) -> None:
        """Have the structure take in what others wrote, as soon as it is free, in the thread that is for it.

        ``edited``: the readable file as well; else only what other processes wrote into the op log.
        """
        if edited in self._asked:
            # It may wait for somebody who never came.
            replica.inbox.call()
            return
        self._asked.add(edited)

        def meet() -> None:
            self._asked.discard(edited)
            if self._closed:
                return
            later = not edited or self._large
            try:
                if not edited:
                    self._take_in_others(replica)
                else:
                    # What is wrong with the file, somebody has to correct first.
                    later = self._meet(replica, MOMENT, write=not self._large, patient=False) is None
            except (DocumentInUse, StillWritten):
                self._changes += 1
                later = True
            except StorageError as error:
                later = False
                if self._failed(replica, error):
                    self._report(error)
            except TinySyncError as error:
                self._report(error)
            if later and self._unsaved and not self._closed:
                self._save_later(replica)

        replica.inbox.put(meet)

    def _meet(
        self, replica: Replica, patience: float, *, write: bool, patient: bool = True
    ) -> UnreadableFile | None:
        """Take in what other processes wrote, and hand edits, and then write the file.

        Return why the file is left alone, if it is; raises what ``_write`` does. Unless ``patient`` the file stays
        behind if somebody edits it faster than it is written.
        """
        with self._lock.held(patience), self._together():
            self._take_in_others(replica)
            if self._closed:
                return None
            refused = self._take_in_edit(replica, patient=patient)
            rounds = 0
            while write and refused is None and not self._write(replica, patient=patient):
                rounds += 1
                if rounds == MOST_ROUNDS and not patient:
                    break  # whoever waits for the structure has waited long enough
                refused = self._take_in_edit(replica, patient=patient)
        return refused

    @contextmanager
    def _together(self) -> Iterator[None]:
        meeting, self._meeting = self._meeting, True
        try:
            yield
        finally:
            self._meeting = meeting

    def _take_in_others(self, replica: Replica) -> None:
        for (origin, credit, is_state), group in groupby(self._log.tail(), self._source):
            if self._closed:
                return
            records = list(group)
            replica.document.own.update(own_clients(records))
            updates = [update for record in records for update in record.updates]
            replica.receiver.receive_from_log(updates, origin, credit, is_state=is_state)
            self._changes += 1

    def _source(self, record: OpRecord) -> tuple[Origin, Credit, bool]:
        """Return where a record of another process comes from, and whether it is a compacted state."""
        origin: Origin = "file" if record.kind == "file" else "remote"
        return origin, credit_of(record.meta) or Credit(self._device), record.kind == SNAPSHOT_KIND

    def _take_in_edit(self, replica: Replica, *, patient: bool = True) -> UnreadableFile | None:
        """Bring a hand edit into the structure; return why that cannot be done, once it was reported."""
        try:
            status = self._readable.status(patient=patient)
        except StorageError:
            self._is_unread = True
            raise
        self._is_unread = False
        if isinstance(status, Unreadable):
            self._report(status.error, "What the program changes meanwhile is kept in the op log.")
            return status.error
        if isinstance(status, Edited):
            if self._refused is not None and self._refused[0] == status.content:
                return self._refused[1]
            try:
                self._edit(replica, status)
            except (UnreadableFile, KindMismatch) as error:
                self._refused = status.content, UnreadableFile(str(error))
                self._report(error)
                return self._refused[1]
            self._readable.accept(status)
        # The file is good now: what is wrong with it from here on is news, be it the same.
        self._refused, self._reported = None, ""
        if not isinstance(status, Untouched):
            self._changes += 1
        return None

    def _report(self, problem: TinySyncError, consolation: str = "") -> None:
        """Log a problem, once, however it was met."""
        if str(problem) != self._reported:
            self._reported = str(problem)
            logger.error("%s", f"{problem} {consolation}".rstrip())

    def _edit(self, replica: Replica, edit: Edited) -> None:
        values = edit.base_value, edit.file_value, self._vocabulary, self._path
        try:
            replica.edit_from_file(lambda root: apply_edits(root, *values))
        except InvalidValue as error:
            raise refused(self._path, error) from error

    # --- the end -------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give the file free as it is; nobody writes to it any more when this returns."""
        with self._behind:
            self._closed = True
        self._cancel_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
