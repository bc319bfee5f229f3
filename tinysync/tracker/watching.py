"""Noticing what others do to the files of an open structure: hand edits, deletions, folders that go away."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from tinysync.errors import TinySyncError
from tinysync.storage.watcher import watcher

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tinysync.storage.names import Paths
    from tinysync.tracker.disk import Disk
    from tinysync.tracker.replica import Replica

Signature = tuple[int, int, int, int] | None
"""What tells one state of a file from another; None if it is not there."""

logger = logging.getLogger("tinysync")

SETTLED: Final = 0.1
"""Seconds without a change after which a file is taken for written to its end."""

UNFINISHED: Final = 1.0
"""The same for a file that is missing, empty, or ends inside a line: somebody may well be writing it."""


class FileWatch:
    """Watches the files of one structure, and has it take in what it finds.

    The work is a job in the structure's inbox, put there by a thread of its own: a callback that takes its time
    keeps neither the files of other structures waiting nor is it run while the program holds the structure.
    """

    def __init__(self, replica: Replica, disk: Disk, paths: Paths) -> None:
        # Who drops a structure without closing it wants it gone.
        self._replica = weakref.ref(replica)
        self._disk = disk
        self._paths = paths
        self._handled = self._seen = signature(paths.readable)
        self._seen_at = 0.0
        self._waiting = False
        self._gone = False
        watcher.add(self)

    def close(self) -> None:
        """Watch no more."""
        watcher.remove(self)

    # --- for the watcher's thread --------------------------------------------------------------------------

    def folders(self) -> Iterable[Path]:
        """Return the folder of the readable file and, if that is a link, of what it leads to."""
        readable = self._paths.readable
        return {readable.parent, readable.resolve().parent}

    def names(self) -> Iterable[str]:
        """Return the readable file's names."""
        readable = self._paths.readable
        return {readable.name, readable.resolve().name}

    def look(self) -> bool:
        """Have the structure take in its readable file once that has been the same for a moment."""
        found, now = signature(self._paths.readable), time.monotonic()
        if found == self._handled:
            self._seen = found
            return False
        if found != self._seen:
            self._seen, self._seen_at = found, now
            return True
        quiet = now - self._seen_at
        if quiet < SETTLED or (quiet < UNFINISHED and not _ends_with_a_line(self._paths.readable)):
            return True
        self._handled = found
        if self._state_is_there() and (found is None or self._disk.was_edited()):
            self._put_job()
        return False

    def _state_is_there(self) -> bool:
        there = self._paths.state.is_dir()
        if there == self._gone:
            self._gone = not there
            if self._gone:
                logger.error(
                    "The folder %s is gone: what changes may be lost. Put it back, or close the structure.",
                    self._paths.state,
                )
        return there

    def _put_job(self) -> None:
        replica = self._replica()
        if replica is None:
            self.close()
        elif not self._waiting:
            self._waiting = True
            threading.Thread(target=replica.inbox.put, args=[self._job], name="tinysync-edit", daemon=True).start()

    # --- with the structure's lock -------------------------------------------------------------------------

    def _job(self) -> None:
        self._waiting = False
        replica = self._replica()
        if replica is None or replica.disk is not self._disk:
            return
        try:
            self._disk.take_in(replica)
        except TinySyncError as error:
            logger.error("%s", error)  # noqa: TRY400 - it says all


def signature(path: Path) -> Signature:
    """Return what changes whenever the file at a path is written to or replaced; links are followed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _ends_with_a_line(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"
    except OSError:
        return False
