"""What changed since a mark: kept with each change, and enough to know how everything was at the mark.

For each entry that changes for the first time after a mark, its old value is kept as it was: a plain value, or the
container that stood there. What a container held when it left the structure is kept as well (the journal has
it anyway). So the structure at the mark is the present one, with these entries put back, and nothing is copied but
lists that change, each once. A container that comes back, by an undo, comes back as it left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.node import node_of
from tinysync.crdt.ops import ABSENT, Assign, Op, Put, Removed, Reorder, Splice
from tinysync.tracked.detached import children
from tinysync.tracker.touched import undo_op, undo_patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinysync.crdt.node import Node
    from tinysync.crdt.patching import Patch


class ListThen:
    """The elements of a list at a mark, and the identities of the containers among them."""

    __slots__ = ("containers", "items")

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.containers = {id(item) for item in items if node_of(item) is not None}


class Changed:
    """What changed between one mark and the next, ``next``, or from the last mark to now.

    Only containers that were there at the mark, or came back since, are noted, so that it never grows beyond the
    size of the structure at the mark and now.
    """

    __slots__ = ("entries", "lists", "next", "removed", "returned")

    def __init__(self) -> None:
        self.entries: dict[Node, dict[Any, Any]] = {}
        """For dicts the old values by key; for sets True by element that was there; ABSENT: was not there."""
        self.lists: dict[Node, ListThen] = {}
        self.removed: dict[Node, Any] = {}
        """A shallow copy of what a container held when it left the structure, unless it came back."""
        self.returned: set[Node] = set()
        """The containers that left, now or before the mark, and came back since."""
        self.next: Changed | None = None

    def note(self, ops: Sequence[Op]) -> None:
        """Note what a transaction did, after it was done."""
        if len(ops) == 1 and type(ops[0]) is Put:
            self._keep(ops[0].removed)
            self._see_return(ops[0].new)
            self._note_entry(ops[0].node, ops[0].key, ops[0].old, ops[0].new)
            return
        of_lists = _by_list((op.node, op) for op in ops if not isinstance(op, Put))
        left = {removed.node: removed.content for op in ops for removed in _removed(op)} if of_lists else {}
        for op in ops:
            self._keep(_removed(op))
            if not isinstance(op, Reorder):
                for value in op.new if isinstance(op, Splice) else [op.new]:
                    self._see_return(value)
            if isinstance(op, Put):
                self._note_entry(op.node, op.key, op.old, op.new)
            elif self._begin_list(op.node):
                items = list(left.get(op.node, op.node.container))
                for done in reversed(of_lists[op.node]):
                    undo_op(items, done)
                self.lists[op.node] = ListThen(items)

    def note_patches(self, patches: Sequence[Patch]) -> None:
        """Note what updates of other devices did, after it was done."""
        of_lists = _by_list((patch.node, patch) for patch in patches if patch.node.kind == "list")
        for patch in patches:
            node, args = patch.node, patch.args
            self._keep(patch.removed)
            if node.kind == "dict":
                new = args[1] if len(args) > 1 else ABSENT
                self._note_entry(node, args[0], patch.old, new)
            elif node.kind == "set":
                added = patch.func_name == "add"
                self._note_entry(node, args[0], ABSENT if added else True, True if added else ABSENT)
            elif self._begin_list(node):
                items = list(node.container)
                for done in reversed(of_lists[node]):
                    undo_patch(items, done)
                self.lists[node] = ListThen(items)

    def _note_entry(self, node: Node, key: Any, old: Any, new: Any) -> None:
        if not self._was_there(node):
            return
        entries = self.entries.get(node)
        if entries is None:
            entries = self.entries[node] = {}
        if key not in entries:
            entries[key] = old
        elif new is ABSENT and entries[key] is ABSENT:
            # Came and went: as if nothing had been.
            del entries[key]
            if not entries:
                del self.entries[node]

    def _begin_list(self, node: Node) -> bool:
        return node not in self.lists and self._was_there(node)

    def _keep(self, removed: Iterable[Removed]) -> None:
        """Keep what containers held that an edit took out; before the edit itself is noted."""
        for one in removed:
            if self._was_there(one.node):
                self.removed.setdefault(one.node, one.content)

    def _see_return(self, value: Any) -> None:
        """Note that a container comes back, with those in it, if it does: it is what it was when it left."""
        node = node_of(value)
        if node is None or not node.returned:
            return
        self.removed.pop(node, None)
        self.returned.add(node)
        for child in children(value):
            self._see_return(child)

    def _was_there(self, node: Node) -> bool:
        """Tell whether a container was part of the structure at the mark, or came back since."""
        while (parent := node.parent) is not None and node not in self.returned:
            if parent.kind == "list":
                then = self.lists.get(parent)
                if then is not None and id(node.container) not in then.containers:
                    return False
            else:
                entries = self.entries.get(parent)
                if entries is not None and entries.get(node.key, node.container) is not node.container:
                    return False
            node = parent
        return True


def _by_list(done: Iterable[tuple[Node, Any]]) -> dict[Node, list[Any]]:
    found: dict[Node, list[Any]] = {}
    for node, one in done:
        found.setdefault(node, []).append(one)
    return found


def _removed(op: Op) -> Sequence[Removed]:
    return op.removed if isinstance(op, (Put, Assign, Splice)) else ()
