"""Looking at a state folder without changing anything: what it holds, and what is wrong with its files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from tinysync.errors import StorageError
from tinysync.storage.failures import in_words
from tinysync.storage.records import HEADER_SIZE, OPS_MAGIC, OpRecord, decode_ops, scan
from tinysync.storage.recovery import (
    OPS_SUFFIX,
    Contents,
    Snapshot,
    is_snapshot,
    read_snapshot,
)
from tinysync.storage.versions import versioned

if TYPE_CHECKING:
    from pathlib import Path

Damage = Literal["torn", "damaged", "unknown", "lost", "replaced", "history", "appended", "empty", "unreadable"]
"""What is wrong with a file of updates: its last record was not finished; something in it is damaged; it is of a
newer version, or none of tinysync's; it is a damaged snapshot whose sources are gone; a snapshot has taken its
place; it does not say where its history is; something stands behind a snapshot; it is an op file without any
change; the system cannot read it."""

DEVICE_ID: Final = re.compile(rb"[0-9a-f]{32}\n?")
"""What the file ``device`` of a state folder holds."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file of updates with which something is wrong; ``text`` says more."""

    name: str
    damage: Damage
    text: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a state folder holds, as far as it can be read, and the files with which something is wrong."""

    contents: Contents
    damaged: list[Damaged] = field(default_factory=list)


def inspect_folder(folder: Path) -> Inspection:
    """Read everything in a state folder, which may be in use meanwhile. Raise OSError."""
    names: list[str] | None = None
    while True:
        previous, names = names, sorted(entry.name for entry in folder.iterdir())
        try:
            return _inspect(folder, names)
        except FileNotFoundError:  # compacted meanwhile
            if names == previous:
                raise


def _inspect(folder: Path, names: list[str]) -> Inspection:
    damaged: list[Damaged] = []
    snapshots = _snapshots(folder, names, damaged)
    replaced = {old for snapshot in snapshots for old in snapshot.replaces}
    damaged += [Damaged(name, "replaced") for name in sorted(replaced.intersection(names))]
    used = sorted((s for s in snapshots if s.name not in replaced), key=lambda s: (s.record.time_ms, s.name))
    damaged += [
        Damaged(snapshot.name, "history" if snapshot.chain is None else "appended")
        for snapshot in used
        if snapshot.chain is None or snapshot.end < snapshot.size
    ]
    loose: dict[str, list[tuple[int, OpRecord]]] = {}
    ends: dict[str, int] = {}
    version = max((snapshot.version for snapshot in used), default=0)
    for name in names:
        if name.endswith(OPS_SUFFIX) and name not in replaced:
            records, ends[name] = _operations(folder / name, damaged)
            loose[name] = versioned(records, version)
            version = max(version, *(number for number, _ in loose[name]), 0)
    size = sum(ends.values()) + sum(snapshot.size for snapshot in used)
    return Inspection(Contents(used, loose, version, size, ends), damaged)


def _snapshots(folder: Path, names: list[str], damaged: list[Damaged]) -> list[Snapshot]:
    whole: list[Snapshot] = []
    broken: dict[str, list[str] | None] = {}
    for name in filter(is_snapshot, names):
        try:
            found = read_snapshot(folder / name, warn=False)
        except FileNotFoundError:
            raise
        except (OSError, StorageError) as error:
            damaged.append(_unreadable(name, error))
            continue
        if isinstance(found, Snapshot):
            whole.append(found)
        else:
            broken[name] = found
    replaced = {old for snapshot in whole for old in snapshot.replaces}
    for name, sources in broken.items():
        if name not in replaced:
            lost = sources is None or not set(sources) <= set(names)
            damaged.append(Damaged(name, "lost" if lost else "damaged"))
    return whole


def _operations(path: Path, damaged: list[Damaged]) -> tuple[list[OpRecord], int]:
    try:
        data = path.read_bytes()
        found = scan(data, OPS_MAGIC, path)
    except FileNotFoundError:
        raise
    except (OSError, StorageError) as error:
        damaged.append(_unreadable(path.name, error))
        return [], 0
    records, size = decode_ops(found.payloads)
    end = HEADER_SIZE + size if found.good_size else 0
    if found.damaged or end < found.good_size:
        damaged.append(Damaged(path.name, "damaged", f"{len(records)} of its changes are whole"))
    elif found.torn:
        damaged.append(Damaged(path.name, "torn", f"{len(data) - end} bytes"))
    elif not records:
        damaged.append(Damaged(path.name, "empty"))
    return records, end


def _unreadable(name: str, error: OSError | StorageError) -> Damaged:
    if isinstance(error, OSError):
        return Damaged(name, "unreadable", in_words(error))
    return Damaged(name, "unknown", str(error))
