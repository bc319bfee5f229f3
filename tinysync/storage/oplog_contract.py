"""What every op log offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from tinysync.model import DeviceId
    from tinysync.storage.records import OpRecord

SNAPSHOT_KIND: Final = "snapshot"
"""The kind of the records that hold a compacted state."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What an op log held when it was opened.

    ``records`` are in a stable order, compacted states first; applying one twice, or one that a compacted state
    covers, must do no harm. ``existed`` says whether there was any record. ``file_bytes`` is what they take.
    """

    device: DeviceId
    records: list[OpRecord]
    existed: bool
    file_bytes: int


class OpLog(Protocol):
    """The updates of one structure, used under its tracker's lock by one process at a time.

    Every method but ``close`` raises StorageError if the place cannot be read or written, which leaves what was
    there; the structure can then be rebuilt from ``reread``.
    """

    def open(self) -> Opened:
        """Take the place for this process and return what is there.

        Raise DocumentInUse if it is open, in this process or another. Damage is repaired and reported by
        DamagedFileWarning; nothing is lost without a word.
        """

    def append(self, record: OpRecord) -> None:
        """Add a record: when this returns, it is there after a reopening; when it raises, ask ``reread``."""

    def reread(self) -> list[OpRecord]:
        """Return all records again, those appended meanwhile among them."""

    def compact(self, update: bytes) -> None:
        """Put one update, which must cover all records read and appended so far, in their place."""

    def close(self) -> None:
        """Give the place free. Closing twice is fine."""
