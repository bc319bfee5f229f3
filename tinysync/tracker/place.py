"""What a structure needs of its place on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tinysync.crdt.ops import Op
    from tinysync.model import Origin
    from tinysync.tracker.replica import Replica


class Place(Protocol):
    """Where a structure is kept; used under the structure's lock."""

    @property
    def path(self) -> Path:
        """The file that the structure is known by."""

    def record(
        self,
        replica: Replica,
        origin: Origin,
        ops: Sequence[Op],
        updates: list[bytes],
        meta: dict[str, Any] | None = None,
    ) -> None:
        """Keep what a transaction did to the live structure (ops) and the updates that it made or received.

        When this returns, the change outlives the process; when it raises StorageError or UnsupportedValue, it is
        not there.
        """

    def reread(self) -> list[bytes]:
        """Return the updates of the whole document, to rebuild it from; raises StorageError."""

    def save(self, replica: Replica, *, received: bool = False) -> None:
        """Bring what people read up to date, now or in a moment.

        ``received``: the change is of another device, so there is no call of the program to be warned.
        """

    def flush(self, replica: Replica) -> None:
        """Write what is behind; raises StorageError or UnreadableFile."""

    def close(self, replica: Replica) -> None:
        """Flush, and give the place free in any case."""

    def abandon(self) -> None:
        """Give the place free as it is."""
