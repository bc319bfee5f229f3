"""The place of a structure that has no document: one file, which is its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.errors import StorageError, UnreadableFile
from tinysync.storage.atomic import replace_file
from tinysync.storage.failures import storage_errors
from tinysync.storage.kept_as import is_kept_as, note_kept_as
from tinysync.storage.lock import ProcessLock
from tinysync.storage.oplog import UNWRITABLE
from tinysync.storage.readable import load_file
from tinysync.storage.regular import read_regular
from tinysync.tracked.plain import CONTAINERS
from tinysync.tracker.refusals import cannot_write
from tinysync.tracker.watching import signature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tinysync.crdt.ops import Op
    from tinysync.model import Origin
    from tinysync.storage.atomic import Durability
    from tinysync.storage.format import Format
    from tinysync.storage.names import Paths
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.watching import Signature


class WholeFile:
    """Writes all of a structure at each change, in one step, so that the file is always one whole state."""

    def __init__(self, paths: Paths, file_format: Format, durability: Durability = "os") -> None:
        self._paths = paths
        self._format = file_format
        self._durability: Durability = durability
        self._lock = ProcessLock(paths.state)
        self._known: Signature = None
        """What the file was when it was last read or written here."""

    @property
    def path(self) -> Path:
        """The file."""
        return self._paths.readable

    def open(self) -> Any:
        """Take the place for this process and return what is there, None if there is no file.

        Raises DocumentInUse, UnreadableFile, StorageError, and UsageError if the name's state has another form.
        """
        state = self._paths.state
        with storage_errors("open the state folder", state, UNWRITABLE):
            state.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(self.path)
        try:
            noted = is_kept_as(self._paths, self._format.suffix)
            content = self._read()
            if not noted:
                note_kept_as(self._paths, self._format.suffix)
        except BaseException:
            self._lock.release()
            raise
        return content

    def _read(self) -> Any:
        with storage_errors("read", self.path, "See that it is a file that this program may read."):
            self._known = signature(self.path)
            data = read_regular(self.path)
        if data is None:
            return None
        content = load_file(self._format, data, self.path)
        if content is None:
            raise UnreadableFile(f"{self.path} says nothing; move it away to have it written anew.")
        return content

    def record(
        self,
        replica: Replica,
        origin: Origin,
        ops: Sequence[Op],
        updates: list[bytes],
        meta: dict[str, Any] | None = None,
    ) -> None:
        """Write the structure as it is now; raises UnsupportedValue if the format cannot, and StorageError."""
        del origin, ops, updates, meta
        self.write(replica.root)

    def write(self, root: Any) -> None:
        """Make the file hold a structure, unless somebody else wrote to it; then raises StorageError."""
        try:
            data = self._format.dump(root)
        except Exception as error:
            raise cannot_write(
                root, [], lambda part: self._format.dump(_like(root, part)), self.path, error
            ) from error
        with storage_errors("write", self.path, "See that the place is there, writable and not full."):
            if not replace_file(self.path, data, self._durability, check=self._is_ours):
                raise StorageError(
                    f"{self.path} was changed by another program while it was open here, and is left as it is;"
                    " close the structure and track it again to go on with what the file holds, or move it away."
                )
            self._known = signature(self.path)

    def _is_ours(self, place: Path) -> bool:
        return signature(place) in (self._known, None)

    def reread(self) -> list[bytes]:
        """Return nothing: there is no document."""
        return []

    def save(self, replica: Replica, *, received: bool = False) -> None:
        """Do nothing: the file is written already."""

    def flush(self, replica: Replica) -> None:
        """Do nothing: the file is written already."""

    def close(self, replica: Replica) -> None:
        """Give the place free."""
        del replica
        self.abandon()

    def abandon(self) -> None:
        """Give the place free."""
        self._lock.release()


def _like(root: Any, part: Any) -> Any:
    """Return a structure of the kind of another one that holds a part of it; a format is for whole ones."""
    kind = CONTAINERS[type(root)]
    return {"": part} if kind == "dict" else [part] if kind == "list" else {part}
