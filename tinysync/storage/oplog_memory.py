"""The op log without a disk: for structures that are not kept, and for tests."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinysync.errors import DocumentInUse, StorageError
from tinysync.model import DeviceId
from tinysync.storage.compaction import too_old
from tinysync.storage.oplog_contract import SNAPSHOT_KIND, Opened, Past, State
from tinysync.storage.records import OpRecord, decode_op, encode_op
from tinysync.storage.versions import versioned

if TYPE_CHECKING:
    from tinysync.storage.oplog_contract import Retention


@dataclass(eq=False)
class MemoryDisk:
    """What one structure's op logs keep between ``close`` and the next ``open``."""

    device: DeviceId = field(default_factory=lambda: DeviceId(secrets.token_hex(16)))
    snapshot: tuple[int, bytes] | None = None
    """The compacted state with its version."""
    loose: list[bytes] = field(default_factory=list)
    """The records since then."""
    start: State = field(default_factory=lambda: State(0, []))
    """What was there before the records that are kept of the past."""
    kept: list[tuple[int, OpRecord]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryOpLog:
    """The op log of a structure on a MemoryDisk. See :class:`tinysync.storage.oplog_contract.OpLog`."""

    def __init__(self, disk: MemoryDisk, retention: Retention | None = None) -> None:
        self._disk = disk
        self._retention = retention
        self._is_open = False

    def open(self) -> Opened:
        """Take the disk and return its records. Raise DocumentInUse if it is taken."""
        if not self._disk.lock.acquire(blocking=False):
            raise DocumentInUse("This MemoryDisk is already open in this process; close it there first.")
        self._is_open = True
        records = self.reread()
        loose = sum(map(len, self._disk.loose))
        size = loose + (len(self._disk.snapshot[1]) if self._disk.snapshot else 0)
        return Opened(self._disk.device, records, bool(records), size, loose, past_due=self._too_old() > 0)

    def append(self, record: OpRecord) -> None:
        """Add a record."""
        self._require_open()
        self._disk.loose.append(encode_op(record))

    def reread(self) -> list[OpRecord]:
        """Return all records."""
        self._require_open()
        snapshot = [self._disk.snapshot[1]] if self._disk.snapshot else []
        return [record for payload in [*snapshot, *self._disk.loose] if (record := decode_op(payload))]

    def compact(self, update: bytes) -> None:
        """Put one update in the place of all records."""
        self._require_open()
        disk = self._disk
        disk.kept += self._loose()
        version = disk.kept[-1][0] if disk.kept else disk.start.version
        snapshot = OpRecord(SNAPSHOT_KIND, _now_ms(), 0, (update,))
        disk.snapshot, disk.loose[:] = (version, encode_op(snapshot)), []
        gone = self._too_old()
        if self._retention is None or gone == len(disk.kept):
            disk.start, disk.kept = State(version, [update]), []
        elif gone:
            updates = [each for _, record in disk.kept[:gone] for each in record.updates]
            disk.start = State(disk.kept[gone - 1][0], self._retention.fold([*disk.start.updates, *updates]))
            del disk.kept[:gone]

    def past(self) -> Past:
        """Return the records that are kept."""
        self._require_open()
        disk, later = self._disk, self._disk.start
        if disk.snapshot is not None and (record := decode_op(disk.snapshot[1])):
            later = State(disk.snapshot[0], list(record.updates))
        return Past(disk.start, later, [*disk.kept, *self._loose()])

    def close(self) -> None:
        """Give the disk free."""
        if self._is_open:
            self._is_open = False
            self._disk.lock.release()

    def _loose(self) -> list[tuple[int, OpRecord]]:
        compacted = self._disk.snapshot[0] if self._disk.snapshot else 0
        return versioned((r for payload in self._disk.loose if (r := decode_op(payload))), compacted)

    def _too_old(self) -> int:
        kept = [(record.time_ms, len(encode_op(record))) for _, record in self._disk.kept]
        return too_old(kept, self._retention, _now_ms()) if self._retention else len(kept)

    def _require_open(self) -> None:
        if not self._is_open:
            raise StorageError("This MemoryDisk is not open.")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
