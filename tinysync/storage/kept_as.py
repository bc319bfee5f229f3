"""Which form the state of a name has: a document, or a file or database that is the state itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.errors import StorageError, UsageError
from tinysync.storage.atomic import replace_file
from tinysync.storage.failures import storage_errors
from tinysync.storage.recovery import is_of_op_log
from tinysync.storage.regular import check_ends

if TYPE_CHECKING:
    from tinysync.storage.names import Paths


def check_is_document(paths: Paths) -> None:
    """Raise UsageError if the name's state is a file or database. The state folder's lock is held."""
    suffix = kept_as(paths)
    if suffix is not None:
        raise _other(paths, suffix)


def is_kept_as(paths: Paths, suffix: str) -> bool:
    """Tell whether it is noted that the name's state is the file with this suffix. The state's lock is held.

    Raise UsageError if it has another form, and StorageError if the state folder cannot be read.
    """
    marked = kept_as(paths)
    if marked is not None:
        if marked != suffix:
            raise _other(paths, marked)
        return True
    with storage_errors("look into", paths.state, "See that the folder is there and readable."):
        if any(is_of_op_log(path.name) for path in paths.state.iterdir()):
            raise UsageError(
                f"{paths.state} holds this structure as a document, of which YAML, JSON and the like are views;"
                f" {paths.readable.name} would be a second state of it. Track it as it is kept and give"
                " tracker(x).snapshot() to another name; or move that folder away to begin anew."
            )
    return False


def note_kept_as(paths: Paths, suffix: str) -> None:
    """Note that the name's state is the file with this suffix; raises StorageError. The state's lock is held."""
    with storage_errors("write into", paths.state, "See that the folder is there and writable."):
        replace_file(paths.state / "kept-as", suffix.encode() + b"\n", "disk")


def kept_as(paths: Paths) -> str | None:
    """Return the suffix of the file or database that the name's state is; None: it has a document, or nothing yet.

    Raise StorageError.
    """
    with storage_errors("read", paths.state / "kept-as", "See that it is a file that this program may read."):
        check_ends(paths.state / "kept-as")
        try:
            return (paths.state / "kept-as").read_text("utf-8").strip() or None
        except UnicodeDecodeError as error:
            raise StorageError(
                f"{paths.state / 'kept-as'} does not say how the structure is kept: {error}. Write the suffix of"
                " its file into it, or move it away if it has a document."
            ) from error
        except FileNotFoundError:
            return None


def _other(paths: Paths, suffix: str) -> UsageError:
    return UsageError(
        f"this structure is kept in a file that ends in {suffix}, not in {paths.readable.name}, which would be a"
        " second state of it. Track it with that format and give tracker(x).snapshot() to another name; or move"
        f" {paths.state / 'kept-as'} away to begin anew."
    )
