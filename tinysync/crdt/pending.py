"""Updates that arrived before those that they build on."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tinysync.crdt.encoding import UpdateInfo

MAX_PARKED: Final = 1000
MAX_PARKED_BYTES: Final = 4 << 20
"""How much of what arrives is kept for later. What is beyond is dropped: a diff brings it again."""


class Pending:
    """The updates that are parked until what they refer to is there.

    The engine would integrate blocks with a gap before them, and then report changes wrongly.
    """

    def __init__(self, updates: Mapping[bytes, UpdateInfo] | None = None) -> None:
        self.updates: dict[bytes, UpdateInfo] = {}
        self._size = 0
        self._clocks: dict[int, int] = {}
        """How far each client's blocks are known to have come; they may have come further."""
        self._waiting: dict[int, list[tuple[int, bytes]]] = {}
        """The parked updates by the client whose blocks each lacks, as heaps of the clocks that they wait for."""
        self._settle((updates or {}).items())

    def take_ready(
        self,
        arrived: Mapping[bytes, UpdateInfo],
        read_clocks: Callable[[], dict[int, int]],
        *,
        bounded: bool = False,
    ) -> dict[bytes, UpdateInfo]:
        """Return the updates, parked and arrived, that can be applied now, in an order in which they can.

        They must be applied next; the others are parked, or dropped where they are too many and ``bounded``.
        ``read_clocks`` gives the clocks of the engine; it is called only if those known here do not do, because it
        takes long where many clients have written.
        """
        parked_before = set(self.updates)
        ready = self._settle([item for item in arrived.items() if item[0] not in self.updates])
        if self.updates:
            released: list[tuple[bytes, UpdateInfo]] = []
            for client, clock in read_clocks().items():
                released += self._advance(client, clock)
            ready |= self._settle(released)
        if bounded:
            self._drop_what_is_too_much(parked_before)
        return ready

    def forget_clocks(self) -> None:
        """Ask the engine again how far it is: what was said to be ready was not applied."""
        self._clocks = {}

    def _settle(self, updates: Iterable[tuple[bytes, UpdateInfo]]) -> dict[bytes, UpdateInfo]:
        """Return those that can be applied, and parked ones that can be then; park the others."""
        ready: dict[bytes, UpdateInfo] = {}
        queue = deque(updates)
        while queue:
            update, info = queue.popleft()
            missing = info.first_missing(self._clocks)
            if missing is None:
                ready[update] = info
                for client, _, end in info.blocks:
                    queue.extend(self._advance(client, end))
            else:
                self.updates[update] = info
                self._size += len(update)
                heappush(self._waiting.setdefault(missing[0], []), (missing[1], update))
        return ready

    def _advance(self, client: int, clock: int) -> list[tuple[bytes, UpdateInfo]]:
        """Note how far a client's blocks have come; return the parked updates that waited for just that."""
        if clock <= self._clocks.get(client, 0):
            return []
        self._clocks[client] = clock
        heap = self._waiting.get(client)
        if heap is None:
            return []
        released = []
        while heap and heap[0][0] <= clock:
            update = heappop(heap)[1]
            self._size -= len(update)
            released.append((update, self.updates.pop(update)))
        if not heap:
            del self._waiting[client]
        return released

    def _drop_what_is_too_much(self, parked_before: set[bytes]) -> None:
        if len(self.updates) <= MAX_PARKED and self._size <= MAX_PARKED_BYTES:
            return
        kept: dict[bytes, UpdateInfo] = {}
        size = 0
        for update, info in self.updates.items():
            fits = len(kept) < MAX_PARKED and size + len(update) <= MAX_PARKED_BYTES
            if update in parked_before or fits:
                kept[update] = info
                size += len(update)
        self.updates, self._waiting, self._size = {}, {}, 0
        self._settle(kept.items())
