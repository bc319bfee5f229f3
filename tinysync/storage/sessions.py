"""Who has a structure open: each session has a sign in the state folder, locked for as long as it lives.

The name of the sign says all that others need to know, because a locked file cannot be read on Windows.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tinysync.errors import DocumentInUse
from tinysync.storage.lock import FileLock, is_held

if TYPE_CHECKING:
    from pathlib import Path

SHARING: Final = 1
"""The version of the way in which sessions share a folder; with those of another version they share nothing."""

_SIGN: Final = re.compile(r"live-(\d+)-(\d+)-([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Sign:
    """The sign of a session: the process that put it up, the session's name, and whether it lives."""

    path: Path
    process: int
    session: str
    lives: bool


def read_signs(folder: Path) -> list[Sign]:
    """Return the signs in a folder, those of the dead too, and leave them where they are. Raise OSError."""
    found = []
    for path in sorted(folder.glob("live-*")):
        match = _SIGN.fullmatch(path.name)
        if match is not None:
            found.append(Sign(path, int(match[2]), match[3], is_held(path)))
    return found


def has_others(folder: Path, own: str) -> bool:
    """Tell whether there is another session that lives than the one of this name. Raise OSError."""
    found = ((path, _SIGN.fullmatch(path.name)) for path in folder.glob("live-*"))
    return any(match is not None and match[3] != own and is_held(path) for path, match in found)


class Session:
    """One opening of a structure, by its ``name``, from ``begin`` to ``end`` or to the end of the process."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(4)
        self._sign = FileLock(folder / f"live-{SHARING}-{os.getpid()}-{self.name}")

    def begin(self) -> None:
        """Put up the sign; the folder's lock is held. Raise OSError."""
        while not self._sign.try_acquire():
            time.sleep(0.001)  # somebody just looks whether it is held

    def end(self) -> None:
        """Take the sign down; doing so twice is fine."""
        self._sign.close()
        with contextlib.suppress(OSError):  # a sign that nobody holds is swept by the next to open the structure
            self._sign.path.unlink(missing_ok=True)


def live_sessions(folder: Path, place: object, own: Session | None = None) -> set[str]:
    """Return the names of the sessions that live, all but one's own, and sweep the signs of the dead.

    The folder's lock is held. Raise OSError, and DocumentInUse, about ``place``, if one shares in another way.
    """
    live: set[str] = set()
    for path in list(folder.glob("live-*")):
        match = _SIGN.fullmatch(path.name)
        if match is None or (own is not None and match[3] == own.name):
            continue
        lock = FileLock(path)
        try:
            dead = lock.try_acquire()
        finally:
            lock.close()
        if dead:
            path.unlink(missing_ok=True)
        elif int(match[1]) != SHARING:
            raise DocumentInUse(
                f"{place} is open in process {match[2]}, in a version of tinysync that cannot share it with this"
                " one; close it there, or use the same version."
            )
        else:
            live.add(match[3])
    return live
