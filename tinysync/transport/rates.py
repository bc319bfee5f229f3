"""How often links may come in from one address."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BURST_SECONDS: Final = 5.0
"""What may come in so many seconds may come at once."""
MAX_ADDRESSES: Final = 1000
"""How many addresses are kept in mind; of those heard longest ago it is forgotten how often they came."""


class Rates:
    """Counts the links that come in, for each address apart: who comes too often keeps nobody else out.

    Token buckets: each may come ``per_second`` times a second, and after a rest some seconds' worth at once.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        self._clock = clock
        self._known: dict[str, tuple[float, float]] = {}
        """How often each address may come at once, and when that was so."""

    def admits(self, address: str) -> bool:
        """Note that a link came in; return whether it may go on."""
        now = self._clock()
        left, when = self._known.pop(address, (self._most, now))
        left = min(self._most, left + (now - when) * self._per_second)
        is_admitted = left >= 1
        self._known[address] = left - is_admitted, now
        if len(self._known) > MAX_ADDRESSES:
            del self._known[next(iter(self._known))]
        return is_admitted
