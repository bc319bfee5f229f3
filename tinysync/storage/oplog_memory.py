"""The op log without a disk: for structures that are not kept, and for tests."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinysync.errors import StorageError
from tinysync.model import DeviceId
from tinysync.storage.compaction import too_old
from tinysync.storage.history import past_of
from tinysync.storage.oplog_contract import SNAPSHOT_KIND, Opened, Past, State
from tinysync.storage.records import OpRecord, decode_op, encode_op

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.storage.oplog_contract import Retention


@dataclass(eq=False, slots=True)
class _Entry:
    version: int
    payload: bytes
    session: MemoryOpLog | None
    """Who wrote it, while that session lives; None for a compacted state."""

    @property
    def record(self) -> OpRecord:
        found = decode_op(self.payload)
        assert found is not None
        return found

    @property
    def is_state(self) -> bool:
        return self.record.kind == SNAPSHOT_KIND


@dataclass(eq=False)
class MemoryDisk:
    """What one structure's op logs share, and what is kept between ``close`` and the next ``open``."""

    device: DeviceId = field(default_factory=lambda: DeviceId(secrets.token_hex(16)))
    entries: list[_Entry] = field(default_factory=list)
    """Compacted states, and the records since then."""
    version: int = 0
    """The highest version of a record."""
    start: State = field(default_factory=lambda: State(0, []))
    """What was there before the records that are kept of the past."""
    kept: list[tuple[int, OpRecord]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryOpLog:
    """The op log of a structure on a MemoryDisk. See :class:`tinysync.storage.oplog_contract.OpLog`."""

    def __init__(self, disk: MemoryDisk, retention: Retention | None = None) -> None:
        self._disk = disk
        self._retention = retention
        self._known: list[_Entry] | None = None
        """What was returned or appended; None: not open."""

    def open(self) -> Opened:
        """Begin a session and return the disk's records."""
        if self._known is not None:
            raise StorageError("This op log is open already.")
        with self._disk.lock:
            self._known = list(self._disk.entries)
            past_due = self._too_old() > 0
        size = sum(len(entry.payload) for entry in self._known)
        loose = sum(len(entry.payload) for entry in self._known if not entry.is_state)
        return Opened(self._disk.device, _records(self._known), bool(self._known), size, loose, past_due)

    def append(self, record: OpRecord) -> None:
        """Add a record."""
        known = self._require_open()
        with self._disk.lock:
            self._disk.version += 1
            entry = _Entry(self._disk.version, encode_op(record), self)
            self._disk.entries.append(entry)
        known.append(entry)

    def news(self) -> bool:
        """Tell whether another session has added something."""
        return bool(self._news())

    def tail(self) -> list[OpRecord]:
        """Return what other sessions have added."""
        news = self._news()
        self._require_open().extend(news)
        return _records(news)

    def reread(self) -> list[OpRecord]:
        """Return all records that are known."""
        return _records(self._require_open())

    def position(self) -> bytes:
        """Return a digest of which records are known."""
        return repr([(entry.version, entry.is_state) for entry in self._require_open()]).encode()

    def prepare(self, update: bytes, prepared: bytes) -> None:
        """Do nothing: as nothing outlives the process, nothing is opened faster."""

    def compact(self, update: bytes, prepared: bytes | None = None) -> None:
        """Put one update in the place of all records that are known, but for those of other sessions that live."""
        del prepared  # see prepare
        known, disk = self._require_open(), self._disk
        with disk.lock:
            covered = {id(entry) for entry in known if entry.session in (None, self)}
            gone = [entry for entry in disk.entries if id(entry) in covered]
            version = max([disk.start.version, *(entry.version for entry in gone)])
            state = _Entry(version, encode_op(OpRecord(SNAPSHOT_KIND, _now_ms(), 0, (update,))), None)
            disk.entries[:] = [state, *(entry for entry in disk.entries if id(entry) not in covered)]
            known[:] = [state, *(entry for entry in known if id(entry) not in covered)]
            disk.kept += [(entry.version, entry.record) for entry in gone if not entry.is_state]
            self._let_go(version, update)

    def past(self) -> Past:
        """Return the records that are kept."""
        self._require_open()
        disk = self._disk
        with disk.lock:
            states = [State(entry.version, list(entry.record.updates)) for entry in disk.entries if entry.is_state]
            loose = [(entry.version, entry.record) for entry in disk.entries if not entry.is_state]
            return past_of([disk.start], states or [disk.start], disk.kept, loose)

    def close(self) -> None:
        """End the session."""
        with self._disk.lock:
            self._known = None
            for entry in self._disk.entries:
                if entry.session is self:
                    entry.session = None

    def _news(self) -> list[_Entry]:
        known = {id(entry) for entry in self._require_open()}
        with self._disk.lock:
            return [entry for entry in self._disk.entries if id(entry) not in known]

    def _let_go(self, version: int, update: bytes) -> None:
        """Forget what is not to be retained of the past."""
        disk, gone = self._disk, self._too_old()
        if self._retention is None or gone == len(disk.kept):
            disk.start, disk.kept = State(version, [update]), []
        elif gone:
            updates = [each for _, record in disk.kept[:gone] for each in record.updates]
            disk.start = State(disk.kept[gone - 1][0], self._retention.fold([*disk.start.updates, *updates]))
            del disk.kept[:gone]

    def _too_old(self) -> int:
        kept = [(record.time_ms, len(encode_op(record))) for _, record in self._disk.kept]
        return too_old(kept, self._retention, _now_ms()) if self._retention else len(kept)

    def _require_open(self) -> list[_Entry]:
        if self._known is None:
            raise StorageError("This MemoryDisk is not open.")
        return self._known


def _records(entries: Iterable[_Entry]) -> list[OpRecord]:
    return [entry.record for entry in entries]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
