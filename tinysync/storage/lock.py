"""The lock that keeps a structure's state to one process."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from tinysync.errors import DocumentInUse
from tinysync.storage.atomic import replace_file

if TYPE_CHECKING:
    from pathlib import Path


class ProcessLock:
    """A lock on a state folder that ends with its process, and that names its holder to others.

    The operating system holds it, so that a killed process leaves nothing to clean up; the process id lies in a
    file of its own, because a locked file cannot be read on Windows. That file only means something while the lock
    is held.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / "lock", thread_local=False)
        self._holder = folder / "pid"

    def acquire(self, what: object) -> None:
        """Take the lock or raise DocumentInUse at once; raise OSError if the folder cannot hold one."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise DocumentInUse(self._refusal(what)) from None
        except NotImplementedError as error:  # how some versions report a file system without locks
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from error
        try:
            replace_file(self._holder, f"{os.getpid()}\n".encode(), "os")
        except BaseException:
            self._lock.release()
            raise

    def release(self) -> None:
        """Give the lock up; doing so twice is fine."""
        self._lock.release()

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
