"""Larger data: a database of a million entries beside a small one, and beside SQLite without tinysync."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import Row, Work, fastest
from tinysync import SQLite, track, tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGE, SMALL = 1_000_000, 1_000
TOUCHED = 10
CHUNK = 100_000
OPERATIONS = 100
REPETITIONS = 30


def rows() -> Iterator[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        for size in (LARGE, SMALL):
            _fill(folder, size)
        ours, theirs = fastest(_opening(folder, LARGE), _opening(folder, SMALL), repetitions=REPETITIONS)
        yield Row(f"open {LARGE:,} keys, touch {TOUCHED}", ours, theirs, f"{SMALL:,} keys", 2.0)

        databases = {size: track({}, str(size), persist=SQLite, folder=folder) for size in (LARGE, SMALL)}
        for database in databases.values():
            stack.callback(tracker(database).close)
        large, small = databases[LARGE], databases[SMALL]
        raw = _raw(folder, stack)
        for what, work, raw_work in [
            ("db[key]", _reads, lambda: _raw_reads(raw)),
            ("db[key].n = value", _changes, lambda: _raw_changes(raw)),
        ]:
            ours, theirs = fastest(
                lambda work=work: work(large, LARGE), lambda work=work: work(small, SMALL), repetitions=REPETITIONS
            )
            yield Row(f"{what}, {LARGE:,} keys", ours / OPERATIONS, theirs / OPERATIONS, f"{SMALL:,} keys", 2.0)
            ours, theirs = fastest(lambda work=work: work(large, LARGE), raw_work, repetitions=REPETITIONS)
            yield Row(f"{what}, {LARGE:,} keys", ours / OPERATIONS, theirs / OPERATIONS, "sqlite3 and json")


def _entry(number: int) -> dict[str, Any]:
    return {"n": number, "name": f"User {number}", "tags": ["a", "b"]}


def _key(number: int, size: int) -> str:
    # All over the database: 7919 is prime.
    return f"user{number * 7919 % size}"


def _fill(folder: Path, size: int) -> None:
    database = track({}, str(size), persist=SQLite, folder=folder)
    for start in range(0, size, CHUNK):
        database.update({f"user{number}": _entry(number) for number in range(start, min(start + CHUNK, size))})
    tracker(database).close()


def _opening(folder: Path, size: int) -> Callable[[], Work]:
    def work() -> None:
        database = track({}, str(size), persist=SQLite, folder=folder)
        for number in range(TOUCHED):
            database[_key(number, size)]
        tracker(database).close()

    return lambda: work


def _reads(database: Any, size: int) -> Work:
    keys = [_key(number, size) for number in range(OPERATIONS)]

    def work() -> None:
        for key in keys:
            database[key]

    return work


def _changes(database: Any, size: int) -> Work:
    keys = [_key(number, size) for number in range(OPERATIONS)]

    def work() -> None:
        for number, key in enumerate(keys):
            database[key].n = number

    return work


def _raw(folder: Path, stack: ExitStack) -> sqlite3.Connection:
    """Return a database of the same entries as JSON, with the same settings."""
    raw = sqlite3.connect(folder / "raw", isolation_level=None)
    stack.callback(raw.close)
    raw.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "CREATE TABLE entries (name TEXT PRIMARY KEY, value)"
    )
    raw.execute("BEGIN")
    raw.executemany(
        "INSERT INTO entries VALUES (?, ?)", ((f"user{n}", json.dumps(_entry(n))) for n in range(LARGE))
    )
    raw.execute("COMMIT")
    return raw


def _raw_entry(raw: sqlite3.Connection, key: str) -> Any:
    return json.loads(raw.execute("SELECT value FROM entries WHERE name = ?", [key]).fetchone()[0])


def _raw_reads(raw: sqlite3.Connection) -> Work:
    keys = [_key(number, LARGE) for number in range(OPERATIONS)]

    def work() -> None:
        for key in keys:
            _raw_entry(raw, key)

    return work


def _raw_changes(raw: sqlite3.Connection) -> Work:
    keys = [_key(number, LARGE) for number in range(OPERATIONS)]

    def work() -> None:
        for number, key in enumerate(keys):
            entry = _raw_entry(raw, key)
            entry["n"] = number
            raw.execute("UPDATE entries SET value = ? WHERE name = ?", [json.dumps(entry), key])

    return work
