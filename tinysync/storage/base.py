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


def digest(data: bytes) -> bytes:
    """Return what tells one content of a file from another."""
    return blake2b(data, digest_size=16).digest()


class BaseFile:
    """The notes about one readable file, of which the last counts; used by the holder of the folder's lock.

    ``last`` is the digest of what the file was last known to hold, ``text`` that content, ``intended`` the digest
    of what was about to be written. All are None before the first note. The notes are appended, because that is
    many times faster than replacing a file; a file of many is replaced by one that holds the last. Every session
    that has the structure open makes notes here.
    """

    def __init__(self, path: Path, durability: Durability) -> None:
        self._path = path
        self._durability: Durability = durability
        self._file: AppendFile | None = None
        self._damage_told = False
        self.last: bytes | None = None
        self.intended: bytes | None = None
        self._packed = b""

    def read(self) -> None:
        """Read what has been noted meanwhile. Raise OSError, or StorageError for a newer version."""
        if self._file is not None and self._file.is_in_place():
            if self._path.stat().st_size == self._file.size:
                return
            data = self._path.read_bytes()
            payloads, end = whole_records(data, self._file.size)
            self._file.go_on_at(end)
        else:
            self.close()
            try:
                data = self._path.read_bytes()
            except FileNotFoundError:
                return
            found = scan(data, BASE_MAGIC, self._path)
            payloads, end = found.payloads, found.good_size
            if found.damaged and not self._damage_told:
                self._warn_of_damage()
            if payloads:
                self._file = AppendFile(self._path, BASE_MAGIC, self._durability, end)
        for payload in payloads:
            match unpack(payload):
                case [bytes() as last, bytes() as intended, bytes() as packed]:
                    self.last, self.intended = last, intended
                    self._packed = packed or self._packed
        if end < len(data):
            # Somebody was killed while writing, or it is damaged: the next note begins the file anew.
            self.close()

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
        if self._file is None or self._file.size > _REWRITE_BYTES + _REWRITE_NOTES * len(record):
            record = frame(pack([last, intended, packed or self._packed]))
            self._rewrite(record)
        else:
            try:
                self._file.append(record)
            except BaseException:
                self.close()
                raise
        self.last, self.intended = last, intended
        self._packed = packed or self._packed

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _rewrite(self, record: bytes) -> None:
        self.close()
        data = header(BASE_MAGIC) + record
        replace_file(self._path, data, self._durability)
        self._file = AppendFile(self._path, BASE_MAGIC, self._durability, len(data))
