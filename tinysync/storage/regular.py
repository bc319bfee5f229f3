"""What may lie in the places of a structure's files: what can be read to its end and replaced, in folders."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tinysync.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.storage.names import Paths

_KINDS: Final = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def read_regular(path: Path) -> bytes | None:
    """Return what a file holds, None if there is none; raises what ``check_regular`` does."""
    check_regular(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def check_regular(path: Path) -> None:
    """Raise StorageError for a pipe, a device and the like, which may never end, and for a link to nothing.

    A file that is not there is fine. Raise OSError.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            # Not made there: where a drive is missing, it would lie below the drive when that is back.
            raise StorageError(
                f"{path} is a link to {path.readlink()}, which is not there: bring that back, or remove the link."
            ) from None
        return
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        raise StorageError(
            f"{path} is {kind}, not a file that can be read and replaced: move it away, or use another name."
        )


class EndlessFile(OSError):
    """A pipe, a device or the like: who reads it may wait for ever."""

    def __init__(self, path: Path, mode: int) -> None:
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        super().__init__(errno.EINVAL, f"it is {kind} where a file belongs", str(path))
        self.kind = kind


def check_ends(path: Path) -> None:
    """Raise EndlessFile, or another OSError; a folder or a file that is not there is no concern of this."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise EndlessFile(path, mode)


def check_all_end(folder: Path) -> None:
    """Do what ``check_ends`` does with all that is in a folder."""
    with os.scandir(folder) as entries:
        # What is said of the others is known without looking at each.
        odd = [folder / entry.name for entry in entries if not entry.is_file() and not entry.is_dir()]
    for path in odd:
        check_ends(path)


def check_folders(name: str, paths: Paths) -> None:
    """Raise StorageError if something else lies where a folder of a structure is to be."""
    for folder in (paths.state, paths.readable.parent):
        with suppress(OSError):  # who makes the folder is told better
            there = next(path for path in (folder, *folder.parents) if path.exists())
            if not there.is_dir():
                raise StorageError(
                    f"{there} is no folder, and {name!r} is to be kept in one: move it away, or use another"
                    " folder."
                )
