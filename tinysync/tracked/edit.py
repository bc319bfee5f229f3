"""The edits that a mutating call makes of: check, copy in, write down and do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.ops import ABSENT
from tinysync.crdt.stored_key import stored_key
from tinysync.tracked.adopt import build, check_entry_key, copy_in
from tinysync.tracked.base import Tracked
from tinysync.tracked.plain import ALWAYS_HELD
from tinysync.tracked.reconcile import reconcile, reconcile_slice, reconciles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinysync.crdt.node import Node
    from tinysync.tracked.journal import Journal


class Edit:
    """Edits of attached containers that are checked, copied in and written to a journal.

    It keeps nothing but the journal, so that one serves all calls of a transaction. Every method checks all of its
    arguments before it changes anything, and raises UnsupportedValue or InvalidValue with the path of what cannot
    be held. Where a plain container takes the place of one of its kind, the live one stays and is reconciled.
    A tracked container that is assigned, of this structure or not, is copied instead: several places may be
    about to exchange their containers, and then each must keep its content until it was copied.
    """

    __slots__ = ("journal",)

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def put(self, container: Any, key: Any, value: Any) -> None:
        """Write a dict entry; assigning a container to where it is already changes nothing."""
        node: Node = container._node
        old = container.get(key, ABSENT)
        if type(key) is not str or old is ABSENT:
            check_entry_key(key, node)
            key = stored_key(container, key)
        kind = type(value)
        if kind in ALWAYS_HELD or (kind is str and value.isascii()):
            self.journal.put(node, key, old, value)
        elif not _is_in_place(old, value):
            self._put_copy(node, key, value, copy_in(value, node, key))

    def put_all(self, container: Any, entries: Mapping[Any, Any]) -> None:
        """Write several dict entries, after copying all of them."""
        node: Node = container._node
        copies = []
        for key, value in entries.items():
            check_entry_key(key, node)
            if not _is_in_place(container.get(key, ABSENT), value):
                copies.append((stored_key(container, key), value, copy_in(value, node, key)))
        for key, value, copied in copies:
            self._put_copy(node, key, value, copied)

    def _put_copy(self, node: Node, key: Any, value: Any, copied: Any) -> None:
        old = node.container.get(key, ABSENT)
        if reconciles(old, copied) and not isinstance(value, Tracked):
            reconcile(self.journal, old, copied)
        else:
            self.journal.put(node, key, old, build(copied, node, key, node.container._recorder))

    def seed(self, container: Any, key: Any, value: Any) -> None:
        """Write a dict entry that is not there yet, as a default."""
        node: Node = container._node
        check_entry_key(key, node)
        new = build(copy_in(value, node, key), node, key, container._recorder)
        self.journal.put(node, key, ABSENT, new, default=True)

    def remove(self, container: Any, key: Any) -> None:
        """Remove a dict entry that is there."""
        self.journal.remove(container._node, stored_key(container, key), container[key])

    def assign(self, container: Any, index: int, value: Any) -> None:
        """Replace a list element; assigning a container to where it is already changes nothing."""
        kind = type(value)
        if kind in ALWAYS_HELD or (kind is str and value.isascii()):
            self.journal.assign(container._node, index, value)
        else:
            self.assign_all(container, {index: value})

    def assign_all(self, container: Any, values: Mapping[int, Any]) -> None:
        """Replace several list elements, given by their indices, after copying all of them."""
        node: Node = container._node
        copies = [
            (index, value, copy_in(value, node, index))
            for index, value in values.items()
            if not _is_in_place(container[index], value)
        ]
        for index, value, copied in copies:
            old = container[index]
            if reconciles(old, copied) and not isinstance(value, Tracked):
                reconcile(self.journal, old, copied)
            else:
                self.journal.assign(node, index, build(copied, node, None, container._recorder))

    def splice(self, container: Any, index: int, count: int, values: list[Any]) -> None:
        """Remove ``count`` list elements at ``index`` and insert others there."""
        if count or values:
            node: Node = container._node
            new = values
            if not ALWAYS_HELD.issuperset(map(type, values)):
                new = [build(copied, node, None, container._recorder) for copied in _copies(node, index, values)]
            self.journal.splice(node, index, count, new)

    def replace(self, container: Any, index: int, count: int, values: list[Any]) -> None:
        """Make ``count`` list elements at ``index`` be others; those that stay the same are left alone."""
        node: Node = container._node
        reconcile_slice(self.journal, node, index, index + count, _copies(node, index, values))

    def reorder(self, container: Any, order: list[int]) -> None:
        """Permute a list: the element that comes to i was at ``order[i]``."""
        if any(index != before for index, before in enumerate(order)):
            self.journal.reorder(container._node, order)

    def add(self, container: Any, element: Any) -> None:
        """Add a set element, unless it is there."""
        if {element} <= container:
            return
        check_entry_key(element, container._node)
        self.journal.add(container._node, element)

    def discard(self, container: Any, element: Any) -> None:
        """Remove a set element that is there."""
        self.journal.discard(container._node, stored_key(container, element))

    def clear(self, container: Any) -> None:
        """Remove all entries of a dict or elements of a set."""
        node: Node = container._node
        if node.kind == "dict":
            for key, old in list(container.items()):
                self.journal.remove(node, key, old)
        else:
            for element in list(container):
                self.journal.discard(node, element)


def _is_in_place(old: Any, value: Any) -> bool:
    """Tell whether a container is assigned to the very place where it is: how ``d['k'] += [..]`` ends."""
    return value is old and isinstance(value, Tracked)


def _copies(node: Node, index: int, values: list[Any]) -> list[Any]:
    return [copy_in(value, node, index + offset) for offset, value in enumerate(values)]
