"""What the operating system refuses, told as a StorageError."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinysync.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def storage_error(doing: str, place: object, advice: str, error: OSError) -> StorageError:
    """Return the StorageError that tells what was being done, to what, why it failed, and what to do."""
    culprit = f" ({error.filename})" if error.filename and str(error.filename) != str(place) else ""
    return StorageError(f"Could not {doing} {place}: {error.strerror or error}{culprit}. {advice}")


def in_words(error: OSError) -> str:
    """Return what is wrong with a file that cannot be read, to be put behind its name."""
    match error:
        case FileNotFoundError():
            return "is missing"
        case IsADirectoryError():
            return "is a folder where a file belongs"
    return f"cannot be read: {error.strerror or error}"


@contextmanager
def storage_errors(doing: str, place: object, advice: str) -> Iterator[None]:
    """Raise an OSError of the block as a StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(doing, place, advice, error) from error
