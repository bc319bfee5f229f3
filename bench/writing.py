"""Writing to a tracked structure in memory against raw pycrdt; each write makes its update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrdt import Array, Doc, Map

from bench.measure import Row, Work, fastest
from tinysync import track

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITES = 500
KEYS = 100
BATCH = 500
ELEMENTS = 10_000
REPETITIONS = 100


def rows() -> Iterator[Row]:
    ours, theirs = fastest(lambda: _tracked(KEYS), _pycrdt, repetitions=REPETITIONS)
    yield Row("conf[key] = value", ours / WRITES, theirs / WRITES, "pycrdt, observed", 1.5)

    ours, theirs = fastest(_tracked_batch, _pycrdt, repetitions=REPETITIONS)
    yield Row(f"{BATCH} of them in a 'with', each", ours / BATCH, theirs / WRITES, "pycrdt, observed", 0.8)
    ours, theirs = fastest(_tracked_batch, _pycrdt_batch, repetitions=REPETITIONS)
    yield Row(f"{BATCH} of them in a 'with', each", ours / BATCH, theirs / BATCH, "pycrdt, one transaction")

    large, small = _structure(100_000), _structure(KEYS)
    ours, theirs = fastest(lambda: _writes(large, 100_000), lambda: _writes(small, KEYS), repetitions=REPETITIONS)
    yield Row("conf[key] = value, 100,000 keys", ours / WRITES, theirs / WRITES, f"{KEYS} keys", 1.5)

    ours, theirs = fastest(_tracked_extend, _pycrdt_extend, repetitions=3)
    yield Row(f"items.extend({ELEMENTS:,} numbers)", ours, theirs, "pycrdt extend", 0.1)


def _structure(keys: int) -> Any:
    return track({f"key{i}": 0 for i in range(keys)}, persist=False)


def _tracked(keys: int) -> Work:
    return _writes(_structure(keys), keys)


def _writes(conf: Any, keys: int) -> Work:
    # All over the structure: 7919 is prime.
    names = [f"key{i * 7919 % keys}" for i in range(WRITES)]

    def write() -> None:
        for number, name in enumerate(names):
            conf[name] = number

    return write


def _tracked_batch() -> Work:
    conf = _structure(BATCH)
    names = [f"key{i}" for i in range(BATCH)]

    def write() -> None:
        with conf:
            for number, name in enumerate(names):
                conf[name] = number

    return write


def _observed(doc: Doc[Any]) -> list[bytes]:
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    return updates


def _pycrdt_map(keys: int) -> tuple[Doc[Any], Map[Any]]:
    doc: Doc[Any] = Doc()
    doc["conf"] = conf = Map({f"key{i}": 0 for i in range(keys)})
    _observed(doc)
    return doc, conf


def _pycrdt() -> Work:
    _, conf = _pycrdt_map(KEYS)
    names = [f"key{i * 7919 % KEYS}" for i in range(WRITES)]

    def write() -> None:
        for number, name in enumerate(names):
            conf[name] = number

    return write


def _pycrdt_batch() -> Work:
    doc, conf = _pycrdt_map(BATCH)
    names = [f"key{i}" for i in range(BATCH)]

    def write() -> None:
        with doc.transaction():
            for number, name in enumerate(names):
                conf[name] = number

    return write


def _tracked_extend() -> Work:
    items = track([], persist=False)
    numbers = list(range(ELEMENTS))
    return lambda: items.extend(numbers)


def _pycrdt_extend() -> Work:
    doc: Doc[Any] = Doc()
    items: Array[Any] = Array()
    doc["items"] = items
    _observed(doc)
    numbers = list(range(ELEMENTS))
    return lambda: items.extend(numbers)
