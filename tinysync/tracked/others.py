"""Which places others wrote to, and when, so that an undo leaves what they wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.node import node_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.crdt.node import Node

MOST_PLACES: Final = 100_000
"""Beyond so many places it is only remembered which containers others wrote to."""

_ANYWHERE: Final = object()


class OthersWrites:
    """The last time that others wrote to each place, on a clock that goes on with each batch of their writes.

    A place is a node and what ``crdt.patching.Touched`` says of it.
    """

    def __init__(self) -> None:
        self.clock = 0
        self._times: dict[Node, dict[Any, int]] = {}
        self._places = 0

    def note(self, touched: Iterable[tuple[Node, Any]]) -> None:
        """Remember places that others wrote to, at once."""
        self.clock += 1
        for node, place in touched:
            times = self._times.setdefault(node, {})
            self._places += place not in times
            times[place] = self.clock
        if self._places > MOST_PLACES:
            self._times = {node: {_ANYWHERE: max(times.values())} for node, times in self._times.items()}
            self._places = len(self._times)

    def forget(self) -> None:
        """Forget all places; the clock goes on."""
        self._times = {}
        self._places = 0

    def wrote(self, node: Node, place: Any, since: int) -> bool:
        """Tell whether others wrote to a place after a time."""
        if self.clock == since or node not in self._times:
            return False
        times = self._times[node]
        return times.get(place, 0) > since or times.get(_ANYWHERE, 0) > since

    def wrote_inside(self, value: Any, since: int) -> bool:
        """Tell whether others wrote to anywhere in a live container after a time."""
        if self.clock == since or not self._times:
            return False
        node = node_of(value)
        if node is None:
            return False
        if any(time > since for time in self._times.get(node, {}).values()):
            return True
        if node.kind == "set":
            return False
        inside = value.values() if node.kind == "dict" else value
        return any(self.wrote_inside(item, since) for item in inside)
