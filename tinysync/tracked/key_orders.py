"""The order of the keys of dicts, so that a rollback or an undo can bring it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.ops import ABSENT, Put

if TYPE_CHECKING:
    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op


class KeyOrders:
    """The key orders of the dicts of which a transaction removed keys.

    Until the first removal keys are only appended, so one copy for each dict is enough: an earlier order is its
    beginning, and a later one follows from the ops in between.
    """

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        self._noted: dict[Node, tuple[int, list[Any]]] = {}

    def note(self, node: Node, position: int) -> None:
        """Note the key order of a dict before the op at this position of the journal, if it is the first time."""
        if node not in self._noted:
            self._noted[node] = position, list(node.container)

    def restore(self, ops: list[Op]) -> None:
        """Put the keys into the order that they had after these ops, to which the journal was rolled back."""
        for node, (position, keys) in list(self._noted.items()):
            if node.attached:
                _rearrange(node.container, _order_after(keys, node, ops[position:]))
            if position >= len(ops):
                del self._noted[node]

    def rank(self, ops: list[Op]) -> None:
        """Note in the removals among all ops of the transaction in which order the keys were."""
        removals: dict[Node, list[Put]] = {}
        for op in ops:
            if isinstance(op, Put) and op.new is ABSENT and op.node in self._noted:
                removals.setdefault(op.node, []).append(op)
        for node, puts in removals.items():
            if len(puts) > 1:
                places = {key: place for place, key in enumerate(self._noted[node][1])}
                for put in puts:
                    put.rank = places.get(put.key, len(places))


def _order_after(keys: list[Any], node: Node, ops: list[Op]) -> list[Any]:
    order = dict.fromkeys(keys)
    for op in ops:
        if isinstance(op, Put) and op.node is node:
            if op.new is ABSENT:
                order.pop(op.key, None)
            else:
                order.setdefault(op.key)
    return list(order)


def _rearrange(container: dict[Any, Any], order: list[Any]) -> None:
    entries = [(key, container[key]) for key in order if key in container]
    dict.clear(container)
    dict.update(container, entries)
