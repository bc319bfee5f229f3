"""Files that are either the old or the new content, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final, Literal

from tinysync.storage.exchange import exchange

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Durability = Literal["os", "disk"]
"""What an acknowledged write survives: the death of the process, or a loss of power as well."""

TEMP_SUFFIX: Final = ".tmp"
OPEN_FLAGS: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_WINDOWS_RETRIES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def replace_file(
    path: Path, data: bytes, durability: Durability, check: Callable[[Path], bool] | None = None
) -> bool:
    """Give ``path`` the content ``data`` in one step; return whether it was done.

    The data is on the disk before it gets the name, so that a loss of power leaves the old or the new content.
    ``durability='disk'`` also waits until the name is on the disk. ``check`` looks at the file right before it is
    replaced and, on Linux, at what was replaced: if it says False, the file stays as it is. The mode of a file
    that is there is kept, a symbolic link is followed, a missing folder is made. Only one writer at a time is
    supported. Raise OSError; then, too, the file is as it was, and no temporary file is left.
    """
    target = path.resolve()
    temp = write_beside(target, data)
    try:
        if check is not None and not check(target):
            temp.unlink()
            return False
        if check is None or not exchange(temp, target):
            _replace(temp, target)
        elif not _was_right(temp, target, check):
            return False
    except BaseException:
        discard(temp)
        raise
    if durability == "disk":
        sync_folder(target.parent)
    return True


def _was_right(old: Path, target: Path, check: Callable[[Path], bool]) -> bool:
    """Look at what was replaced, and remove it; if it is not what it should be, put it back instead."""
    is_right = False
    try:
        is_right = check(old)
    finally:
        if not is_right:
            exchange(old, target)  # somebody has written it just now
    old.unlink()
    return is_right


def put_in_place(temp: Path, target: Path) -> None:
    """Give what ``write_beside`` wrote its name, on the disk too. Raise OSError; then it is gone."""
    try:
        _replace(temp, target)
    except BaseException:
        discard(temp)
        raise
    sync_folder(target.parent)


def sync_file(descriptor: int) -> None:
    """Wait until what was written to an open file is on the disk."""
    if sys.platform == "darwin":
        # fsync leaves the data in the drive's cache there.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if sys.platform != "win32":  # a folder cannot be opened there; NTFS journals its names
        descriptor = os.open(path, os.O_RDONLY | OPEN_FLAGS)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; a full disk shows as a short write first and as OSError at the rest."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def write_beside(target: Path, data: bytes) -> Path:
    """Write what ``target`` is to hold into a temporary file, onto the disk; return its path. Raise OSError."""
    # One fixed name: what a killed process left is swept by the next write.
    temp = target.with_name(f".{target.name}{TEMP_SUFFIX}")
    descriptor = _create(temp)
    try:
        try:
            _keep_mode(descriptor, target)
            write_all(descriptor, data)
            sync_file(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        discard(temp)
        raise
    return temp


def _create(temp: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS
    try:
        return os.open(temp, flags, 0o666)
    except FileExistsError:
        temp.unlink()
    except FileNotFoundError:
        temp.parent.mkdir(parents=True, exist_ok=True)
    return os.open(temp, flags, 0o666)


def discard(temp: Path) -> None:
    """Remove a temporary file; an error from here does not matter, as what is left is swept some time."""
    with contextlib.suppress(OSError):
        temp.unlink()


def _keep_mode(descriptor: int, target: Path) -> None:
    if sys.platform != "win32":
        # PermissionError: a file system without modes.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            mode = target.stat().st_mode
            if mode != os.fstat(descriptor).st_mode:
                os.fchmod(descriptor, mode & 0o7777)


def _replace(temp: Path, target: Path) -> None:
    if sys.platform == "win32":
        # An editor or a virus scanner that has the target open makes this fail for a moment.
        for delay in _WINDOWS_RETRIES:
            try:
                temp.replace(target)
            except PermissionError:
                time.sleep(delay)
            else:
                return
    temp.replace(target)
