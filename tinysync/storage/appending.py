"""A file of records that only grows."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from tinysync.storage.atomic import OPEN_FLAGS, sync_file, sync_folder, write_all
from tinysync.storage.records import header

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.storage.atomic import Durability


class AppendFile:
    """The writer of a file of records, the only one at a time.

    Created with the first record, or opened at ``good_size``, where a scan found the last whole record to end.
    Once an append has raised, the end of the file is not to be relied on: only ``close`` may follow.
    """

    def __init__(self, path: Path, magic: bytes, durability: Durability, good_size: int = 0) -> None:
        self._path = path
        self._magic = magic
        self._durability = durability
        self._size = good_size
        self._is_cut = True
        """Whether there is nothing behind the whole records."""
        flags = os.O_WRONLY | os.O_APPEND | OPEN_FLAGS
        if not good_size:
            flags |= os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(path, flags, 0o666)

    @property
    def size(self) -> int:
        """Bytes of whole records, with the header."""
        return self._size

    @property
    def end(self) -> int:
        """Up to where the file is to be read: behind a record that failed and could not be taken back, too.

        It may be whole, and then counts, because who opens the file later finds it.
        """
        return self._size if self._is_cut else os.fstat(self._descriptor).st_size

    def append(self, record: bytes) -> None:
        """Append a framed record; raise OSError if it is not in the file. What was written of it is taken back."""
        data = record if self._size else header(self._magic) + record
        if not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "it was deleted while it was in use", str(self._path))
        try:
            write_all(self._descriptor, data)
            if self._durability == "disk":
                sync_file(self._descriptor)
                if not self._size:
                    sync_folder(self._path.parent)
            self._size += len(data)
        except BaseException:
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError:
                self._is_cut = False
            raise

    def close(self) -> None:
        """Close the file; one that holds no record is removed."""
        end = self.end
        os.close(self._descriptor)
        if not end:
            self._path.unlink(missing_ok=True)
