"""One change of a structure on disk that survives a power cut, and opening one, beside other libraries."""

from __future__ import annotations

import json
import os
import shelve
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diskcache
import sqlitedict
import tinydb
import transaction
import yaml
import ZODB
import ZODB.FileStorage

from bench.measure import Row, fastest
from tinysync import track, tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Write = Callable[[int], object]

SIZES = (1_000, 10_000, 100_000)
LARGE = SIZES[-1]
OWN_CPU = 0.05e-3
"""Seconds of its own that a durable change may take in the thread that makes it."""


def rows() -> Iterator[Row]:
    for size in SIZES:
        yield from _changes(size)
    yield from _openings()


def _content(size: int) -> dict[str, int]:
    return {f"key{number:06}": number for number in range(size)}


def _changes(size: int) -> Iterator[Row]:
    what = f"one durable change, {size:,} keys"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        conf = track(_content(size), "conf", folder=folder, durability="disk")
        stack.callback(tracker(conf).close)

        def write(number: int) -> None:
            conf["key000005"] = number

        # What is large is written to the readable file by another thread, once for all changes of a moment.
        numbers = iter(range(1, 1_000_000))
        ours = _cpu(lambda: write(next(numbers)))
        raw = stack.enter_context((folder / "raw").open("ab", buffering=0))
        flush = _cpu(lambda: (raw.write(bytes(80)), os.fsync(raw.fileno())))
        yield Row(f"{what}: own CPU", max(ours - flush, 1e-6), OWN_CPU, "0.05 ms beside the flush", 1.0)
        for name, make in OTHERS.items():
            with ExitStack() as other:
                theirs = make(folder / name, size, other)
                counts = iter(range(1, 1_000_000))
                ours_time, theirs_time = fastest(
                    lambda: lambda: write(next(numbers)),
                    lambda theirs=theirs, counts=counts: lambda: theirs(next(counts)),
                    repetitions=3 if size == LARGE else 10,
                )
            yield Row(what, ours_time, theirs_time, name)


def _cpu(work: Callable[[], object]) -> float:
    """Return the least CPU time of this thread that the work takes."""
    times = []
    for _ in range(200):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def _yaml(place: Path, size: int, _: ExitStack) -> Write:
    content = _content(size)
    return lambda number: _save(place, yaml.dump(content | {"key000005": number}, Dumper=yaml.CSafeDumper))


def _json(place: Path, size: int, _: ExitStack) -> Write:
    content = _content(size)
    return lambda number: _save(place, json.dumps(content | {"key000005": number}))


def _save(place: Path, text: str) -> None:
    temporary = place.with_suffix(".new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(place)


def _shelve(place: Path, size: int, stack: ExitStack) -> Write:
    opened = stack.enter_context(shelve.open(str(place)))  # noqa: SIM115 - the stack is its context
    opened.update(_content(size))

    def write(number: int) -> None:
        opened["key000005"] = number
        opened.sync()

    return write


def _sqlitedict(place: Path, size: int, stack: ExitStack) -> Write:
    opened = stack.enter_context(sqlitedict.SqliteDict(place, journal_mode="WAL"))
    opened.update(_content(size))
    opened.commit()

    def write(number: int) -> None:
        opened["key000005"] = number
        opened.commit()

    return write


def _diskcache(place: Path, size: int, stack: ExitStack) -> Write:
    cache = stack.enter_context(diskcache.Cache(str(place), sqlite_synchronous=2, eviction_policy="none"))
    with cache.transact():
        for key, value in _content(size).items():
            cache[key] = value
    return lambda number: cache.set("key000005", number)


def _zodb(place: Path, size: int, stack: ExitStack) -> Write:
    opened = _open_zodb(place, stack)
    opened.update(_content(size))
    transaction.commit()

    def write(number: int) -> None:
        opened["key000005"] = number
        transaction.commit()

    return write


def _open_zodb(place: Path, stack: ExitStack) -> Any:
    from BTrees.OOBTree import OOBTree  # noqa: PLC0415 - it has no types and comes with ZODB

    database = ZODB.DB(ZODB.FileStorage.FileStorage(str(place)))
    stack.callback(database.close)
    connection = database.open()
    stack.callback(connection.close)
    root = connection.root()
    if "conf" not in root:
        root["conf"] = OOBTree()
    return root["conf"]


def _tinydb(place: Path, size: int, stack: ExitStack) -> Write:
    database = stack.enter_context(tinydb.TinyDB(place))
    database.insert_multiple({"key": key, "value": value} for key, value in _content(size).items())

    def write(number: int) -> None:
        database.update({"value": number}, doc_ids=[6])

    return write


OTHERS = {
    "C-YAML": _yaml,
    "json": _json,
    "shelve": _shelve,
    "sqlitedict": _sqlitedict,
    "diskcache": _diskcache,
    "ZODB": _zodb,
    "TinyDB": _tinydb,
}


def _openings() -> Iterator[Row]:
    yield from _openings_of(f"opening {LARGE:,} keys", _content(LARGE), [("sqlitedict", 1.0), ("ZODB", 1.0)])
    records = {f"record{number:05}": {f"field{n}": number * n for n in range(10)} for number in range(LARGE // 10)}
    yield from _openings_of(f"opening {LARGE // 10:,} dicts of 10 keys", records, [])


def _openings_of(what: str, content: dict[str, Any], others: list[tuple[str, float]]) -> Iterator[Row]:
    size = len(content)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd())))
        tracker(track(content, "conf", folder=folder)).close()
        for name, _ in others:
            with ExitStack() as other:
                OTHERS[name](folder / name, LARGE, other)

        def ours() -> None:
            conf = track({}, "conf", folder=folder)
            assert len(conf) == size
            stack.callback(tracker(conf).close)
            tracker(conf).close()

        def c_yaml() -> None:
            assert len(yaml.load((folder / "conf.yaml").read_bytes(), Loader=yaml.CSafeLoader)) == size

        def sqlite() -> None:
            with sqlitedict.SqliteDict(folder / "sqlitedict") as opened:
                assert len(dict(opened)) == size

        def zodb() -> None:
            with ExitStack() as other:
                assert len(dict(_open_zodb(folder / "ZODB", other))) == size

        ours()  # compacts what was written
        works = {"C-YAML": c_yaml, "sqlitedict": sqlite, "ZODB": zodb}
        for name, goal in [("C-YAML", 0.2), *others]:
            theirs = works[name]
            ours_time, theirs_time = fastest(lambda: ours, lambda theirs=theirs: theirs, repetitions=3)
            yield Row(what, ours_time, theirs_time, name, goal)
