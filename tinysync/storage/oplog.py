"""The updates of one structure as files: op files that grow, snapshots that replace them."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
import warnings
from typing import TYPE_CHECKING, Final

from tinysync.errors import DamagedFileWarning, StorageError
from tinysync.model import DeviceId
from tinysync.storage.appending import AppendFile
from tinysync.storage.atomic import TEMP_SUFFIX, replace_file
from tinysync.storage.compaction import compact, is_past_due
from tinysync.storage.failures import storage_error, storage_errors
from tinysync.storage.history import read_history
from tinysync.storage.lock import ProcessLock
from tinysync.storage.oplog_contract import Opened
from tinysync.storage.past_files import sweep
from tinysync.storage.records import OPS_MAGIC, OpRecord, encode_op, frame
from tinysync.storage.recovery import CORRUPT_SUFFIX, OPS_SUFFIX, read_folder
from tinysync.storage.versions import mark

if TYPE_CHECKING:
    from tinysync.storage.atomic import Durability
    from tinysync.storage.names import Paths
    from tinysync.storage.oplog_contract import Past, Retention
    from tinysync.storage.recovery import Contents

DAMAGED_OPS: Final = f"*{OPS_SUFFIX}*{CORRUPT_SUFFIX}"
_DEVICE: Final = re.compile(rb"[0-9a-f]{32}\n?")
_SESSION: Final = re.compile(r"([0-9a-f]{12})-[0-9a-f]{8}\.ops")
_UNWRITABLE: Final = (
    "Make the folder writable for this program, or give track() another one by folder=, or persist=False."
)
_FULL: Final = "The change was not saved; see that the disk is there, writable and not full, and try again."


class FileOpLog:
    """The op log of a structure in its state folder.

    ``durability='os'``: what ``append`` acknowledged survives the death of the process; ``'disk'``: a loss of
    power too. See :class:`tinysync.storage.oplog_contract.OpLog`.
    """

    def __init__(self, paths: Paths, durability: Durability = "os", retention: Retention | None = None) -> None:
        self._paths = paths
        self._retention = retention
        self._folder = paths.state
        self._durability: Durability = durability
        self._lock: ProcessLock | None = None
        self._writer: AppendFile | None = None
        self._names: set[str] = set()
        """The files whose records the caller has: a snapshot may replace these and no others."""
        self._version = 0
        """The highest version of a record."""

    def open(self) -> Opened:
        """Take the lock, repair what is damaged, and return what is there. Raise DocumentInUse, StorageError."""
        lock = ProcessLock(self._folder)
        with storage_errors("open the state folder", self._folder, _UNWRITABLE):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(self._paths.readable)
            try:
                self._sweep()
                device = self._device()
                contents = self._read_and_keep_readable()
                self._sweep_past(contents)
                past_due = is_past_due(self._folder, contents, self._retention, _now_ms())
            except BaseException:
                lock.release()
                raise
        self._lock = lock
        records = contents.records
        return Opened(device, records, bool(records), contents.file_bytes, contents.loose_bytes, past_due)

    def append(self, record: OpRecord) -> None:
        """Add a record to this session's op file. Raise StorageError; then the file is as before."""
        version = self._version + 1
        data = frame(encode_op(record if self._writer is not None or version == 1 else mark(version, record)))
        self._require_open()
        try:
            (self._writer or self._begin()).append(data)
            self._version = version
        except BaseException as error:
            # The end of a file that failed is not to be relied on: the next record begins a new one.
            with contextlib.suppress(OSError):
                self._end()
            if isinstance(error, OSError):
                raise storage_error("save a change in", self._folder, _FULL, error) from error
            raise

    def reread(self) -> list[OpRecord]:
        """Return every record on disk. Raise StorageError."""
        self._require_open()
        with storage_errors("read", self._folder, "See that the folder is there and readable."):
            self._end()
            return self._read().records

    def compact(self, update: bytes) -> None:
        """Write ``update`` as a snapshot, then delete what it replaces. Raise StorageError; nothing is lost."""
        self._require_open()
        with storage_errors("write a snapshot into", self._folder, "Nothing is lost: the op files are kept."):
            self._end()
            contents = read_folder(self._folder).only(self._names)
            self._names = {compact(self._folder, contents, update, self._retention, _now_ms())}

    def past(self) -> Past:
        """Return the records that are kept. Raise StorageError."""
        self._require_open()
        with storage_errors("read the history in", self._folder, "See that the folder is there and readable."):
            return read_history(self._folder, read_folder(self._folder))

    def close(self) -> None:
        """Close this session's op file and release the lock."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            try:
                self._end()
            finally:
                lock.release()

    def _require_open(self) -> None:
        if self._lock is None:
            raise StorageError(f"The state of {self._paths.readable} is not open.")

    def _begin(self) -> AppendFile:
        # Names sort in the order of writing, also within a millisecond and after the clock was set back.
        times = [int(match[1], 16) for match in map(_SESSION.fullmatch, self._names) if match]
        time_ms = max([_now_ms(), *(time + 1 for time in times)])
        name = f"{time_ms:012x}-{secrets.token_hex(4)}{OPS_SUFFIX}"
        self._writer = AppendFile(self._folder / name, OPS_MAGIC, self._durability)
        self._names.add(name)
        return self._writer

    def _end(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def _read(self) -> Contents:
        contents = read_folder(self._folder)
        self._names = set(contents.names)
        self._version = max(self._version, contents.version)
        return contents

    def _read_and_keep_readable(self) -> Contents:
        """Read; if op files turn out to be damaged, keep the readable file too: it may hold what they lost."""
        damaged = set(self._folder.glob(DAMAGED_OPS))
        found = self._read()
        if set(self._folder.glob(DAMAGED_OPS)) - damaged and self._paths.readable.is_file():
            aside = self._folder / f"readable-{_now_ms():012x}{self._paths.readable.suffix}"
            replace_file(aside, self._paths.readable.read_bytes(), "disk")
            warnings.warn(
                f"{self._paths.readable} is written anew without the changes that could not be read; it is kept as"
                f" it was as {aside}.",
                DamagedFileWarning,
                stacklevel=4,
            )
        return found

    def _sweep(self) -> None:
        """Delete the temporary file of a process that was killed."""
        for temp in self._folder.glob(f".*{TEMP_SUFFIX}"):
            temp.unlink(missing_ok=True)

    def _sweep_past(self, contents: Contents) -> None:
        """Delete what a process that was killed while it compacted had kept of the past: it keeps it anew."""
        chains = [snapshot.chain for snapshot in contents.snapshots]
        if None not in chains:
            sweep(self._folder, {name for chain in chains if chain for name in chain.names})

    def _device(self) -> DeviceId:
        path = self._folder / "device"
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            text = b""
        else:
            if not _DEVICE.fullmatch(text):
                warnings.warn(
                    f"{path} does not hold a device id; this device goes on under a new one.",
                    DamagedFileWarning,
                    stacklevel=3,
                )
                text = b""
        if not text:
            text = secrets.token_hex(16).encode() + b"\n"
            replace_file(path, text, "disk")
        return DeviceId(text.decode().strip())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
