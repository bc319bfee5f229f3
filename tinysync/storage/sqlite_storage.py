"""Databases in SQLite files (https://sqlite.org/fileformat2.html)."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tinysync.errors import StorageError
from tinysync.storage.regular import check_regular
from tinysync.storage.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tinysync.storage.atomic import Durability

APPLICATION_ID: Final = 0x7453794E
"""What tells our databases from others, in the header of the file."""

VERSION: Final = 1
_BATCH: Final = 1000


def damage_of(path: Path) -> str | None:
    """Return what is wrong with a SQLite file, or None; nothing is changed, and it may be open elsewhere."""
    # A file that is not open is not to get a write-ahead log.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as connection:
            (problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        return None  # it cannot be looked at: whoever opens it is told why
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if problem == "ok" else str(problem)


class _SQLiteFile(Storage):
    """Entries in a table of a SQLite file with a write-ahead log."""

    _table: ClassVar[str]
    _key: ClassVar[str]
    _schema: ClassVar[str]

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._path: Path | None = None
        self._file: tuple[int, int] | None = None
        """What tells the file that is open from another one at its path."""

    def open(self, path: Path, durability: Durability) -> None:
        """Open the file or make it; raises StorageError if it is none of this kind, or cannot be used."""
        if self._connection is not None:
            raise StorageError(f"{self._path} is open already by this {type(self).__name__}; use another instance")
        check_regular(path)
        self._path = path
        with self._errors("open"):
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                is_new = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
                if not is_new:
                    self._check(connection)
                connection.execute("PRAGMA journal_mode = WAL")
                # In the mode NORMAL a power cut can take the latest transactions back, a killed process cannot.
                connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'disk' else 'NORMAL'}")
                if is_new:
                    # At once: a process that is killed here leaves an empty file or one of this kind.
                    connection.executescript(f"BEGIN; {self._schema}; COMMIT")
            except BaseException:
                connection.close()
                raise
            self._file = self._file_there()
            self._connection = connection

    def _file_there(self) -> tuple[int, int] | None:
        assert self._path is not None
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _check(self, connection: sqlite3.Connection) -> None:
        """Raise StorageError unless a file that is not empty is of this kind."""
        raise NotImplementedError

    def names(self) -> Collection[str]:
        """Return a view of the names."""
        return _Names(self._execute, self._table, self._key)

    def read(self, name: str) -> bytes | None:
        """Return the value of an entry."""
        rows = self._execute(f"SELECT value FROM {self._table} WHERE {self._key} = ?", [_stored(name, self._key)])  # noqa: S608 - constants
        return bytes(rows[0][0]) if rows else None

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Write entries, as one transaction."""
        connection = self._opened()
        written = [(_stored(name, self._key), value) for name, value in changes.items() if value is not None]
        removed = [(_stored(name, self._key),) for name, value in changes.items() if value is None]
        if self._file_there() != self._file:
            # SQLite would go on writing to the file that was there, which nobody finds again.
            raise StorageError(
                f"Could not write {self._path}: it was deleted or replaced while it was in use. Nothing was"
                " written; put it back, or close the structure and track it again to begin anew."
            )
        with self._errors("write"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    f"INSERT INTO {self._table} ({self._key}, value) VALUES (?, ?)"  # noqa: S608 - constants
                    f" ON CONFLICT ({self._key}) DO UPDATE SET value = excluded.value",
                    written,
                )
                connection.executemany(f"DELETE FROM {self._table} WHERE {self._key} = ?", removed)  # noqa: S608
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with self._errors("close"):
                connection.close()

    def _execute(self, statement: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        connection = self._opened()
        with self._errors("read"):
            return connection.execute(statement, parameters).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"this {type(self).__name__} is not open")
        return self._connection

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"Could not {doing} {self._path}: {error}. Nothing was changed; see that it is a database of"
                f" {type(self).__name__}'s, that no other program uses it, and that the disk is there, writable"
                " and not full."
            ) from error


class SQLite(_SQLiteFile):
    """A SQLite database for larger data: ``<name>.sqlite``.

    The structure is a :class:`LazyDict`: its entries are loaded when they are touched, and saved one by one. It
    holds what documents hold, in a format that is safe to load. It cannot be synced.
    """

    suffix: ClassVar[str] = ".sqlite"
    _table: ClassVar[str] = "entries"
    _key: ClassVar[str] = "name"
    _schema: ClassVar[str] = f"""
        CREATE TABLE entries (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL);
        PRAGMA application_id = {APPLICATION_ID};
        PRAGMA user_version = {VERSION}
    """

    def _check(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise StorageError(f"{self._path} is a database of another program; it was left as it is.")
        if version > VERSION:
            raise StorageError(
                f"{self._path} was written by a newer version of tinysync (its format is {version}, this one knows"
                f" {VERSION}); upgrade to open it."
            )


class Shelve(_SQLiteFile):
    """A shelf of pickles: ``<name>.shelve``, which ``shelve.open`` of Python 3.13 or later reads and writes too.

    Loading an entry can execute any code: open only files that nobody else can write. The structure is a
    :class:`LazyDict`, which holds any Python objects as values; its entries are loaded when they are touched, and
    saved one by one. It cannot be synced.
    """

    suffix: ClassVar[str] = ".shelve"
    pickled: ClassVar[bool] = True
    # The table of dbm.sqlite3; it is the one kind of dbm file in which several entries can be written at once.
    _table: ClassVar[str] = "Dict"
    _key: ClassVar[str] = "key"
    _schema: ClassVar[str] = "CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)"

    def _check(self, connection: sqlite3.Connection) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'Dict'").fetchone()
        if not tables[0]:
            raise StorageError(f"{self._path} is a database of another program; it was left as it is.")


def _stored(name: str, column: str) -> str | bytes:
    """Return a name as it is stored: the table of dbm.sqlite3 has bytes."""
    return name.encode() if column == "key" else name


class _Names(Collection[str]):
    """The names in a table, read in batches: there is no statement that is open while others write."""

    def __init__(self, execute: Any, table: str, key: str) -> None:
        self._execute = execute
        self._table = table
        self._key = key

    def __len__(self) -> int:
        return int(self._execute(f"SELECT count(*) FROM {self._table}", [])[0][0])  # noqa: S608 - constants

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        found = self._execute(
            f"SELECT 1 FROM {self._table} WHERE {self._key} = ?",  # noqa: S608 - constants
            [_stored(name, self._key)],
        )
        return bool(found)

    def __iter__(self) -> Iterator[str]:
        return self._in_order("rowid > ? ORDER BY rowid", -1, _BATCH)

    def __reversed__(self) -> Iterator[str]:
        # Most often just for the last one.
        return self._in_order("rowid < ? ORDER BY rowid DESC", 2**63 - 1, 1)

    def _in_order(self, condition: str, last: int, batch: int) -> Iterator[str]:
        while rows := self._execute(
            f"SELECT rowid, {self._key} FROM {self._table} WHERE {condition} LIMIT {batch}",  # noqa: S608 - constants
            [last],
        ):
            for rowid, name in rows:
                yield name if isinstance(name, str) else bytes(name).decode()
                last = rowid
            batch = _BATCH
