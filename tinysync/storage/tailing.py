"""What the other sessions that have a structure open add to its state folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinysync.storage.atomic import sync_file
from tinysync.storage.records import HEADER_SIZE, OPS_MAGIC, decode_ops, scan, whole_records
from tinysync.storage.recovery import OPS_SUFFIX, Snapshot, is_snapshot, read_snapshot, session_of
from tinysync.storage.versions import versioned

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tinysync.storage.records import OpRecord
    from tinysync.storage.recovery import Contents


@dataclass(frozen=True, slots=True)
class Known:
    """What a session had read and written at a moment: op files of others up to their ends, snapshots, its own."""

    session: str
    ends: dict[str, int]
    snapshots: set[str]
    own: set[str]

    def covered(self, contents: Contents, live: Collection[str]) -> set[str]:
        """Return the files that a snapshot of all that may replace: what others are not just writing to.

        ``contents`` is what is there now, ``live`` are the other sessions; the folder's lock is held.
        """
        return self.snapshots.intersection(contents.names) | {
            name for name, end in contents.ends.items() if self._is_whole(name, end, live)
        }

    def _is_whole(self, name: str, end: int, live: Collection[str]) -> bool:
        session = session_of(name)
        if session == self.session:
            return name in self.own
        return session not in live and self.ends.get(name, 0) == end


class Tail:
    """How far the files of a folder have been read.

    ``ends`` says of each op file of others where the records that were returned end, ``snapshots`` names the
    snapshots that were, and ``own`` the op files of this session.
    """

    def __init__(self, folder: Path, contents: Contents, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self.ends = dict(contents.ends)
        self.snapshots = {snapshot.name for snapshot in contents.snapshots}
        self.own: set[str] = set()
        self._replaced: set[str] = set()
        """What a snapshot that was read covers, and that is to be deleted."""
        self.version = contents.version
        """The highest version of a record of others."""
        self._versions = {name: records[-1][0] for name, records in contents.loose.items() if records}
        self._sizes = dict(self.ends)
        """How large the op files of others were when they were last read, with what was half written."""

    def news(self) -> bool:
        """Tell, from any thread, whether there may be something to read. Raise OSError."""
        return any(map(self._is_new, os.listdir(self._folder)))  # noqa: PTH208 - many times faster

    def read(self) -> list[OpRecord]:
        """Return the records that others added since they were last read. Raise OSError, or StorageError.

        The rest of a record that is just being written is for the next time.
        """
        records = self._read()
        if records:
            # They may build on what was written meanwhile to a file that had been read by then.
            records += self._read()
        return records

    def known(self, session: str) -> Known:
        """Return what has been read and written so far; the session's op file is closed."""
        return Known(session, dict(self.ends), set(self.snapshots), set(self.own))

    def replaced(self, names: set[str], snapshot: str) -> None:
        """Note that a snapshot of one's own took the place of files."""
        self.snapshots = (self.snapshots - names) | {snapshot}
        self.own -= names
        self._replaced |= names
        for name in names:
            self.ends.pop(name, None)
            self._sizes.pop(name, None)
            self._versions.pop(name, None)

    def _is_new(self, name: str) -> bool:
        if name in self._replaced:
            return False
        if name.endswith(OPS_SUFFIX):
            return name not in self.own and self._size(name) != self._sizes.get(name, 0)
        return is_snapshot(name) and name not in self.snapshots

    def _read(self) -> list[OpRecord]:
        records: list[OpRecord] = []
        known = set(self.snapshots)
        names = sorted(os.listdir(self._folder))  # noqa: PTH208
        for name in names:
            if is_snapshot(name) and self._is_new(name):
                records += self._read_snapshot(name)
        if not self.snapshots <= known:
            # What is gone is in these, by way of others perhaps that came and went unseen.
            self.snapshots.intersection_update(names)
            self.ends = {name: end for name, end in self.ends.items() if name in names}
        for name in names:
            if name.endswith(OPS_SUFFIX) and self._is_new(name):
                records += self._read_more(name)
        return records

    def _read_snapshot(self, name: str) -> list[OpRecord]:
        try:
            found = read_snapshot(self._folder / name)
        except FileNotFoundError:  # replaced by a newer one, which is there by now
            return []
        self.snapshots.add(name)
        if not isinstance(found, Snapshot):
            return []
        known = all(map(self._is_known, found.replaces, [found.ends.get(old) for old in found.replaces]))
        self.version = max(self.version, found.version)
        self._replaced.update(found.replaces)
        self.snapshots.difference_update(found.replaces)
        for old in found.replaces:
            self.ends.pop(old, None)
        return [] if known else [found.record]

    def _is_known(self, name: str, end: int | None) -> bool:
        """Whether all records of a file were returned, up to where they ended when it was replaced."""
        return name in self.snapshots or (end is not None and self.ends.get(name, 0) >= end)

    def _read_more(self, name: str) -> list[OpRecord]:
        end = self.ends.get(name, 0)
        try:
            with (self._folder / name).open("rb") as file:
                self._sizes[name] = os.fstat(file.fileno()).st_size
                file.seek(end)
                data = file.read()
                if self._durable and data:
                    # What one writes from now on builds on it, and must not outlive it.
                    sync_file(file.fileno())
        except FileNotFoundError:  # a snapshot is in its place by now
            return []
        if not end:
            scan(data, OPS_MAGIC, self._folder / name)  # is it what its name says?
            end = HEADER_SIZE
        records, size = decode_ops(whole_records(data, 0 if self.ends.get(name) else HEADER_SIZE)[0])
        if not records:
            return []
        self.ends[name] = end + size
        numbered = versioned(records, self._versions.get(name, self.version))
        self._versions[name] = numbered[-1][0]
        self.version = max(self.version, numbered[-1][0])
        return [record for _, record in numbered]

    def _size(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return self._sizes.get(name, 0)
