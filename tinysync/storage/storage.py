"""What a database offers: the interface of SQLite, Shelve and others that a program may bring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tinysync.storage.atomic import Durability


class Storage(ABC):
    """Where the entries of a large dict live, each by itself; ``persist=`` takes one, or its class.

    ``docs/storages.md`` shows how to write one. An entry is a text, its name, and bytes. An instance serves one
    structure at a time. Its methods are called by one thread at a time, not always the same; only one process uses
    a database at a time. They raise StorageError, or OSError, which leave what was there.

    suffix: what the file's name ends with; the structure 'conf' lies in ``conf`` + suffix.
    pickled: True: values are pickles, which hold any Python object, and can execute code when they are loaded.
      False: they are in a format of tinysync's own, which holds what documents hold, and is safe to load.
    """

    suffix: ClassVar[str]
    pickled: ClassVar[bool] = False

    @abstractmethod
    def open(self, path: Path, durability: Durability) -> None:
        """Open the database at a path, whose folder is there; make it if it is not there yet.

        With the durability 'disk' what is written survives a power cut once ``write`` has returned; with 'os' it
        survives the death of the process. What is there and is no such database is left alone, with an error.
        """

    @abstractmethod
    def names(self) -> Collection[str]:
        """Return a view of the names, for ``len``, ``in`` and iteration; the order is that of their first writing.

        It reads no values. It is iterated bit by bit; what is written meanwhile may be part of it, or not. If it
        has ``__reversed__``, ``popitem`` need not go through all of it for the last one.
        """

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return the value of an entry, None if it is not there."""

    @abstractmethod
    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Write entries, and remove those that are None and there: all of them or, when it raises, none.

        When it has returned they are there after ``kill -9``; killed before that, all are or none.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the database free. Closing twice is fine, and so is opening it again."""
