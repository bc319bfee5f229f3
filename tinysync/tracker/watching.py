"""Noticing what others do to the files of an open structure: hand edits, deletions, folders that go away."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from tinysync.errors import StorageError
from tinysync.storage.settling import UNFINISHED
from tinysync.storage.watcher import watcher

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tinysync.storage.names import Paths
    from tinysync.storage.oplog_contract import OpLog
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.view import View

Signature = tuple[int, int, int, int] | None
"""What tells one state of a file from another; None if it is not there."""

logger = logging.getLogger("tinysync")

SETTLED: Final = 0.1
"""Seconds without a change after which a file is taken for written to its end, unless it does not look so."""


class FileWatch:
    """Watches the files of one structure, and has it take in what it finds.

    That is done in the structure's inbox, to which a thread of its own brings it: a callback that takes its time
    keeps neither the files of other structures waiting nor is it run while the program holds the structure.
    """

    def __init__(self, replica: Replica, view: View, log: OpLog, paths: Paths) -> None:
        # Who drops a structure without closing it wants it gone.
        self._replica = weakref.ref(replica)
        self._view = view
        self._log = log
        self._paths = paths
        self._handled = self._seen = signature(paths.readable)
        self._seen_at = 0.0
        self._is_unfinished: bool | None = None
        """Whether what was seen looks as if somebody was still writing it; None: it was not looked at yet."""
        self._bringing: threading.Thread | None = None
        self._gone = False
        watcher.add(self)

    def close(self) -> None:
        """Watch no more."""
        watcher.remove(self)

    # --- for the watcher's thread --------------------------------------------------------------------------

    def folders(self) -> Iterable[Path]:
        """Return the folder of the readable file, that of what it leads to if it is a link, and the state's."""
        readable = self._paths.readable
        return {readable.parent, readable.resolve().parent, self._paths.state}

    def names(self) -> Iterable[str]:
        """Return the readable file's names, and that of the folder of the state."""
        readable = self._paths.readable
        return {readable.name, readable.resolve().name, self._paths.state.name}

    def look(self) -> bool:
        """Have the structure take in what others wrote; a readable file once it has been the same for a moment."""
        if self._bringing is not None and self._bringing.is_alive():
            return True
        if not self._state_is_there():
            return False
        self._look_at_devices()
        settled, edited = self._look_at_readable()
        if edited or self._is_news():
            self._bring(edited=edited)
        return not settled

    def _is_news(self) -> bool:
        try:
            return self._log.news()
        except StorageError:
            return True  # reading it says why it cannot be read

    def _look_at_devices(self) -> None:
        replica = self._replica()
        if replica is not None and replica.known.look():
            replica.sharing.tell_status()

    def _look_at_readable(self) -> tuple[bool, bool]:
        """Tell whether the readable file has settled, and whether it is to be taken in."""
        found, now = signature(self._paths.readable), time.monotonic()
        if found == self._handled:
            self._seen = found
            return True, False
        if found != self._seen:
            self._seen, self._seen_at, self._is_unfinished = found, now, None
            return False, False
        quiet = now - self._seen_at
        if quiet < SETTLED:
            return False, False
        if self._is_unfinished is None:
            self._is_unfinished = self._view.looks_unfinished()
        if self._is_unfinished and quiet < UNFINISHED:
            return False, False
        self._handled = found
        return True, found is None or self._view.was_edited()

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

    def _bring(self, *, edited: bool) -> None:
        replica = self._replica()
        if replica is None:
            self.close()
            return
        self._bringing = threading.Thread(
            target=self._view.meet_soon,
            args=[replica],
            kwargs={"edited": edited},
            name="tinysync-edit",
            daemon=True,
        )
        self._bringing.start()


def signature(path: Path) -> Signature:
    """Return what changes whenever the file at a path is written to or replaced; links are followed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
