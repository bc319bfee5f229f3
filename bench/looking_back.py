"""The history of a structure after very many changes, and one change in a file that a person laid out."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.measure import Row, fastest, timed
from tinysync import YAML, History, track, tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGES = 100_000
FILE_BYTES = 57_000


def rows() -> Iterator[Row]:
    yield from _history()
    yield _layout()


def _history() -> Iterator[Row]:
    options: dict[str, Any] = {"history": History(days=1, megabytes=100)}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        conf = track({}, "conf", folder=folder, **options)
        written = timed(lambda: [conf.__setitem__(f"key{number % 1000}", number) for number in range(CHANGES)])
        tracker(conf).close()
        tracker(track({}, "conf", folder=folder, **options)).close()  # compacts
        conf = track({}, "conf", folder=folder, **options)
        against = "making the changes"
        yield Row(f"history() of {CHANGES:,} changes", timed(tracker(conf).history), written, against, 0.1)
        newest, every = tracker(conf).history(), tracker(conf).history()
        yield Row("paths of the newest 100", timed(lambda: [e.paths for e in newest[:100]]), written, against, 0.5)
        yield Row(f"paths of all {CHANGES:,}", timed(lambda: [e.paths for e in every]), written, against, 2.0)
        tracker(conf).close()


def _layout() -> Row:
    lines = ["# The machines."]
    while sum(map(len, lines)) + len(lines) < FILE_BYTES:
        number = len(lines)
        lines += [f"machine{number}:   # it hums", f"  port: {number}", "  tags: [a, b]", "  # new", "  load: 0.5"]
    data = "\n".join(lines).encode() + b"\n"
    value = yaml.load(data, Loader=yaml.CSafeLoader)
    write = YAML().writer()
    current = [write(value, data)]

    def change(number: int) -> None:
        value["machine6"]["port"] = number
        current[0] = write(value, current[0])

    change(1)  # the first one reads the file
    numbers = iter(range(2, 1000))
    ours, theirs = fastest(
        lambda: partial(change, next(numbers)),
        lambda: lambda: yaml.load(data, Loader=yaml.CSafeLoader),
        repetitions=10,
    )
    return Row(f"one change, {FILE_BYTES // 1000} KB with comments", ours, theirs, "C-YAML loading it", 0.5)
