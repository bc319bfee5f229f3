"""Noticing that the machine was asleep, or that its clock was set."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_SECONDS: Final = 5.0
"""How often it is looked."""
TOLERANCE_SECONDS: Final = 5.0
"""By how much the clocks may differ, or a look may be late, on a machine that is just busy."""


class Waking:
    """Compares two clocks: while a machine sleeps, the monotonic one stands still, or both run past a look.

    Links and delays are timed by the monotonic clock alone, so a clock that is set harms nothing; it looks like a
    sleep, and a needless look at the links is all that comes of it.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def woke(self, monotonic: float, wall: float) -> bool:
        """Tell whether the machine has slept since the last look, which was due ``LOOK_SECONDS`` ago."""
        last, self._last = self._last, (monotonic, wall)
        if last is None:
            return False
        passed, shown = monotonic - last[0], wall - last[1]
        return passed > LOOK_SECONDS + TOLERANCE_SECONDS or abs(shown - passed) > TOLERANCE_SECONDS

    async def watch(self, woke: Callable[[], None]) -> None:
        """Call a function whenever the machine has slept; runs until it is cancelled."""
        while True:
            if self.woke(time.monotonic(), time.time()):
                woke()
            await asyncio.sleep(LOOK_SECONDS)
