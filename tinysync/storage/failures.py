"""What the operating system refuses, told as a StorageError."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tinysync.errors import StorageError
from tinysync.storage.regular import EndlessFile

if TYPE_CHECKING:
    from collections.abc import Iterator


def storage_error(doing: str, place: object, advice: str, error: OSError) -> StorageError:
    """Return the StorageError that tells what was being done, to what, why it failed, and what to do."""
    culprit = f" ({error.filename})" if error.filename and str(error.filename) != str(place) else ""
    return StorageError(
        f"Could not {doing} {place}: {error.strerror or error}{culprit}. {_fitting(error, advice)}"
    )


def _fitting(error: OSError, advice: str) -> str:
    """Return what to do, where it is another thing than what helps most often."""
    if isinstance(error, IsADirectoryError) and error.filename:
        return f"{error.filename} is a folder where a file belongs: move it away."
    if isinstance(error, EndlessFile):
        return "Move it away."
    if error.errno == errno.EIO:
        return "See that the disk works, and restore the file from a backup if it does not."
    if isinstance(error, PermissionError) and error.filename and Path(error.filename).is_file():
        return f"See that {error.filename} is a file that this user may read and write."
    return advice


def in_words(error: OSError) -> str:
    """Return what is wrong with a file that cannot be read, to be put behind its name."""
    match error:
        case FileNotFoundError():
            return "is missing"
        case IsADirectoryError():
            return "is a folder where a file belongs"
        case EndlessFile():
            return f"is {error.kind} where a file belongs"
    return f"cannot be read: {error.strerror or error}"


@contextmanager
def storage_errors(doing: str, place: object, advice: str) -> Iterator[None]:
    """Raise an OSError of the block as a StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(doing, place, advice, error) from error
