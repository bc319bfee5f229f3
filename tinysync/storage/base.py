"""What the program knows of the readable file: the note that tells its own writing from a hand edit."""

from __future__ import annotations

import warnings
import zlib
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from tinysync.errors import DamagedFileWarning
from tinysync.storage.appending import AppendFile
from tinysync.storage.atomic import replace_file
from tinysync.storage.records import BASE_MAGIC, frame, header, pack, scan, unpack, whole_records

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.storage.atomic import Durability

_REWRITE_BYTES: Final = 1 << 18
_REWRITE_NOTES: Final = 8
_MARK_BYTES: Final = 64


def digest(data: bytes) -> bytes:
    """Return what tells one content of a file from another."""
    return blake2b(data, digest_size=16).digest()


class BaseFile:
    """The notes about one readable file, of which the last counts; used by the holder of the folder's lock.

    ``last`` is the digest of what the file was last known to hold, ``text`` that content, ``intended`` the digest
    of what was about to be written. All are None before the first note. ``shown`` is a note of its own. The notes
    are appended, because that is many times faster than replacing a file; a file of many is replaced by one that
    holds the last. Every session that has the structure open makes notes here.
    """

    def __init__(self, path: Path, durability: Durability) -> None:
        self._path = path
        self._durability: Durability = durability
        self._seen: tuple[int, int, int] | None = None
        """What the file was when all of it was known."""
        self._end = 0
        """Where the notes end that are known; 0: the next one begins the file anew."""
        self._mark = b""
        """What stands before that end: so it is known again for the same file."""
        self._damage_told = False
        self.last: bytes | None = None
        self.intended: bytes | None = None
        self.shown: list[bytes] = []
        """The digest of a content, and the position in the op log up to which it shows the structure."""
        self._packed = b""

    def read(self) -> None:
        """Read what has been noted meanwhile. Raise OSError, or StorageError for a newer version."""
        try:
            seen = self._signature()
            if seen == self._seen:
                return
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._seen, self._end = None, 0
            return
        if self._end and data[: self._end].endswith(self._mark):
            payloads, end = whole_records(data, self._end)
        else:
            found = scan(data, BASE_MAGIC, self._path)
            payloads, end = found.payloads, found.good_size
            if found.damaged and not self._damage_told:
                self._warn_of_damage()
        for payload in payloads:
            match unpack(payload):
                case [bytes() as last, bytes() as intended, bytes() as packed]:
                    self.last, self.intended = last, intended
                    self._packed = packed or self._packed
                case [bytes() as content, bytes() as position]:
                    self.shown = [content, position]
        # Behind the end may stand what somebody did not finish who was killed, or what is damaged.
        self._known(data[:end] if end == len(data) else b"", seen)

    def _known(self, data: bytes, seen: tuple[int, int, int]) -> None:
        self._seen, self._end, self._mark = seen, len(data), data[-_MARK_BYTES:]

    def _signature(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _warn_of_damage(self) -> None:
        self._damage_told = True
        warnings.warn(
            f"{self._path}, which tells hand edits of the readable file from what the program wrote, is"
            " damaged; a difference between the readable file and what is saved may be taken for a hand edit.",
            DamagedFileWarning,
            stacklevel=3,
        )

    def text(self) -> bytes | None:
        """Return the content that ``last`` is the digest of, or None if it is not known."""
        try:
            text = zlib.decompress(self._packed)
        except zlib.error:
            return None
        return text if digest(text) == self.last else None

    def note(self, last: bytes, intended: bytes, text: bytes | None = None) -> None:
        """Add a note; ``text`` may be left out where ``last`` stays. Raise OSError; then the last note counts."""
        packed = b"" if text is None else zlib.compress(text, 1)
        record = frame(pack([last, intended, packed]))
        if not self._end or self._end > _REWRITE_BYTES + _REWRITE_NOTES * len(record):
            data = header(BASE_MAGIC) + frame(pack([last, intended, packed or self._packed]))
            replace_file(self._path, data, self._durability)
            self._known(data, self._signature())
            self.shown = []
        else:
            self._append(record)
        self.last, self.intended = last, intended
        self._packed = packed or self._packed

    def note_shown(self, position: bytes) -> None:
        """Note up to which position in the op log the last content shows the structure. Raise OSError."""
        if self.last is not None and self._end and self.shown != [self.last, position]:
            self.shown = [self.last, position]
            self._append(frame(pack(self.shown)))

    def shows(self, position: bytes) -> bool:
        """Tell whether the last content is known to show the structure up to a position in the op log."""
        return self.last is not None and self.shown == [self.last, position]

    def _append(self, record: bytes) -> None:
        # Not kept open: a file that others have open cannot be replaced on Windows.
        end, self._end = self._end, 0
        file = AppendFile(self._path, BASE_MAGIC, self._durability, end)
        try:
            file.append(record)
        finally:
            file.close()
        self._seen, self._end, self._mark = self._signature(), end + len(record), record[-_MARK_BYTES:]
