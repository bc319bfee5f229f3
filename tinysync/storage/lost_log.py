"""Telling an op log that was lost from one that was never begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tinysync.storage.devices_file import FILE as DEVICES
from tinysync.storage.past_files import PAST_SUFFIX
from tinysync.storage.recovery import CORRUPT_SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

# The first change is in the op log before any of these is written.
_LATER: Final = ("base*", DEVICES, "conflicts")


def traces(folder: Path) -> list[str]:
    """Return the names of the files that are only there where there was an op log. Raise OSError."""
    found = [path.name for pattern in _LATER for path in sorted(folder.glob(pattern))]
    return [name for name in found if not name.endswith((CORRUPT_SUFFIX, PAST_SUFFIX))]
