"""The versions of records: numbers that they keep through reopening and compaction.

A record has one more than the one before it in its file, unless a version is written down in it; the first of a
file has it written down. In a file from before there were versions, the count goes on from the file before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.storage.records import OpRecord

MARK: Final = "version"
"""The key in ``meta`` under which a version is written down; readers of records do not see it."""

Versioned = "tuple[int, OpRecord]"


def mark(version: int, record: OpRecord) -> OpRecord:
    """Return a record with its version written down."""
    return record._replace(meta={**record.meta, MARK: version})


def versioned(records: Iterable[OpRecord], before: int) -> list[tuple[int, OpRecord]]:
    """Return the records of a file with their versions; ``before`` is the highest of the files before it."""
    found: list[tuple[int, OpRecord]] = []
    version = before
    for record in records:
        version += 1
        plain = record
        if MARK in record.meta:
            if type(record.meta[MARK]) is int:
                version = record.meta[MARK]
            plain = record._replace(meta={key: value for key, value in record.meta.items() if key != MARK})
        found.append((version, plain))
    return found
