"""Reading a state folder: what is whole is returned, what is damaged is repaired and reported, nothing is lost.

Only the holder of the folder's lock may repair; what living sessions write to is left alone.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import DamagedFileWarning, StorageError
from tinysync.storage.atomic import replace_file
from tinysync.storage.base import digest
from tinysync.storage.oplog_contract import SNAPSHOT_KIND
from tinysync.storage.past_files import Chain, unpack_chain
from tinysync.storage.records import (
    HEADER_SIZE,
    OPS_MAGIC,
    SNAPSHOT_MAGIC,
    OpRecord,
    decode_ops,
    encode_op,
    frame,
    header,
    pack,
    scan,
    unpack,
    whole_file,
)
from tinysync.storage.versions import versioned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

OPS_SUFFIX: Final = ".ops"
_SNAPSHOT_PREFIX: Final = "snapshot-"
_SNAPSHOT_SUFFIX: Final = ".bin"
CORRUPT_SUFFIX: Final = ".corrupt"


@dataclass(frozen=True, slots=True)
class Contents:
    """The records of a state folder, with the files they came from and the size of those.

    ``loose`` holds the records of each op file with their versions; ``version`` is the highest. ``ends`` says
    where in each op file the last record ends.
    """

    snapshots: list[Snapshot]
    loose: dict[str, list[tuple[int, OpRecord]]]
    version: int
    file_bytes: int
    ends: dict[str, int]

    @property
    def loose_bytes(self) -> int:
        """The size of the op files."""
        return sum(self.ends.values())

    @property
    def records(self) -> list[OpRecord]:
        """All records, compacted ones first."""
        found = [snapshot.record for snapshot in self.snapshots]
        for records in self.loose.values():
            found += [record for _, record in records]
        return found

    @property
    def names(self) -> frozenset[str]:
        """The files that these records came from."""
        return frozenset([*(snapshot.name for snapshot in self.snapshots), *self.loose])

    def past_names(self, snapshots: set[str]) -> set[str]:
        """Return the files that keep the past of some of the snapshots."""
        chains = [each.chain for each in self.snapshots if each.name in snapshots]
        return {name for chain in chains if chain is not None for name in chain.names}

    def only(self, names: set[str]) -> Contents:
        """Return it without what came from other files."""
        snapshots = [snapshot for snapshot in self.snapshots if snapshot.name in names]
        loose = {name: records for name, records in self.loose.items() if name in names}
        return replace(self, snapshots=snapshots, loose=loose, ends={name: self.ends[name] for name in loose})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A compacted state: what it replaces, the version it is of, and where its past is kept.

    ``chain`` is None if it is damaged there. ``ends`` says how far the op files went that it replaces, where that
    is known. ``end``: where its records end in the file, which is to have nothing behind them.
    """

    name: str
    record: OpRecord
    replaces: list[str]
    size: int
    version: int
    chain: Chain | None
    ends: dict[str, int]
    end: int


MOST_OWN: Final = 10_000
"""So many of the client ids of this device are kept, the newest ones."""


def own_clients(records: Iterable[OpRecord]) -> set[int]:
    """Return the client ids under which this device wrote what is in records, compacted or not."""
    own: set[int] = set()
    for record in records:
        if record.kind == SNAPSHOT_KIND:
            own.update(record.meta.get("own", ()))
        elif record.kind != "remote":
            own.add(record.client)
    return own


def snapshot_name(digest: str) -> str:
    """Return the file name of a snapshot with that digest."""
    return f"{_SNAPSHOT_PREFIX}{digest}{_SNAPSHOT_SUFFIX}"


def is_of_op_log(name: str) -> bool:
    """Tell whether a file of a state folder holds updates."""
    return OPS_SUFFIX in name or name.startswith(_SNAPSHOT_PREFIX)


def encode_snapshot(update: bytes, replaced: Contents, time_ms: int, chain: Chain) -> bytes:
    """Return a compacted state as a file. What it replaces has a record of its own: it may survive the update."""
    parts = [pack([sorted(replaced.names), time_ms]), pack(update)]
    own = sorted(own_clients(replaced.records))[-MOST_OWN:]
    parts.append(pack([replaced.version, chain.packed(), replaced.ends, own]))
    return whole_file(SNAPSHOT_MAGIC, parts)


def session_of(name: str) -> str:
    """Return the name of the session that writes, or wrote, an op file."""
    return name.removesuffix(OPS_SUFFIX).rpartition("-")[2]


def read_folder(folder: Path, live: Collection[str] = ()) -> Contents:
    """Read everything in a state folder, and repair it, but for the op files of ``live`` sessions.

    A file that a snapshot replaces, left by a process that died while compacting, is deleted. Raise StorageError
    where going on would lose data: a damaged snapshot whose sources are gone, or files of a newer version.
    """
    names: list[str] | None = None
    while True:
        previous, names = names, sorted(entry.name for entry in folder.iterdir())
        try:
            return _read(folder, names, live)
        except FileNotFoundError:
            if names == previous:
                raise


def _read(folder: Path, names: list[str], live: Collection[str]) -> Contents:
    operations = [name for name in names if name.endswith(OPS_SUFFIX)]
    snapshots: dict[str, Snapshot] = {}
    damaged: dict[str, list[str] | None] = {}
    for name in filter(is_snapshot, names):
        found = read_snapshot(folder / name)
        if isinstance(found, Snapshot):
            snapshots[name] = found
        else:
            damaged[name] = found
    replaced = {old for snapshot in snapshots.values() for old in snapshot.replaces}
    for name, sources in damaged.items():
        if name not in replaced:
            _set_damaged_snapshot_aside(folder, name, sources, names)
    for name in replaced.intersection(names):
        (folder / name).unlink(missing_ok=True)

    kept = sorted((snapshot.record.time_ms, name) for name, snapshot in snapshots.items() if name not in replaced)
    used = [snapshots[name] for _, name in kept]
    loose: dict[str, list[tuple[int, OpRecord]]] = {}
    version = max((snapshot.version for snapshot in used), default=0)
    ends: dict[str, int] = {}
    for name in operations:
        if name not in replaced:
            records, ends[name] = _read_operations(folder / name, repair=session_of(name) not in live)
            loose[name] = versioned(records, version)
            version = max(version, *(number for number, _ in loose[name]), 0)
    size = sum(ends.values()) + sum(snapshot.size for snapshot in used)
    return Contents(used, loose, version, size, ends)


def read_again(folder: Path, snapshots: Collection[str], ends: Mapping[str, int]) -> list[OpRecord]:
    """Return the records of files as far as they were read before; raise FileNotFoundError if one is gone.

    ``ends`` says for each op file how far. Nothing is repaired; a file that is no more whole raises StorageError.
    """
    found = [read_snapshot(folder / name) for name in snapshots]
    records = sorted((each.record for each in found if isinstance(each, Snapshot)), key=lambda each: each.time_ms)
    whole = len(records) == len(found)
    for name, end in sorted(ends.items()):
        payloads = scan((folder / name).read_bytes()[:end], OPS_MAGIC, folder / name).payloads
        more, size = decode_ops(payloads)
        records += [record for _, record in versioned(more, 0)]
        whole = whole and (not end or HEADER_SIZE + size == end)
    if not whole:
        raise StorageError(f"Files in {folder} that were read before are damaged. Open the structure anew.")
    return records


def position_of(snapshots: Iterable[str], ends: Mapping[str, int]) -> bytes:
    """Return a digest of how far an op log goes: which snapshots there are, and where each op file ends."""
    known = sorted(snapshots), sorted((name, end) for name, end in ends.items() if end)
    return digest(repr(known).encode())


def is_snapshot(name: str) -> bool:
    """Tell whether a file's name is that of a snapshot."""
    return name.startswith(_SNAPSHOT_PREFIX) and name.endswith(_SNAPSHOT_SUFFIX)


def read_snapshot(path: Path, *, warn: bool = True) -> Snapshot | list[str] | None:
    """Return a whole snapshot; of a damaged one the names it replaces, or None if they are lost too.

    ``warn``: if it is damaged where it names its history.
    """
    data = path.read_bytes()
    found = scan(data, SNAPSHOT_MAGIC, path)
    match [unpack(payload) for payload in found.payloads]:
        case [[list(names), int(time_ms)], *rest]:
            replaces = [name for name in names if _may_be_replaced(name)]
            match rest:
                case [bytes(update), *more]:
                    record = OpRecord(SNAPSHOT_KIND, time_ms, 0, (update,), {"own": _read_own(more)})
                    version, chain = _read_past(more, whole=not (found.torn or found.damaged))
                    if chain is None and warn:
                        _warn_of_lost_history(path)
                    ends = _read_ends(more)
                    return Snapshot(path.name, record, replaces, len(data), version, chain, ends, found.good_size)
            return replaces
    return None


def _read_own(more: list[Any]) -> list[int]:
    match more:
        case [[_, _, _, list(own), *_], *_]:
            return [client for client in own if type(client) is int]
    return []


def _read_ends(more: list[Any]) -> dict[str, int]:
    match more:
        case [[_, _, dict(ends), *_], *_]:
            return {name: end for name, end in ends.items() if isinstance(name, str) and type(end) is int}
    return {}


def _read_past(more: list[Any], *, whole: bool) -> tuple[int, Chain | None]:
    match more:
        case [[int(version), packed, *_], *_]:
            chain = unpack_chain(packed)
            if chain is not None:
                return version, chain
        case [] if whole:
            return 0, Chain()
    return 0, None


def _warn_of_lost_history(path: Path) -> None:
    warnings.warn(
        f"The snapshot {path} is damaged where it names its history: the structure is whole, but its history"
        " from before cannot be read.",
        DamagedFileWarning,
        stacklevel=3,
    )


def _may_be_replaced(name: object) -> bool:
    """Whether a name that a snapshot lists is that of a file in its own folder which may be deleted for it."""
    return (
        isinstance(name, str)
        and Path(name).name == name
        and "\\" not in name
        and (name.endswith(OPS_SUFFIX) or is_snapshot(name))
    )


def _set_damaged_snapshot_aside(folder: Path, name: str, sources: list[str] | None, names: list[str]) -> None:
    path = folder / name
    if sources is None or not set(sources) <= set(names):
        raise StorageError(
            f"The snapshot {path} is damaged, and what it was made from is no longer there. Restore this file from"
            " a backup; or move it away to go on with what the readable file and the other devices still hold."
        )
    aside = free_name(path)
    path.rename(aside)
    warnings.warn(
        f"The snapshot {path} was damaged; nothing is lost, because the files it was made from are still there. It"
        f" was moved to {aside}, which can be deleted.",
        DamagedFileWarning,
        stacklevel=2,
    )


def _read_operations(path: Path, *, repair: bool) -> tuple[list[OpRecord], int]:
    data = path.read_bytes()
    found = scan(data, OPS_MAGIC, path)
    records, size = decode_ops(found.payloads)
    end = HEADER_SIZE + size if found.good_size else 0
    if not repair:
        return records, end
    if found.damaged or end < found.good_size:
        return records, _set_damaged_operations_aside(path, data, records)
    if found.torn:
        _cut(path, end, len(data))
    return records, end


def _cut(path: Path, good_size: int, size: int) -> None:
    os.truncate(path, good_size)
    warnings.warn(
        f"The last {size - good_size} bytes of {path} were a record whose writing had been interrupted; they were"
        " cut off. Everything before them is kept.",
        DamagedFileWarning,
        stacklevel=2,
    )


def _set_damaged_operations_aside(path: Path, data: bytes, records: list[OpRecord]) -> int:
    """Keep the whole records in ``path`` and all of the file beside it; return the new size.

    The copy is on the disk before the file is replaced: a crash in between makes one more copy.
    """
    aside = free_name(path)
    replace_file(aside, data, "disk")
    whole = b"".join(frame(encode_op(record)) for record in records)
    if whole:
        whole = header(OPS_MAGIC) + whole
        replace_file(path, whole, "disk")
    else:
        path.unlink()
    warnings.warn(
        f"{path} is damaged in its middle: its first {len(records)} changes are whole and were kept, the others"
        f" could not be read. The damaged file is kept as {aside}. What is missing comes back from other devices"
        " that have it.",
        DamagedFileWarning,
        stacklevel=2,
    )
    return len(whole)


def free_name(path: Path) -> Path:
    """Return a name beside a file, which nothing has, to keep it under because it is damaged."""
    number = 0
    while True:
        name = f"{path.name}.{number}{CORRUPT_SUFFIX}" if number else path.name + CORRUPT_SUFFIX
        aside = path.with_name(name)
        if not aside.exists():
            return aside
        number += 1
