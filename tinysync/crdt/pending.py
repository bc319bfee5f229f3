"""Updates that arrived before those that they build on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinysync.crdt.check import UpdateInfo


class Pending:
    """The updates that are parked until what they refer to is there.

    The engine would integrate blocks with a gap before them, and then report changes wrongly.
    """

    def __init__(self) -> None:
        self.updates: dict[bytes, UpdateInfo] = {}
        self._clocks: dict[int, int] = {}
        """How far each client's blocks are known to have come; they may have come further."""

    def take_ready(
        self,
        arrived: Mapping[bytes, UpdateInfo],
        read_clocks: Callable[[], dict[int, int]],
    ) -> dict[bytes, UpdateInfo]:
        """Return the updates, parked and arrived, that can be applied now, in an order in which they can.

        They must be applied next; the others are parked. ``read_clocks`` gives the clocks of the engine; it is
        called only if those known here do not do, because it takes long where many clients have written.
        """
        waiting = {**self.updates, **arrived}
        ready = self._move_ready(waiting)
        if waiting:
            for client, clock in read_clocks().items():
                self._clocks[client] = max(clock, self._clocks.get(client, 0))
            ready |= self._move_ready(waiting)
        self.updates = waiting
        return ready

    def _move_ready(self, waiting: dict[bytes, UpdateInfo]) -> dict[bytes, UpdateInfo]:
        ready: dict[bytes, UpdateInfo] = {}
        before = -1
        while waiting and len(ready) > before:
            before = len(ready)
            for update, info in list(waiting.items()):
                if info.is_ready(self._clocks):
                    ready[update] = waiting.pop(update)
                    for client, _, end in info.blocks:
                        self._clocks[client] = max(end, self._clocks.get(client, 0))
        return ready
