"""The journal of a transaction: each op is written down and done to the live container in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.ops import ABSENT, Assign, Put, Removed, Reorder, Splice
from tinysync.tracked.base import Tracked
from tinysync.tracked.detached import children
from tinysync.tracked.key_orders import KeyOrders
from tinysync.tracked.lazy import write_entry
from tinysync.tracked.undo import undo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op


class Journal:
    """The ops of one transaction, in the order in which they were made.

    Its methods take live values (scalars, or containers with a node) and check nothing; a container that an op
    takes out is marked as detached, with all that is in it.

    ``keep_key_order``: whether a rollback, or an undo, also brings back the order of the keys of dicts. That costs
    a copy of all keys at the first removal from a dict; without it, restored keys are last in their dict.
    """

    __slots__ = ("_key_orders", "ops")

    def __init__(self, *, keep_key_order: bool = True) -> None:
        self.ops: list[Op] = []
        self._key_orders = KeyOrders() if keep_key_order else None

    def mark(self) -> int:
        """Return where the journal stands, for ``rollback``."""
        return len(self.ops)

    def rollback(self, mark: int = 0) -> None:
        """Undo the ops since the mark, the last one first, in the live containers and in the journal.

        Containers that were removed are back as they were, whatever was written to them meanwhile; those that
        came in since are detached.
        """
        ops = self.ops
        while len(ops) > mark:
            undo(ops[-1])
            ops.pop()
        if self._key_orders is not None:
            self._key_orders.restore(ops)

    def rank_removals(self, ops: list[Op]) -> None:
        """Note in the ops, which were all of the journal, in which order the keys were that went."""
        if self._key_orders is not None:
            self._key_orders.rank(ops)

    def put(self, node: Node, key: Any, old: Any, new: Any, *, default: bool = False) -> None:
        """Write a dict entry that holds ``old`` (ABSENT: none)."""
        self.ops.append(Put(node, key, old, new, default, _leaving(old)))
        container = node.container
        if isinstance(container, dict):
            dict.__setitem__(container, key, new)
        else:
            write_entry(container, key, old, new)

    def put_plain(self, node: Node, key: str, value: Any) -> bool:
        """Write a dict entry with a plain value, unless it holds a container: then return False.

        The commonest edit, with nothing to detach.
        """
        container = node.container
        old = dict.get(container, key, ABSENT)
        if isinstance(old, Tracked):
            return False
        self.ops.append(Put(node, key, old, value))
        dict.__setitem__(container, key, value)
        return True

    def remove(self, node: Node, key: Any, old: Any) -> None:
        """Remove a dict entry that holds ``old``."""
        container = node.container
        in_memory = isinstance(container, dict)
        if in_memory and self._key_orders is not None:
            self._key_orders.note(node, len(self.ops))
        self.ops.append(Put(node, key, old, ABSENT, removed=_leaving(old)))
        if in_memory:
            dict.__delitem__(container, key)
        else:
            write_entry(container, key, old, ABSENT)

    def add(self, node: Node, element: Any) -> None:
        """Add a set element that is not there; its op's ``new`` is True."""
        self.ops.append(Put(node, element, ABSENT, True))
        set.add(node.container, element)

    def discard(self, node: Node, element: Any) -> None:
        """Remove a set element that is there; its op's ``old`` is True."""
        self.ops.append(Put(node, element, True, ABSENT))
        set.remove(node.container, element)

    def assign(self, node: Node, index: int, new: Any) -> None:
        """Replace a list element."""
        old = node.container[index]
        self.ops.append(Assign(node, index, old, new, _leaving(old)))
        list.__setitem__(node.container, index, new)

    def splice(self, node: Node, index: int, count: int, new: list[Any]) -> None:
        """Replace ``count`` list elements at ``index`` by others."""
        place = slice(index, index + count)
        old: list[Any] = []
        removed: list[Removed] = []
        if count:
            old = node.container[place]
            removed = [entry for value in old if isinstance(value, Tracked) for entry in _leaving(value)]
        self.ops.append(Splice(node, index, old, new, removed))
        list.__setitem__(node.container, place, new)

    def reorder(self, node: Node, order: list[int]) -> None:
        """Permute a list: the element that comes to i was at ``order[i]``."""
        items = list(node.container)
        self.ops.append(Reorder(node, order))
        list.__setitem__(node.container, slice(None), [items[index] for index in order])


def _leaving(value: Any) -> Sequence[Removed]:
    """Detach a value that is about to leave, and note what it and the containers in it held."""
    if not isinstance(value, Tracked):
        return ()
    node = value._node
    assert node is not None
    node.attached = False
    removed = [Removed(node, node.container.copy())]
    for child in children(value):
        removed.extend(_leaving(child))
    return removed
