"""What makes opening a large snapshot fast: what was worked out of it, in a file beside it that is certainly ours.

The file may be deleted at any time. It counts only with a keyed digest of the snapshot's update and of itself,
made with a secret that is kept outside of the state folder: so a folder that comes from somewhere else, where
anybody may have written into it, is checked as a whole.
"""

from __future__ import annotations

import contextlib
import hmac
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from tinysync.storage.atomic import replace_file
from tinysync.storage.own_key import own_key
from tinysync.storage.records import header

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.storage.recovery import Contents

MIN_BYTES: Final = 64 * 1024
"""A smaller snapshot is opened fast enough as it is."""

_MAGIC: Final = b"tsynPRE"
_PREFIX: Final = "prepared-"
_DIGEST_SIZE: Final = 32


def read_prepared(folder: Path, contents: Contents) -> tuple[bytes | None, bool]:
    """Return what was prepared for the one snapshot of a folder, if it is ours; and whether there should be one.

    Files for other snapshots are deleted. Raise OSError.
    """
    snapshots = contents.snapshots
    sweep_prepared(folder, {snapshot.name for snapshot in snapshots})
    if not any(snapshot.size >= MIN_BYTES for snapshot in snapshots):
        return None, False
    key = own_key()
    if key is None:
        return None, False
    if len(snapshots) > 1:
        return None, False
    (update,) = snapshots[0].record.updates
    try:
        data = (folder / _name(snapshots[0].name, key)).read_bytes()
    except FileNotFoundError:
        return None, True
    begin = header(_MAGIC)
    found = memoryview(data)[len(begin) + _DIGEST_SIZE :]
    if data[: len(begin)] == begin and hmac.compare_digest(
        data[len(begin) : len(begin) + _DIGEST_SIZE], _digest(key, update, found)
    ):
        return bytes(found), False
    return None, True


def write_prepared(folder: Path, snapshot: str, update: bytes, prepared: bytes) -> None:
    """Write what was prepared for a snapshot of this update, unless that is of no use or cannot be done."""
    key = own_key() if len(update) >= MIN_BYTES else None
    if key is not None:
        # Without the file the next opening only takes longer.
        with contextlib.suppress(OSError):
            data = header(_MAGIC) + _digest(key, update, prepared) + prepared
            replace_file(folder / _name(snapshot, key), data, "os")


def _digest(key: bytes, update: bytes, prepared: bytes | memoryview) -> bytes:
    state = blake2b(key=key, digest_size=_DIGEST_SIZE, person=b"tinysync prepare")
    state.update(len(update).to_bytes(8))
    state.update(update)
    state.update(prepared)
    return state.digest()


def _name(snapshot: str, key: bytes) -> str:
    """Return the name of the file for a snapshot; each user of the folder, on each machine, has one."""
    user = blake2b(key=key, digest_size=4, person=b"tinysync user").hexdigest()
    return f"{_begin(snapshot)}-{user}.bin"


def _begin(snapshot: str) -> str:
    return _PREFIX + snapshot.partition("-")[2].removesuffix(".bin")


def sweep_prepared(folder: Path, snapshots: set[str]) -> None:
    """Delete what was prepared for others than these snapshots. Raise OSError."""
    kept = {_begin(snapshot) for snapshot in snapshots}
    for path in folder.glob(f"{_PREFIX}*"):
        if path.name.rpartition("-")[0] not in kept:
            path.unlink(missing_ok=True)
