"""Putting a snapshot in the place of op files, and keeping of their records what is to be kept.

The steps are in an order in which a crash between any two loses nothing: first the files that keep the past, which
nothing names yet; then the snapshot, which names them and what it replaces, in one step; then what is replaced is
deleted. What a crash leaves behind is swept at the next opening.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from tinysync.errors import StorageError
from tinysync.storage.atomic import discard, put_in_place, write_beside
from tinysync.storage.oplog_contract import State
from tinysync.storage.past_files import (
    Chain,
    check_past,
    last_time,
    read_base,
    read_past,
    sweep,
    write_base,
    write_past,
)
from tinysync.storage.records import encode_op
from tinysync.storage.recovery import encode_snapshot, is_snapshot, snapshot_name
from tinysync.storage.versions import mark

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.storage.oplog_contract import Retention
    from tinysync.storage.records import OpRecord
    from tinysync.storage.recovery import Contents

CHUNK: Final = 1 << 20
"""A file with records of the past is about so large: they are kept and let go file by file."""

SPARE: Final = 0.75
"""Where the size is exceeded, so much of it is kept: letting go takes time, and is not to be due again at once."""


@dataclass(slots=True)
class _Known:
    """What a compaction starts from."""

    base: str | None = None
    """The file with ``start``, if there is one."""
    start: State = field(default_factory=lambda: State(0, []))
    files: list[str] = field(default_factory=list)
    loose: list[tuple[int, OpRecord]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Draft:
    """A snapshot that is on the disk, but not in its place yet.

    ``everything`` is what the folder held when it was written, and ``covered`` the files of it that it replaces.
    """

    name: str
    temp: Path
    chain: Chain
    everything: Contents
    covered: set[str]

    def fits(self, names: set[str]) -> bool:
        """Whether the folder, which holds these files, is still the one that this is to go into.

        Others may have compacted meanwhile, and swept away what they do not know.
        """
        known = {snapshot.name for snapshot in self.everything.snapshots}
        return set(filter(is_snapshot, names)) == known and names >= self.chain.names | self.covered

    def discard(self) -> None:
        """Do without it; what it was to keep of the past is swept some time."""
        discard(self.temp)


def draft(
    folder: Path,
    everything: Contents,
    update: bytes,
    covered: set[str],
    *,
    retention: Retention | None,
    now_ms: int,
) -> Draft:
    """Write a snapshot of one update, which is to replace the files that it covers. Raise OSError.

    ``everything`` is what ``recovery.read_folder`` returned. Until it is in its place nothing is replaced.
    """
    contents = everything.only(covered)
    chain = _keep_past(folder, contents, retention, now_ms)
    data = encode_snapshot(update, contents, now_ms, chain)
    name = snapshot_name(blake2b(data, digest_size=16).hexdigest())
    return Draft(name, write_beside(folder / name, data), chain, everything, set(contents.names))


def finish(folder: Path, written: Draft) -> None:
    """Put a snapshot in the place of what it replaces; the folder's lock is held, and it fits. Raise OSError."""
    put_in_place(written.temp, folder / written.name)
    # What cannot be deleted now does no harm, and is deleted when the folder is opened again.
    for old in written.covered:
        with contextlib.suppress(OSError):
            (folder / old).unlink()
    others = set(written.everything.names) - written.covered
    with contextlib.suppress(OSError):
        sweep(folder, written.chain.names | written.everything.past_names(others))


def is_past_due(folder: Path, contents: Contents, retention: Retention | None, now_ms: int) -> bool:
    """Tell whether more of the past is kept than there should be."""
    files = [name for snapshot in contents.snapshots if snapshot.chain for name in snapshot.chain.files]
    if retention is None or not files:
        return bool(files)
    sizes = sum((folder / name).stat().st_size for name in files if (folder / name).exists())
    return sizes > retention.size or min(map(last_time, files)) < now_ms - retention.milliseconds


def _keep_past(folder: Path, contents: Contents, retention: Retention | None, now_ms: int) -> Chain:
    if retention is None:
        return Chain()
    known = _known(folder, contents)
    sizes = [(folder / name).stat().st_size for name in known.files]
    times = [(last_time(name), size) for name, size in zip(known.files, sizes, strict=True)]
    times += [(record.time_ms, len(encode_op(record))) for _, record in known.loose]
    gone = too_old(times, retention, now_ms)
    gone_files, gone_loose = min(gone, len(known.files)), max(0, gone - len(known.files))
    if gone == len(times):
        return Chain()
    base = known.base
    if gone:
        folded = [read_past(folder / name) for name in known.files[:gone_files]]
        folded.append(known.loose[:gone_loose])
        updates = [update for records in folded for _, record in records for update in record.updates]
        version = max(version for records in folded for version, _ in records)
        base = write_base(folder, State(version, retention.fold([*known.start.updates, *updates])))
    elif base is None and known.start.updates:
        base = write_base(folder, known.start)
    return Chain(base, (*known.files[gone_files:], *_write_loose(folder, known.loose[gone_loose:])))


def _known(folder: Path, contents: Contents) -> _Known:
    known = _Known(loose=sorted((entry for file in contents.loose.values() for entry in file), key=lambda e: e[0]))
    own: list[State] = []
    try:
        for snapshot in contents.snapshots:
            chain = snapshot.chain
            if chain is None or not chain.names:
                own.append(State(snapshot.version, list(snapshot.record.updates)))
                continue
            known.files += chain.files
            if chain.base is not None:
                known.base = chain.base
                own.append(read_base(folder / chain.base))
            for name in chain.files:
                check_past(folder / name)
    except (FileNotFoundError, StorageError):
        # The past is damaged; it begins anew with what there is.
        known.files, known.base = [], None
        own = [State(s.version, list(s.record.updates)) for s in contents.snapshots]
    if own:
        known.start = State(max(s.version for s in own), [update for s in own for update in s.updates])
        if len(own) > 1:
            known.base = None
    return known


def too_old(times: list[tuple[int, int]], retention: Retention, now_ms: int) -> int:
    """Return how many of the oldest (time, size) are to be let go."""
    room = retention.size
    if sum(size for _, size in times) > room:
        room = int(room * SPARE)
    for index in range(len(times) - 1, -1, -1):
        time_ms, size = times[index]
        room -= size
        if room < 0 or time_ms <= now_ms - retention.milliseconds:
            return index + 1
    return 0


def _write_loose(folder: Path, loose: list[tuple[int, OpRecord]]) -> list[str]:
    names: list[str] = []
    begin = 0
    while begin < len(loose):
        payloads: list[bytes] = []
        size = 0
        end = begin
        while end < len(loose) and (not payloads or size < CHUNK):
            version, record = loose[end]
            follows = payloads and loose[end - 1][0] + 1 == version
            payloads.append(encode_op(record if follows else mark(version, record)))
            size += len(payloads[-1])
            end += 1
        newest = max(record.time_ms for _, record in loose[begin:end])
        names.append(write_past(folder, loose[begin][0], newest, payloads))
        begin = end
    return names
