"""Small files that are the user's own: secrets, and who is allowed."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from filelock import FileLock, Timeout

from tinysync.errors import InsecureFile, StorageError
from tinysync.group.extra import net_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 1 << 20
LOCK_SECONDS: Final = 10.0


def user_folder(kind: Literal["config", "data"]) -> Path:
    """Return the folder in which this user's programs keep their settings, or their data."""
    with net_extra():
        import platformdirs  # noqa: PLC0415 - of the extra
    folder = platformdirs.user_config_path if kind == "config" else platformdirs.user_data_path
    return folder("tinysync", appauthor=False)


def read_own(path: Path, *, secret: bool) -> str | None:
    """Return the text of a file, or None if there is none; raises StorageError.

    On POSIX a secret that others than its owner may read or write is refused with InsecureFile.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    if secret and os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InsecureFile(
            f"refusing the secret in {path}: other users of this machine may have read it (its mode is "
            f"{stat.S_IMODE(mode):o}). Run: chmod 600 {path} - and if others do use this machine, make a new one",
        )
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise StorageError(f"cannot read {path}: it is not text") from None


def write_own(path: Path, text: str) -> None:
    """Replace a file, or make it and its folder, with a mode that lets only its owner in; raises StorageError."""
    temporary: str | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # its mode is 0600
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from changing a file meanwhile; raises StorageError."""
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise StorageError(f"cannot change {path}: another process has held its lock for too long") from None
    except OSError as error:
        raise StorageError(f"cannot lock {path}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
