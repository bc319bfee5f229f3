"""The difference that one change made to a large structure, against comparing all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dictdiffer

from bench.measure import Row, Work, fastest
from tinysync import track, tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = 100_000
WRITES = 500
REPETITIONS = 5


def rows() -> Iterator[Row]:
    large: dict[str, Any] = {f"key{i}": i for i in range(KEYS)}
    yield _diff(f"diff, 1 of {KEYS:,} keys changed", large, lambda conf: conf.__setitem__("key5", "changed"))
    records: dict[str, Any] = {f"record{i}": {f"field{j}": j for j in range(10)} for i in range(KEYS // 10)}
    yield _diff(
        f"diff, 1 of {len(records):,} dicts changed",
        records,
        lambda conf: conf["record5"].__setitem__("field5", "changed"),
    )
    ours, theirs = fastest(lambda: _writes(marked=True), lambda: _writes(marked=False), repetitions=100)
    yield Row("conf[key] = value, after a mark", ours / WRITES, theirs / WRITES, "without a mark", 1.3)


def _diff(what: str, structure: dict[str, Any], change: Any) -> Row:
    conf = track(structure, persist=False)
    tracker(conf).mark()
    before = tracker(conf).snapshot()
    change(conf)
    now = tracker(conf).snapshot()
    assert tracker(conf).diff() == list(dictdiffer.diff(before, now, dot_notation=False))
    ours, theirs = fastest(
        lambda: lambda: tracker(conf).diff(),
        lambda: lambda: list(dictdiffer.diff(before, now)),
        repetitions=REPETITIONS,
    )
    return Row(what, ours, theirs, "dictdiffer.diff", 0.01)


def _writes(*, marked: bool) -> Work:
    conf = track({f"key{i}": 0 for i in range(100)}, persist=False)
    if marked:
        tracker(conf).mark()

    def write() -> None:
        for number in range(WRITES):
            conf[f"key{number % 100}"] = number

    return write
