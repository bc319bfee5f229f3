"""The files that keep records which a snapshot has taken the place of, so that the past can still be read.

A ``.past`` file holds records as op files do, and a ``base-….past`` file the state before the first of them. A
snapshot names those that lead to it (its *chain*); others are left from a compaction that was cut short.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import StorageError
from tinysync.storage.atomic import replace_file
from tinysync.storage.oplog_contract import State
from tinysync.storage.records import decode_op, pack, scan, unpack, whole_file
from tinysync.storage.versions import MARK, versioned

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.storage.records import OpRecord

PAST_SUFFIX: Final = ".past"
PAST_MAGIC: Final = b"tsynPST"
BASE_MAGIC: Final = b"tsynPBS"
_PAST_NAME: Final = re.compile(r"([0-9a-f]{12})-([0-9a-f]{12})-[0-9a-f]{8}\.past")
_BASE_NAME: Final = re.compile(r"base-[0-9a-f]{32}\.past")


@dataclass(frozen=True, slots=True)
class Chain:
    """The files with the past of a snapshot: a base (None: it begins with nothing) and records, in order.

    Without any file the past begins with the snapshot itself.
    """

    base: str | None = None
    files: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """The names of all files of the chain."""
        return {*self.files, *([self.base] if self.base else [])}

    def packed(self) -> Any:
        """Return it as plain values."""
        return [self.base, list(self.files)]


def unpack_chain(value: Any) -> Chain | None:
    """Return the chain that ``packed`` made plain, or None if it is not one."""
    match value:
        case [None | str() as base, list(files)]:
            if (base is None or _BASE_NAME.fullmatch(base)) and all(
                isinstance(name, str) and _PAST_NAME.fullmatch(name) for name in files
            ):
                return Chain(base, tuple(files))
    return None


def last_time(name: str) -> int:
    """Return the time (ms since 1970) of the newest record in a file with records."""
    return _parts(name)[1]


def _parts(name: str) -> tuple[int, int]:
    """Return the version of the first record in a file with records, and the time of the newest."""
    match = _PAST_NAME.fullmatch(name)
    if match is None:
        raise AssertionError(f"{name} came from unpack_chain or write_past")
    return int(match[1], 16), int(match[2], 16)


def write_past(folder: Path, first: int, newest_ms: int, payloads: list[bytes]) -> str:
    """Write records, the first with its version ``first`` written down; return the file's name."""
    name = f"{first:012x}-{max(newest_ms, 0):012x}-{secrets.token_hex(4)}{PAST_SUFFIX}"
    replace_file(folder / name, whole_file(PAST_MAGIC, payloads), "disk")
    return name


def check_past(path: Path) -> list[bytes]:
    """Return the payloads of a file with records. Raise OSError, or StorageError if it is damaged."""
    found = scan(path.read_bytes(), PAST_MAGIC, path)
    # It was written in one step: one that holds nothing, or begins with something else, is damaged too.
    first = decode_op(found.payloads[0]) if found.payloads else None
    if found.torn or found.damaged or first is None or first.meta.get(MARK) != _parts(path.name)[0]:
        raise StorageError(f"{path} is damaged")
    return found.payloads


def read_past(path: Path) -> list[tuple[int, OpRecord]]:
    """Return the records of a file with their versions. Raise OSError, or StorageError if it is damaged."""
    payloads = check_past(path)
    records = [record for record in map(decode_op, payloads) if record is not None]
    # Where the end is gone behind a whole record, the newest one is missing.
    newest = max((record.time_ms for record in records), default=0)
    if len(records) < len(payloads) or max(newest, 0) != last_time(path.name):
        raise StorageError(f"{path} is damaged")
    return versioned(records, 0)


def write_base(folder: Path, state: State) -> str:
    """Write the state with which a chain begins; return the file's name."""
    data = whole_file(BASE_MAGIC, [pack([state.version]), *map(pack, state.updates)])
    name = f"base-{blake2b(data, digest_size=16).hexdigest()}{PAST_SUFFIX}"
    replace_file(folder / name, data, "disk")
    return name


def read_base(path: Path) -> State:
    """Return the state with which a chain begins. Raise OSError, or StorageError if it is damaged."""
    found = scan(path.read_bytes(), BASE_MAGIC, path)
    match [unpack(payload) for payload in found.payloads]:
        case [[int(version)], *updates] if not (found.torn or found.damaged):
            return State(version, updates)
    raise StorageError(f"{path} is damaged")


def sweep(folder: Path, kept: set[str]) -> None:
    """Delete the files of all chains but those named."""
    for path in folder.glob(f"*{PAST_SUFFIX}"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
