"""Reading the records that are kept, compacted or not, in their order."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING

from tinysync.errors import DamagedFileWarning, StorageError
from tinysync.storage.oplog_contract import Past, State
from tinysync.storage.past_files import read_base, read_past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinysync.storage.records import OpRecord
    from tinysync.storage.recovery import Contents, Snapshot


def read_history(folder: Path, contents: Contents) -> Past:
    """Return the past of what a folder holds; where its files are damaged it begins with the newest snapshot.

    Raise OSError. ``contents`` is what ``recovery.read_folder`` returned.
    """
    loose = [entry for records in contents.loose.values() for entry in records]
    try:
        start, kept = _read_chains(folder, contents.snapshots)
    except (FileNotFoundError, StorageError) as error:
        warnings.warn(
            f"The history from before the last compaction cannot be read, and begins with that: {error}. The"
            " structure itself is whole.",
            DamagedFileWarning,
            stacklevel=2,
        )
        start, kept = _joined([_own_state(snapshot) for snapshot in contents.snapshots]), []
    past = past_of([start], [_own_state(snapshot) for snapshot in contents.snapshots], kept, loose)
    missing = first_missing(past)
    if missing is not None and missing <= past.later.version:
        warnings.warn(
            f"The history in {folder} lacks version {missing}: a file was lost or damaged. The versions from"
            f" there to {past.later.version} cannot be shown; the structure itself is whole.",
            DamagedFileWarning,
            stacklevel=2,
        )
    return past


def first_missing(past: Past) -> int | None:
    """Return the first version that should be among the records, but is not.

    A version up to ``later`` cannot be shown where one before it is missing. What came later can: it is what the
    structure was without what is missing.
    """
    return next((first for first, _ in missing_versions(past)), None)


def missing_versions(past: Past) -> Iterator[tuple[int, int]]:
    """Return the versions that should be among the records but are not: the first and the last of each gap."""
    known = [past.start.version, *(version for version, _ in past.records)]
    for before, after in pairwise([*known, max(past.later.version, known[-1]) + 1]):
        if after > before + 1:
            yield before + 1, after - 1


def past_of(
    starts: list[State],
    snapshots: list[State],
    kept: list[tuple[int, OpRecord]],
    loose: list[tuple[int, OpRecord]],
) -> Past:
    """Return the past of the records that were kept and those that are not compacted, in their order."""
    start, later = _joined(starts), _joined(snapshots)
    return Past(
        _with_early(start, [*kept, *loose]),
        _with_early(later, loose),
        sorted((entry for entry in [*kept, *loose] if entry[0] > start.version), key=lambda entry: entry[0]),
    )


def _read_chains(folder: Path, snapshots: list[Snapshot]) -> tuple[State, list[tuple[int, OpRecord]]]:
    starts: list[State] = []
    kept: list[tuple[int, OpRecord]] = []
    for snapshot in snapshots:
        chain = snapshot.chain
        if chain is None or not chain.names:
            starts.append(_own_state(snapshot))
            continue
        if chain.base is not None:
            starts.append(read_base(folder / chain.base))
        for name in chain.files:
            kept += read_past(folder / name)
    return _joined(starts), kept


def _own_state(snapshot: Snapshot) -> State:
    return State(snapshot.version, list(snapshot.record.updates))


def _joined(states: list[State]) -> State:
    version = max((state.version for state in states), default=0)
    return State(version, [update for state in states for update in state.updates])


def _with_early(state: State, records: list[tuple[int, OpRecord]]) -> State:
    """Return a state with the records up to its version that another process wrote and it does not cover."""
    early = [update for version, record in records if version <= state.version for update in record.updates]
    return State(state.version, [*state.updates, *early])
