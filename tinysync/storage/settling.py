"""Whether somebody may still be writing a file: how long it must have been the same to be taken for whole."""

from __future__ import annotations

from typing import Final

SETTLED: Final = 0.05
"""Seconds without a change after which a file is taken for written to its end."""

UNFINISHED: Final = 1.0
"""The same for one that looks as if its writer had not come to the end."""


class StillWritten(Exception):
    """Somebody may be writing the file just now: look again in a moment."""


def looks_unfinished(content: bytes, before: bytes | None) -> bool:
    """Tell whether a file may be half of one that held ``before``: it is empty, ends in a line, or has fewer.

    Who writes anew begins at the top. What adds lines, or changes some, looks finished.
    """
    if not content.endswith(b"\n") or not content.strip():
        return True
    return before is not None and content.count(b"\n") < before.count(b"\n")
