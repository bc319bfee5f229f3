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
from tinysync.storage.compaction import Draft, draft, finish, is_past_due
from tinysync.storage.failures import storage_error, storage_errors
from tinysync.storage.history import read_history
from tinysync.storage.inspection import DEVICE_ID
from tinysync.storage.lock import PATIENCE, FolderLock
from tinysync.storage.oplog_contract import Opened
from tinysync.storage.past_files import sweep
from tinysync.storage.prepared import read_prepared, sweep_prepared, write_prepared
from tinysync.storage.records import OPS_MAGIC, OpRecord, encode_op, frame
from tinysync.storage.recovery import CORRUPT_SUFFIX, OPS_SUFFIX, position_of, read_again, read_folder
from tinysync.storage.sessions import Session, live_sessions
from tinysync.storage.tailing import Tail
from tinysync.storage.versions import mark

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tinysync.storage.atomic import Durability
    from tinysync.storage.names import Paths
    from tinysync.storage.oplog_contract import Past, Retention
    from tinysync.storage.recovery import Contents

DAMAGED_OPS: Final = f"*{OPS_SUFFIX}*{CORRUPT_SUFFIX}"
_SESSION: Final = re.compile(r"([0-9a-f]{12})-[0-9a-f]{8}\.ops")
_UNREADABLE: Final = "See that the folder is there and readable."
OTHER_FOLDER: Final = "; or give track() another one by folder=, or persist=False"
UNWRITABLE: Final = (
    f"Make the folder writable for this program and, if its disk is full, free some space{OTHER_FOLDER}."
)
_COMPACTING: Final = "write a snapshot into"
_NOTHING_LOST: Final = "Nothing is lost: the op files are kept."
_FULL: Final = "The change was not saved; see that the disk is there, writable and not full, and try again."
_GONE: Final = (
    "The change was not saved; put the folder back, or close the structure and track it again to begin anew."
)
_BACK: Final = "Put the folder back if it is gone, and see that it is readable."


class FileOpLog:
    """The op log of a structure in its state folder.

    ``durability='os'``: what ``append`` acknowledged survives the death of the process; ``'disk'``: a loss of
    power too. ``lock`` is the folder's, for those who hold it around several steps. See
    :class:`tinysync.storage.oplog_contract.OpLog`.
    """

    def __init__(
        self,
        paths: Paths,
        durability: Durability = "os",
        retention: Retention | None = None,
        lock: FolderLock | None = None,
    ) -> None:
        self._paths = paths
        self._retention = retention
        self._folder = paths.state
        self._durability: Durability = durability
        self._lock = lock or FolderLock(paths.state)
        self._session: Session | None = None
        self._tail: Tail | None = None
        self._writer: tuple[str, AppendFile] | None = None
        self._ended: dict[str, int] = {}
        """The op files that this session has written and closed, with their sizes."""
        self._begun_ms = 0
        """The time in the name of the newest of them."""
        self._version = 0
        """The highest version of a record."""
        self._written = 0
        """The version of the last record in the file of the writer."""

    def open(self) -> Opened:
        """Repair what is damaged, and return what is there. Raise DocumentInUse, StorageError."""
        if self._session is not None:
            raise StorageError(f"The state of {self._paths.readable} is open already.")
        with storage_errors("open the state folder", self._folder, UNWRITABLE):
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._lock.held(PATIENCE):
                live = live_sessions(self._folder, self._paths.readable)
                self._sweep()
                device = self._device()
                contents = self._read_and_keep_readable(live)
                self._sweep_past(contents)
                prepared, unprepared = read_prepared(self._folder, contents)
                past_due = is_past_due(self._folder, contents, self._retention, _now_ms())
                session = Session(self._folder)
                session.begin()
        self._session, self._ended, self._version = session, {}, contents.version
        self._tail = Tail(self._folder, contents, durable=self._durability == "disk")
        records = contents.records
        return Opened(
            device,
            records,
            bool(records),
            contents.file_bytes,
            contents.loose_bytes,
            past_due,
            prepared,
            unprepared,
            session.name,
        )

    def append(self, record: OpRecord) -> None:
        """Add a record to this session's op file. Raise StorageError; then the file is as before."""
        session, tail = self._require_open()
        version = self._version + 1
        follows = version == 1 or (self._writer is not None and self._written == self._version)
        data = frame(encode_op(record if follows else mark(version, record)))
        try:
            if self._writer is None:
                self._writer = self._begin(session, tail)
            self._writer[1].append(data)
            self._version = self._written = version
        except BaseException as error:
            # The end of a file that failed is not to be relied on: the next record begins a new one.
            with contextlib.suppress(OSError):
                self._end()
            if isinstance(error, OSError):
                advice = _GONE if isinstance(error, FileNotFoundError) else _FULL
                raise storage_error("save a change in", self._folder, advice, error) from error
            raise

    def news(self) -> bool:
        """Tell, from any thread, whether another session may have added something. Raise StorageError."""
        _, tail = self._require_open()
        with storage_errors("read", self._folder, _UNREADABLE):
            return tail.news()

    def tail(self) -> list[OpRecord]:
        """Return what other sessions have added since they were last asked about. Raise StorageError."""
        _, tail = self._require_open()
        with storage_errors("read", self._folder, _UNREADABLE):
            records = tail.read()
        self._version = max(self._version, tail.version)
        return records

    def reread(self) -> list[OpRecord]:
        """Return every record that was returned or appended before. Raise StorageError."""
        _, tail = self._require_open()
        with storage_errors("read", self._folder, _BACK):
            self._end()
            return read_again(self._folder, tail.snapshots, {**tail.ends, **self._ended})

    def position(self) -> bytes:
        """Return a digest of which records were returned and appended so far."""
        _, tail = self._require_open()
        ends = tail.ends | self._ended
        if self._writer is not None:
            ends[self._writer[0]] = self._writer[1].end
        return position_of(tail.snapshots, ends)

    def prepare(self, update: bytes, prepared: bytes) -> None:
        """Keep what was worked out of the snapshot of this update, beside it."""
        _, tail = self._require_open()
        if len(tail.snapshots) == 1:
            (name,) = tail.snapshots
            write_prepared(self._folder, name, update, prepared)

    def compact(self, update: bytes, prepared: bytes | None = None) -> None:
        """Write ``update`` as a snapshot, then delete what it replaces. Raise StorageError; nothing is lost.

        What others who have the structure open write to, or what was not read to its end, stays beside it.
        """
        self._require_open()
        with self._lock.held(PATIENCE):
            self.end_compaction(self.begin_compaction()(update, prepared))

    def begin_compaction(self) -> Callable[[bytes, bytes | None], Draft]:
        """Begin what ``compact`` does in one go, with an update of what is there now.

        Return a function that writes the update beside, in any thread, for ``end_compaction``; it raises
        DocumentInUse if somebody has the folder's lock, and StorageError.
        """
        session, tail = self._require_open()
        with storage_errors(_COMPACTING, self._folder, _NOTHING_LOST):
            self._end()
        known = tail.known(session.name)

        def write(update: bytes, prepared: bytes | None) -> Draft:
            with storage_errors(_COMPACTING, self._folder, _NOTHING_LOST):
                with self._lock.held(0):
                    live = live_sessions(self._folder, self._paths.readable, session)
                    contents = read_folder(self._folder, {*live, session.name})
                    covered = known.covered(contents, live)
                kept = self._retention
                written = draft(self._folder, contents, update, covered, retention=kept, now_ms=_now_ms())
                if prepared is not None:
                    write_prepared(self._folder, written.name, update, prepared)
                return written

        return write

    def end_compaction(self, written: Draft) -> bool:
        """Put what was written beside in place; return False if somebody else has compacted meanwhile.

        Raise DocumentInUse at once if somebody has the folder's lock, and StorageError.
        """
        _, tail = self._require_open()
        with storage_errors(_COMPACTING, self._folder, _NOTHING_LOST), self._lock.held(0):
            if not written.fits({entry.name for entry in self._folder.iterdir()}):
                written.discard()
                return False
            finish(self._folder, written)
            tail.replaced(written.covered, written.name)
            # What cannot be deleted now is deleted when the folder is opened again.
            with contextlib.suppress(OSError):
                sweep_prepared(self._folder, {written.name})
            self._ended = {name: end for name, end in self._ended.items() if name not in written.covered}
            return True

    def past(self) -> Past:
        """Return the records that are kept. Raise StorageError."""
        session, _ = self._require_open()
        doing = "read the history in"
        with storage_errors(doing, self._folder, _UNREADABLE), self._lock.held(PATIENCE):
            live = live_sessions(self._folder, self._paths.readable, session)
            return read_history(self._folder, read_folder(self._folder, {*live, session.name}))

    def close(self) -> None:
        """Close this session's op file and take down its sign."""
        if self._session is not None:
            session, self._session = self._session, None
            try:
                self._end()
            finally:
                if self._tail is not None:
                    self._delete_empty(self._tail.own - self._ended.keys())
                self._tail = None
                session.end()
                self._lock.close()

    def _require_open(self) -> tuple[Session, Tail]:
        if self._session is None or self._tail is None:
            raise StorageError(f"The state of {self._paths.readable} is not open.")
        return self._session, self._tail

    def _begin(self, session: Session, tail: Tail) -> tuple[str, AppendFile]:
        # Names sort in the order of writing, also within a millisecond and after the clock was set back. None
        # comes twice: what has the name of a file that was compacted counts as compacted.
        times = [int(match[1], 16) for match in map(_SESSION.fullmatch, (*tail.ends, *tail.own)) if match]
        self._begun_ms = max([_now_ms(), self._begun_ms + 1, *(time + 1 for time in times)])
        name = f"{self._begun_ms:012x}-{session.name}{OPS_SUFFIX}"
        tail.own.add(name)
        return name, AppendFile(self._folder / name, OPS_MAGIC, self._durability)

    def _end(self) -> None:
        if self._writer is not None:
            (name, writer), self._writer = self._writer, None
            if writer.end:
                self._ended[name] = writer.end
            writer.close()

    def _delete_empty(self, names: set[str]) -> None:
        """Delete op files that were made in the moment of an interrupt, and that no writer got to know."""
        for name in names:
            path = self._folder / name
            with contextlib.suppress(OSError):
                if not path.stat().st_size:
                    path.unlink()

    def _read_and_keep_readable(self, live: set[str]) -> Contents:
        """Read; if op files turn out to be damaged, keep the readable file too: it may hold what they lost."""
        damaged = set(self._folder.glob(DAMAGED_OPS))
        found = read_folder(self._folder, live)
        if set(self._folder.glob(DAMAGED_OPS)) - damaged and self._paths.readable.is_file():
            aside = keep_readable_aside(self._paths)
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
            if not DEVICE_ID.fullmatch(text):
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


def keep_readable_aside(paths: Paths) -> Path:
    """Keep a copy of the readable file, as it is, in the state folder; return where. Raise OSError.

    If the latest copy is the same, that is it.
    """
    data = paths.readable.read_bytes()
    latest = max(paths.state.glob(f"readable-*{paths.readable.suffix}"), default=None)
    if latest is not None and latest.read_bytes() == data:
        return latest
    aside = paths.state / f"readable-{_now_ms():012x}{paths.readable.suffix}"
    replace_file(aside, data, "disk")
    return aside


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
