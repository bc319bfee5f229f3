"""A database without a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinysync.errors import StorageError
from tinysync.storage.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tinysync.storage.atomic import Durability


class MemoryStorage(Storage):
    """Entries in memory, as long as the instance lives: for tests."""

    suffix: ClassVar[str] = ".memory"

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}
        self._is_open = False

    def open(self, path: Path, durability: Durability) -> None:
        """Open it; nothing is made at the path."""
        del path, durability
        if self._is_open:
            raise StorageError("this MemoryStorage is open already")
        self._is_open = True

    def names(self) -> Collection[str]:
        """Return the names."""
        return self._opened().keys()

    def read(self, name: str) -> bytes | None:
        """Return the value of an entry."""
        return self._opened().get(name)

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Write entries."""
        # A copy: somebody may be going through the names.
        entries = dict(self._opened())
        for name, value in changes.items():
            if value is None:
                entries.pop(name, None)
            else:
                entries[name] = value
        self._entries = entries

    def close(self) -> None:
        """Close it; the entries stay."""
        self._is_open = False

    def _opened(self) -> dict[str, bytes]:
        if not self._is_open:
            raise StorageError("this MemoryStorage is not open")
        return self._entries
