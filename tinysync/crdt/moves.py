"""The lists of a document whose elements are moved or assigned to: their clock, and what is left of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tinysync.crdt.ids import HOURS_AHEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinysync.crdt.engine import Engine
    from tinysync.crdt.sequence import Sequence


class Moves:
    """Stamps the moves of list elements, and sweeps up what stands for elements that are gone."""

    def __init__(self) -> None:
        self._clock = 0
        """The time of the last stamp, in ms."""
        self._moved: set[str] = set()
        self._touched: set[str] = set()

    def touched(self, list_id: str) -> None:
        """Remember that another replica changed a list, which may leave orphans in it."""
        self._touched.add(list_id)

    def reorder(self, sequence: Sequence, engine: Engine, order: list[int]) -> list[int]:
        """Permute the elements of a list; return the old indices of those that were moved."""
        self._moved.add(sequence.list_id)
        return sequence.reorder(engine, order, lambda: (self._tick(), engine.client_id))

    def _tick(self) -> int:
        """Return a time (hybrid logical clock, in ms) above all that the document has seen."""
        self._clock = max(self._clock + 1, time.time_ns() // 1_000_000)
        return self._clock

    def note(self, sequence: Sequence) -> None:
        """Keep the clock of stamps above those of others, unless they are far in the future."""
        if sequence.ats:
            self._moved.add(sequence.list_id)
            limit = time.time_ns() // 1_000_000 + HOURS_AHEAD * 3_600_000
            stamps = (slot.at.stamp[0] for slot in sequence.slots if slot.at is not None)
            self._clock = max(self._clock, max((s for s in stamps if s <= limit), default=0))

    def settle(self, sequences: Mapping[str, Sequence], engine: Engine) -> None:
        """Work out how the lists with moved elements show while the engine and the mirror still agree."""
        if not self._moved:
            return
        with engine.reading():
            for list_id in list(self._moved):
                sequence = sequences.get(list_id)
                if sequence is None or not sequence.ats:
                    self._moved.discard(list_id)
                else:
                    sequence.shown(engine)

    def sweep(
        self, sequences: Mapping[str, Sequence], engine: Engine, read_clocks: Callable[[], Mapping[int, int]]
    ) -> None:
        """Delete ats and overrides whose anchor is known to be deleted (not merely still to come)."""
        touched, self._touched = self._touched, set()
        dirty = [s for s in map(sequences.get, touched) if s is not None and (s.ats or s.overrides)]
        clocks = read_clocks() if dirty else {}
        for sequence in dirty:
            ats, overrides = sequence.orphans(engine)
            gone_ats = [s for s in ats if s.at and s.at.identity[1] < clocks.get(s.at.identity[0], 0)]
            gone_overrides = [i for i in overrides if i[1] < clocks.get(i[0], 0)]
            if gone_ats or gone_overrides:
                sequence.sweep(engine, gone_ats, gone_overrides)
