"""The journal of conflicts of one structure: a file in its state folder, or just memory.

It is a note, not part of the state. Several processes may have it open; what two of them find is kept once.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.values import KINDS
from tinysync.crdt.values import pack as pack_scalar
from tinysync.crdt.values import unpack as unpack_scalar
from tinysync.errors import BadUpdate, StorageError
from tinysync.model import NOTHING
from tinysync.storage.atomic import replace_file
from tinysync.storage.lock import FileLock
from tinysync.storage.records import HEADER_SIZE, frame, header, pack, scan, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path as FilePath

    from tinysync.model import ConflictKind, Kind, Path

logger = logging.getLogger("tinysync")

FILE: Final = "conflicts"
DELETED_FILE: Final = "deleted-untold"
MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 4 << 20
"""Of more, or larger ones, the newest are kept: at least one, whatever its size."""

_MAGIC: Final = b"tsynCFL"
_SLACK: Final = 1.25
"""The file may be so much over the bounds before it is written anew."""
_ATTEMPTS: Final = 20
_WAIT: Final = 0.01


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A conflict as it is kept; ``mark`` identifies it, ``node`` is the id of the container it is in.

    ``kinds`` are those of the containers that the steps of its path are in, from the root on.
    ``element`` identifies a list's element; ``is_part``: what was lost is only a part of what was there. ``via``:
    it is not known which other device wrote, so the one is named that brought it.
    """

    mark: str
    time_ms: int
    path: Path
    kind: ConflictKind
    lost: Any
    kept: Any
    lost_device: str
    kept_device: str
    lost_here: bool
    node: str
    kinds: tuple[Kind, ...]
    element: tuple[int, int] | None = None
    is_part: bool = False
    via: bool = False


class ConflictJournal:
    """Keeps entries, the newest ones; ``folder`` None: in memory. Used under the structure's lock."""

    def __init__(self, folder: FilePath | None = None) -> None:
        self._folder = folder
        self._path = None if folder is None else folder / FILE
        self._lock = None if folder is None else FileLock(folder / f"{FILE}.lock")
        self._here: dict[str, bytes] = {}
        """What is not in a file, by mark: everything without one, else what could not be written."""
        self._size = 0
        """About how many bytes that is."""
        self._known: tuple[tuple[int, int], int, int, set[str]] | None = None
        """What the file was like: its size and time, where it ends, how many entries it has, and their marks."""

    def add(self, entries: Sequence[JournalEntry]) -> None:
        """Keep entries that are not there yet; what cannot be written is logged, and tried again the next time."""
        for entry in entries[-MAX_ENTRIES:]:
            payload = self._here.setdefault(entry.mark, _encode(entry))
            self._size += len(payload)
        try:
            if self._path is not None:
                self._write(self._path)
        except (OSError, StorageError) as error:
            logger.warning("Could not note a conflict in %s: %s", self._path, error)
        if len(self._here) > MAX_ENTRIES * _SLACK or self._size > MAX_BYTES * _SLACK:
            kept = _newest(list(self._here.values()))
            self._here = {_mark(payload): payload for payload in kept}
            self._size = sum(map(len, kept))

    def entries(self) -> list[JournalEntry]:
        """Return all entries, the oldest first; raises StorageError if the file is none or cannot be read."""
        payloads = [] if self._path is None else self._read(self._path)[0]
        unique = {_mark(payload): payload for payload in payloads} | self._here
        return [entry for entry in map(_decode, _newest(list(unique.values()))) if entry is not None]

    # --- deletions that nobody has heard of ----------------------------------------------------------------

    def keep_deleted(self, entries: list[str]) -> None:
        """Keep, for the next run, which entries were deleted without anybody hearing of it, if it can be kept."""
        if self._folder is None or not entries or self._others_are_here():
            return
        with contextlib.suppress(OSError):
            replace_file(self._folder / DELETED_FILE, header(_MAGIC) + frame(pack(entries)), "os")

    def take_deleted(self) -> list[str]:
        """Return, once, what ``keep_deleted`` kept; nothing if another process has the structure open."""
        if self._folder is None:
            return []
        path = self._folder / DELETED_FILE
        try:
            payloads = scan(path.read_bytes(), _MAGIC, path).payloads
            # At once: what happens until the end of this run may make it wrong.
            path.unlink()
        except (OSError, StorageError):
            return []
        entries = unpack(payloads[0]) if payloads else None
        if not isinstance(entries, list) or self._others_are_here():
            return []
        return [entry for entry in entries if isinstance(entry, str)]

    def _others_are_here(self) -> bool:
        return self._folder is not None and len(list(self._folder.glob("live-*"))) > 1

    def close(self) -> None:
        """Give the file free."""
        if self._lock is not None:
            self._lock.close()

    def _read(self, path: FilePath) -> tuple[list[bytes], int]:
        """Return the whole entries in the file, and where they end if that is the end of it, else 0."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise StorageError(f"Could not read the conflicts in {path}: {error}") from error
        found = scan(data, _MAGIC, path)
        if found.damaged:
            logger.warning("%s is damaged: conflicts noted after that are lost.", path)
        return found.payloads, found.good_size if found.good_size == len(data) else 0

    def _write(self, path: FilePath) -> None:
        assert self._lock is not None
        for _ in range(_ATTEMPTS):
            if self._lock.try_acquire():
                break
            time.sleep(_WAIT)
        else:
            raise BlockingIOError("another process holds it")
        try:
            self._look(path)
            assert self._known is not None
            _, end, count, marks = self._known
            fresh = {mark: payload for mark, payload in self._here.items() if mark not in marks}
            size = sum(map(len, fresh.values()))
            if end and count + len(fresh) <= MAX_ENTRIES * _SLACK and end + size <= MAX_BYTES * _SLACK:
                with path.open("ab") as file:
                    file.write(b"".join(map(frame, fresh.values())))
                marks.update(fresh)
            else:
                payloads = _newest([*self._read(path)[0], *fresh.values()])
                replace_file(path, header(_MAGIC) + b"".join(map(frame, payloads)), "os")
                marks = set(map(_mark, payloads))
            self._known = None
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                self._known = (found.st_size, found.st_mtime_ns), found.st_size, len(marks), marks
            self._here, self._size = {}, 0
        finally:
            self._lock.release()

    def _look(self, path: FilePath) -> None:
        """Learn what is in the file, unless it is as it was left."""
        try:
            found = path.stat()
        except FileNotFoundError:
            self._known = (0, 0), 0, 0, set()
            return
        signature = found.st_size, found.st_mtime_ns
        if self._known is None or self._known[0] != signature:
            payloads, end = self._read(path)
            self._known = signature, max(end, HEADER_SIZE) if end else 0, len(payloads), set(map(_mark, payloads))


def _newest(payloads: list[bytes]) -> list[bytes]:
    """Return the newest within the bounds, at least one."""
    kept = payloads[-MAX_ENTRIES:]
    room = MAX_BYTES
    for index in range(len(kept) - 1, -1, -1):
        room -= len(kept[index])
        if room < 0 and index < len(kept) - 1:
            return kept[index + 1 :]
    return kept


# --- entries as bytes ---------------------------------------------------------------------------------------


def _encode(entry: JournalEntry) -> bytes:
    return pack(
        [
            entry.mark,
            entry.time_ms,
            [pack_scalar(step) for step in entry.path],
            entry.kind,
            _packable(entry.lost),
            _packable(entry.kept),
            entry.lost_device,
            entry.kept_device,
            entry.lost_here,
            entry.node,
            entry.element,
            entry.is_part,
            entry.kinds,
            entry.via,
        ]
    )


def _mark(payload: bytes) -> str:
    found = unpack(payload)
    return found[0] if isinstance(found, list) and found and isinstance(found[0], str) else ""


def _decode(payload: bytes) -> JournalEntry | None:
    """Return the entry in a payload, or None if it is none, or of a newer version."""
    match unpack(payload):
        case [
            str(mark),
            int(time_ms),
            list(path),
            ("value" | "move") as kind,
            lost,
            kept,
            str(lost_device),
            str(kept_device),
            bool(lost_here),
            str(node),
            element,
            bool(is_part),
            *more,
        ]:
            try:
                steps = [unpack_scalar(step) for step in path]
                values = _plain(lost), _plain(kept)
            except (BadUpdate, ValueError, TypeError):
                return None
            identity = (int(element[0]), int(element[1])) if isinstance(element, list) else None
            devices = lost_device, kept_device
            kinds = _kinds(more[0] if more else None, steps, identity)
            # Earlier versions knew only who brought it.
            via = more[1] is not False if len(more) > 1 else True
            return JournalEntry(
                mark, time_ms, steps, kind, *values, *devices, lost_here, node, kinds, identity, is_part, via
            )
    return None


def _kinds(noted: Any, path: Path, identity: object) -> tuple[Kind, ...]:
    """Return the kinds that an entry notes; those of earlier versions tell only a list, by its element."""
    if isinstance(noted, list) and len(noted) == len(path) and all(kind in KINDS for kind in noted):
        return tuple(noted)
    is_list = [*(type(step) is int for step in path[:-1]), identity is not None]
    return tuple("list" if each else "dict" for each in is_list)


def _packable(value: Any) -> Any:
    """Return a plain value as what msgpack knows: scalars as the bytes that the document keeps for them."""
    if value is NOTHING:
        return None
    if isinstance(value, dict):
        return {"dict": [[pack_scalar(key), _packable(item)] for key, item in value.items()]}
    if isinstance(value, list):
        return {"list": [_packable(item) for item in value]}
    if isinstance(value, set):
        return {"set": [pack_scalar(item) for item in value]}
    return pack_scalar(value)


def _plain(packed: Any) -> Any:
    match packed:
        case None:
            return NOTHING
        case bytes():
            return unpack_scalar(packed)
        case {"dict": list(items)}:
            return {unpack_scalar(key): _plain(item) for key, item in items}
        case {"list": list(items)}:
            return [_plain(item) for item in items]
        case {"set": list(items)}:
            return {unpack_scalar(item) for item in items}
    raise ValueError("it is no value of a journal")
