"""Locks between processes that end with the process, however it ends.

The operating system holds them, so that a killed process leaves nothing to clean up. A forked child gives its
copies up: they would keep a lock beyond the end of the process that took it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from filelock import lock_descriptor, unlock_descriptor

from tinysync.errors import DocumentInUse
from tinysync.storage.atomic import OPEN_FLAGS, replace_file
from tinysync.storage.failures import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE: Final = 30.0
"""Seconds for which one waits for the folder's lock, where nothing can be done without it."""

_FIRST_WAIT: Final = 0.0005
_LONGEST_WAIT: Final = 0.02


class FileLock:
    """A lock that is a file; of all that are open on it, in this process and others, one holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        _open_locks.add(self)

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it; raises OSError if the place cannot hold one."""
        while True:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666)
            if not lock_descriptor(self._descriptor, blocking=False):
                return False
            if self._is_the_one_at_its_path(self._descriptor):
                return True
            self.close()

    def release(self) -> None:
        """Give the lock up and keep the file open, to take it again."""
        if self._descriptor is not None:
            unlock_descriptor(self._descriptor)

    def close(self) -> None:
        """Give the lock up, if it is held, and close the file; doing so twice is fine."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def _is_the_one_at_its_path(self, descriptor: int) -> bool:
        """Whether others who come now get to the same file: it may have been deleted meanwhile."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False


def is_held(path: Path) -> bool:
    """Tell whether somebody holds the lock that is a file, which is not made if it is not there. Raise OSError."""
    try:
        descriptor = os.open(path, os.O_RDWR | OPEN_FLAGS)
    except FileNotFoundError:
        return False
    except PermissionError:  # another user's
        descriptor = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    try:
        return not lock_descriptor(descriptor, blocking=False)
    finally:
        os.close(descriptor)


class ProcessLock:
    """A lock on a state folder for the one process that has it open, and that names its holder to others.

    The process id lies in a file of its own, because a locked file cannot be read on Windows. That file only means
    something while the lock is held.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / "lock")
        self._holder = folder / "pid"

    def acquire(self, what: object) -> None:
        """Take the lock or raise DocumentInUse at once; raise OSError if the folder cannot hold one."""
        if not self._lock.try_acquire():
            raise DocumentInUse(self._refusal(what))
        try:
            replace_file(self._holder, f"{os.getpid()}\n".encode(), "os")
        except BaseException:
            self._lock.close()
            raise

    def release(self) -> None:
        """Give the lock up; doing so twice is fine."""
        self._lock.close()

    def _refusal(self, what: object) -> str:
        holder = self._holder_pid()
        if holder == os.getpid():
            return f"{what} is already open in this process ({holder}); close it there before opening it again."
        process = f"process {holder}" if holder else "another process"
        return f"{what} is open in {process}, and one process at a time can have it; close it there first."

    def _holder_pid(self) -> int | None:
        try:
            return int(self._holder.read_bytes())
        except (OSError, ValueError):
            return None  # the holder has not written it yet


class FolderLock:
    """Held for a moment by one of those who have a structure open, for what only one may do at a time.

    That is repairing and replacing files, and bringing the structure and its readable file together. Its holder
    can take it again.
    """

    def __init__(self, folder: Path) -> None:
        self._file = FileLock(folder / "lock")
        self._thread = threading.RLock()
        self._depth = 0

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock; raises DocumentInUse if it is not free within so many seconds, and StorageError."""
        self.acquire(timeout)
        try:
            yield
        finally:
            self.release()

    def acquire(self, timeout: float) -> None:
        """Take the lock; see ``held``."""
        deadline = time.monotonic() + timeout
        taken = False
        if self._thread.acquire(timeout=timeout):
            try:
                taken = bool(self._depth) or self._take_file(deadline)
            finally:
                if not taken:
                    self._thread.release()
        if not taken:
            raise self._busy(timeout)
        self._depth += 1

    def release(self) -> None:
        """Give back what ``acquire`` took."""
        self._depth -= 1
        if not self._depth:
            self._file.release()
        self._thread.release()

    def close(self) -> None:
        """Close the file; nobody may hold the lock. It can be taken again."""
        self._file.close()

    def _take_file(self, deadline: float) -> bool:
        wait = _FIRST_WAIT
        with storage_errors("lock", self._file.path.parent, "See that the folder is there and writable."):
            while not self._file.try_acquire():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                time.sleep(min(wait, left))
                wait = min(2 * wait, _LONGEST_WAIT)
        return True

    def _busy(self, timeout: float) -> DocumentInUse:
        return DocumentInUse(
            f"{self._file.path.parent} is locked by another process, for more than {timeout:g} s now: it hangs, or"
            " it is a version of tinysync that shares with nobody. End it, and try again."
        )


_open_locks: Final[weakref.WeakSet[FileLock]] = weakref.WeakSet()


def _close_in_child() -> None:
    for lock in list(_open_locks):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
