"""The op log without a disk: for structures that are not kept, and for tests."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field

from tinysync.errors import DocumentInUse, StorageError
from tinysync.model import DeviceId
from tinysync.storage.oplog_contract import SNAPSHOT_KIND, Opened
from tinysync.storage.records import OpRecord, decode_op, encode_op


@dataclass(eq=False)
class MemoryDisk:
    """What one structure's op logs keep between ``close`` and the next ``open``."""

    device: DeviceId = field(default_factory=lambda: DeviceId(secrets.token_hex(16)))
    payloads: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryOpLog:
    """The op log of a structure on a MemoryDisk. See :class:`tinysync.storage.oplog_contract.OpLog`."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self._is_open = False

    def open(self) -> Opened:
        """Take the disk and return its records. Raise DocumentInUse if it is taken."""
        if not self._disk.lock.acquire(blocking=False):
            raise DocumentInUse("This MemoryDisk is already open in this process; close it there first.")
        self._is_open = True
        records = self.reread()
        size = sum(map(len, self._disk.payloads))
        return Opened(self._disk.device, records, existed=bool(records), file_bytes=size)

    def append(self, record: OpRecord) -> None:
        """Add a record."""
        self._require_open()
        self._disk.payloads.append(encode_op(record))

    def reread(self) -> list[OpRecord]:
        """Return all records."""
        self._require_open()
        return [record for payload in self._disk.payloads if (record := decode_op(payload))]

    def compact(self, update: bytes) -> None:
        """Put one update in the place of all records."""
        self._require_open()
        snapshot = OpRecord(SNAPSHOT_KIND, time.time_ns() // 1_000_000, 0, (update,))
        self._disk.payloads[:] = [encode_op(snapshot)]

    def close(self) -> None:
        """Give the disk free."""
        if self._is_open:
            self._is_open = False
            self._disk.lock.release()

    def _require_open(self) -> None:
        if not self._is_open:
            raise StorageError("This MemoryDisk is not open.")
