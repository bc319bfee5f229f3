"""One thread that watches the files of all open structures of the process.

The system tells of changes (watchfiles: inotify, FSEvents, ReadDirectoryChangesW). Where it does not, as on most
network drives, or has no watches left, or where a folder was moved away and put back, a look at everything once a
second finds them.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from watchfiles._rust_notify import RustNotify

logger = logging.getLogger("tinysync")

START: Final = 0.2
"""Seconds after which watching begins: a program that ends sooner does not pay for it."""

TICK: Final = 0.1
"""Seconds after which what is unsettled is looked at again."""

STEP: Final = 0.02
"""Seconds without another change that end a burst of them."""

SWEEP_TICKS: Final = 10
"""Everything is looked at once in so many ticks."""


class Watched(Protocol):
    """What is to be looked after."""

    def folders(self) -> Iterable[Path]:
        """Return the folders in which changes are of interest; they need not exist."""

    def names(self) -> Iterable[str]:
        """Return the names of files of interest, and of folders all of whose files are."""

    def look(self) -> bool:
        """See whether anything changed; return True to be asked again a tick later. Must not take long."""


class Watcher:
    """Calls ``look`` of all that is watched when something may have changed, and once a second in any case."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._guard = threading.Lock()
        self._watched: dict[Watched, frozenset[str]] = {}
        self._by_name: dict[str, set[Watched]] = {}
        self._new: set[Watched] = set()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def add(self, watched: Watched) -> None:
        """Look after something; from any thread."""
        names = frozenset(watched.names())
        with self._guard:
            self._watched[watched] = names
            for name in names:
                self._by_name.setdefault(name, set()).add(watched)
            self._new.add(watched)
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="tinysync-files", daemon=True)
                self._thread.start()

    def remove(self, watched: Watched) -> None:
        """Look after it no more; a look that has begun may still end. Doing so twice is fine."""
        with self._guard:
            for name in self._watched.pop(watched, ()):
                self._by_name[name].discard(watched)
                if not self._by_name[name]:
                    del self._by_name[name]
            self._new.discard(watched)

    def stop(self) -> None:
        """End the thread for good; it has ended when this returns."""
        with self._guard:
            self._stopping.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def after_fork(self) -> None:
        """Begin anew in a forked child: the thread, and what it watches, are the parent's."""
        self._forget()

    # --- in the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._stopping.wait(START)
        system = _System(self._stopping)
        unsettled: set[Watched] = set()
        ticks = 0
        try:
            while not self._stopping.is_set():
                with self._guard:
                    if not self._watched:
                        self._thread = None
                        return
                    new, self._new = self._new, set()
                    everything = set(self._watched)
                ticks += 1
                sweep = ticks >= SWEEP_TICKS
                if sweep or new:
                    ticks = 0
                    system.watch({folder for watched in everything for folder in watched.folders()})
                due = unsettled | new | self._named(system.wait())
                unsettled = {watched for watched in (everything if sweep else due) if self._look(watched)}
        finally:
            system.close()

    def _named(self, names: set[str]) -> set[Watched]:
        with self._guard:
            return {watched for name in names for watched in self._by_name.get(name, ())}

    def _look(self, watched: Watched) -> bool:
        with self._guard:
            if watched not in self._watched:
                return False
        try:
            return watched.look()
        except Exception:
            logger.exception("Could not look at the files of %r", watched)
            return False


class _System:
    """What the operating system tells of changes."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._folders: dict[str, tuple[int, int]] = {}
        self._notify: RustNotify | None = None
        self._level = logging.INFO

    def watch(self, wanted: Iterable[Path]) -> None:
        """Have it tell about these folders, as far as they are there now."""
        folders: dict[str, tuple[int, int]] = {}
        for folder in wanted:
            with contextlib.suppress(OSError):
                found = folder.stat()
                folders[str(folder)] = found.st_dev, found.st_ino
        if folders == self._folders and self._notify is not None:
            return
        self.close()
        self._folders = folders
        if folders:
            # The class under watchfiles.watch(), which logs each change of a file as news for the program's log.
            from watchfiles._rust_notify import RustNotify  # noqa: PLC0415 - short programs do without it

            try:
                self._notify = RustNotify(list(folders), False, False, 0, False, True)
            except (OSError, RuntimeError) as error:  # no watches left, say, or a folder is gone by now
                self._report(error)

    def wait(self) -> set[str]:
        """Wait at most a tick; return the names of what changed, and of the folders it is in."""
        if self._notify is None:
            self._stopping.wait(TICK)
            return set()
        try:
            told = self._notify.watch(_TICK_MS, _STEP_MS, _TICK_MS, self._stopping)
        except RuntimeError as error:
            self._report(error)
            self.close()
            return set()
        if isinstance(told, str):  # the time is over, or the end has come
            return set()
        paths = [PurePath(path) for _, path in told]
        return {path.name for path in paths} | {path.parent.name for path in paths}

    def close(self) -> None:
        if self._notify is not None:
            notify, self._notify = self._notify, None
            notify.close()

    def _report(self, error: Exception) -> None:
        logger.log(self._level, "The system does not tell of changed files, they are looked for: %s", error)
        self._level = logging.DEBUG


_TICK_MS: Final = round(TICK * 1000)
_STEP_MS: Final = round(STEP * 1000)

watcher: Final = Watcher()
"""The one of this process."""

# Not even a daemon thread may come back from the system into an interpreter that is gone.
atexit.register(watcher.stop)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watcher.after_fork)
