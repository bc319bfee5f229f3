"""Two things timed in turn, so that whatever else the machine does meanwhile hits both."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

Work = Callable[[], object]
"""What is timed. It is made anew for every repetition, by a function that is not timed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. Times are in seconds for one operation."""

    what: str
    ours: float
    theirs: float
    against: str
    goal: float | None = None
    """The ratio that is to be reached, at most; None: only for information."""

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def timed(work: Work) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def fastest(
    prepare_ours: Callable[[], Work],
    prepare_theirs: Callable[[], Work],
    *,
    repetitions: int,
) -> tuple[float, float]:
    """Return the shortest times of two workloads.

    If they are short (a few milliseconds) and repeated often, some were not disturbed by anything.
    """
    gc.collect()
    ours, theirs = [], []
    for _ in range(repetitions):
        ours.append(timed(prepare_ours()))
        theirs.append(timed(prepare_theirs()))
    return min(ours), min(theirs)
