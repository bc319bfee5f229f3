"""How long to wait before the next attempt to connect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

FIRST: Final = 0.1
LONGEST: Final = 15.0
GROWTH: Final = 1.8


class Backoff:
    """Delays in seconds that grow from one failure to the next, spread at random.

    So devices that lost the same peer do not come back in step. The jitter is the full one of "Exponential Backoff
    And Jitter" (AWS Architecture Blog, 2015), with a floor.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._ceiling = FIRST

    def next(self) -> float:
        """Return the delay before the next attempt."""
        ceiling, self._ceiling = self._ceiling, min(self._ceiling * GROWTH, LONGEST)
        return self._chance.uniform(FIRST / 2, ceiling)

    def reset(self) -> None:
        """Begin with short delays again: an attempt succeeded."""
        self._ceiling = FIRST
