"""Reading a tracked structure against reading the plain one."""

from __future__ import annotations

import json
from timeit import Timer
from typing import TYPE_CHECKING, Any

from bench.measure import Row, Work, fastest
from tinysync import track

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 100
UNROLLED = 20
"""How often a statement stands in the body of the loop that times it."""


def rows() -> Iterator[Row]:
    numbers = {f"key{i}": i for i in range(1000)}
    yield _row("conf['a']['b']", {"a": {"b": 1}}, loops=125, goal=2.5)
    yield _row("for key in conf: pass", numbers, loops=5, goal=1.1)
    yield _row("for item in conf.items(): pass", numbers, loops=5, goal=1.1)
    yield _row("for item in conf: pass", list(range(1000)), loops=5, goal=1.1)
    yield _row("json.dumps(conf)", numbers, loops=1, goal=1.1)
    # C code takes what is in a plain dict as it lies there, and asks any subclass for its items().
    yield _row("json.dumps(conf)", _records(), loops=1)
    yield _row("json.dumps(conf)", _subclassed(_records()), loops=1, goal=1.1)


class _Dict(dict[str, Any]):
    """As little as a subclass can be."""


def _subclassed(records: dict[str, Any]) -> dict[str, Any]:
    return _Dict({name: _Dict(record) for name, record in records.items()})


def _records() -> dict[str, Any]:
    return {f"record{i}": {"name": f"n{i}", "tags": ["x", "y"], "size": i / 7} for i in range(100)}


def _row(statement: str, structure: Any, *, loops: int, goal: float | None = None) -> Row:
    tracked = track(structure, persist=False)
    body = "\n".join([statement] * UNROLLED)

    def work(conf: Any) -> Work:
        timer = Timer(body, globals={"conf": conf, "json": json})
        return lambda: timer.timeit(loops)

    ours, theirs = fastest(lambda: work(tracked), lambda: work(structure), repetitions=REPETITIONS)
    operations = loops * UNROLLED
    return Row(statement, ours / operations, theirs / operations, _described(structure), goal)


def _described(structure: Any) -> str:
    kind = "dict subclass" if isinstance(structure, _Dict) else f"plain {type(structure).__name__}"
    inner = next(iter(structure.values())) if isinstance(structure, dict) else None
    return f"{kind} of {len(structure):,} {'dicts' if isinstance(inner, dict) else 'values'}"
