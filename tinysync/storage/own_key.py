"""A secret of this user on this machine, by which programs know again what they wrote themselves."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

SIZE: Final = 32
_NAME: Final = "state.key"


def state_folder() -> Path:
    """Return the folder in which this user's programs keep what nobody misses, outside of all that is copied.

    Of the XDG Base Directory Specification the state folder; on macOS and Windows what stands for it there.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "tinysync"


def own_key() -> bytes | None:
    """Return the secret, which is made if there is none; None if it cannot be kept, or others could read it."""
    try:
        path = state_folder() / _NAME
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path)
            return _read(path)
    except (OSError, RuntimeError):  # no folder that can be written to, or no home at all
        return None


def _read(path: Path) -> bytes | None:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        key = file.read(SIZE + 1)
    if os.name == "posix" and (found.st_uid != os.geteuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)):
        return None
    return key if len(key) == SIZE else None


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SIZE))
        # Of two processes that make one at the same moment one prevails; what the other prepared does not count.
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
