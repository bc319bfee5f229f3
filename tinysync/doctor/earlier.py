"""Whether a readable file shows a structure as it was: then a process was killed before it wrote it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import TinySyncError
from tinysync.storage.plain import identity
from tinysync.storage.records import HEADER_SIZE, OPS_MAGIC, frame, scan
from tinysync.storage.recovery import position_of
from tinysync.tracker.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinysync.crdt.document import Document
    from tinysync.storage.base import BaseFile
    from tinysync.storage.plain import Vocabulary
    from tinysync.storage.recovery import Contents
    from tinysync.tracker.stored import Stored

_BYTES: Final = 10_000_000
"""So much of the readable file's content is compared, over all states: a large file is known by its position."""


def shows_earlier_state(stored: Stored, base: BaseFile, value: Any, vocabulary: Vocabulary) -> bool:
    """Tell whether what a readable file says is what the structure was at one of the last changes."""
    try:
        positions = _positions(stored.paths.state, stored.inspection.contents)
        if any(base.shows(position) for position in positions):
            return True
        size = stored.paths.readable.stat().st_size
        return _was(stored, identity(value), vocabulary, 1 + _BYTES // (size + 1))
    except (OSError, TinySyncError):
        return False


def _positions(folder: Path, contents: Contents) -> Iterator[bytes]:
    """Return where the op log was at each change, the last one first."""
    snapshots, ends = [each.name for each in contents.snapshots], dict(contents.ends)
    pieces = []
    for name, records in contents.loose.items():
        payloads = scan((folder / name).read_bytes(), OPS_MAGIC, name).payloads
        pieces += [
            (version, name, len(frame(payload))) for (version, _), payload in zip(records, payloads, strict=False)
        ]
    yield position_of(snapshots, ends)
    for _, name, size in sorted(pieces, reverse=True):
        ends[name] -= size
        if ends[name] <= HEADER_SIZE:
            ends[name] = 0
        yield position_of(snapshots, ends)


def _was(stored: Stored, shown: Any, vocabulary: Vocabulary, most: int) -> bool:
    contents = stored.inspection.contents
    loose = sorted((entry for records in contents.loose.values() for entry in records), key=lambda entry: entry[0])
    before = [update for each in contents.snapshots for update in each.record.updates]
    begin = max(0 if before else 1, len(loose) - most)
    before += [update for _, record in loose[:begin] for update in record.updates]

    def says_so(document: Document) -> bool:
        return bool(identity(vocabulary.readable(document.view())) == shown)

    document = scratch(stored.kind, before)
    if says_so(document):
        return True
    for _, record in loose[begin:]:
        document.show(document.receive(list(record.updates), trusted=True))
        if says_so(document):
            return True
    return False
