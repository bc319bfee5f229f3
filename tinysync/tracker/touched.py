"""What edits of the live structure touched, as path patterns see it.

Paths and elements are those right after each edit. So several edits of one list are gone through from the last one
back, undoing each in a copy of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from tinysync.crdt.ops import Assign, Put, Reorder, Splice
from tinysync.tracker.patterns import Touched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op
    from tinysync.crdt.patching import Patch
    from tinysync.model import Path


def touched_by_ops(ops: Sequence[Op]) -> Iterator[Touched]:
    """Return what the ops of one call touched, right after the call; the last op first.

    Each is valid until the next one is asked for.
    """
    lists = _Lists(op.node for op in ops)
    for op in reversed(ops):
        # What left the structure later in the same call is part of what that took out.
        if op.node.attached:
            yield _by_op(op, lists.items(op.node))
            lists.undo_op(op)


def touched_by_patches(patches: Sequence[Patch]) -> Iterator[tuple[int, Touched]]:
    """Return what patches touched that updates of other devices made, with their indices; the last one first.

    Each is valid until the next one is asked for. A patch inside an element that changed its place is there twice:
    with the element's present path, and with the one it had before the patches.
    """
    edited = {patch.node for patch in patches if patch.node.kind == "list"}
    moved = {index: above for index, patch in enumerate(patches) if (above := _lists_above(patch.node, edited))}
    lists = _Lists([*(patch.node for patch in patches), *(node for above in moved.values() for node in above)])
    for index in range(len(patches) - 1, -1, -1):
        patch = patches[index]
        if patch.node.attached:
            yield index, _by_patch(patch, lists.items(patch.node))
            lists.undo_patch(patch)
    within = _Lists(patches[index].node for index in moved)
    for index in reversed(moved):
        patch = patches[index]
        if not patch.node.attached:
            continue
        path = lists.path(patch.node)
        if path is not None and path != patch.node.path():
            touched = _by_patch(patch, within.items(patch.node))
            touched.path = path
            yield index, touched
        within.undo_patch(patch)


def _lists_above(node: Node, edited: set[Node]) -> list[Node]:
    found = []
    while (parent := node.parent) is not None:
        if parent in edited:
            found.append(parent)
        node = parent
    return found


class _Lists:
    """The elements of lists, edit for edit backwards; a list that is edited once is taken as it is."""

    def __init__(self, edited: Iterable[Node]) -> None:
        once: set[Node] = set()
        self._copies: dict[Node, list[Any]] = {}
        for node in edited:
            if node.kind == "list":
                if node in once and node not in self._copies:
                    self._copies[node] = list(node.container)
                once.add(node)

    def items(self, node: Node) -> Any:
        return self._copies.get(node, node.container)

    def path(self, node: Node) -> Path | None:
        """Return the path of a container before all edits; None if it was not there."""
        steps: Path = []
        while (parent := node.parent) is not None:
            step = node.key
            if parent.kind == "list":
                items = enumerate(self.items(parent))
                step = next((index for index, item in items if item is node.container), None)
                if step is None:
                    return None
            steps.append(step)
            node = parent
        return steps[::-1]

    def undo_op(self, op: Op) -> None:
        if op.node in self._copies:
            undo_op(self._copies[op.node], op)

    def undo_patch(self, patch: Patch) -> None:
        if patch.node in self._copies:
            undo_patch(self._copies[patch.node], patch)


def undo_op(items: list[Any], op: Op) -> None:
    """Make the elements of a list those before the op."""
    match op:
        case Assign():
            items[op.index] = op.old
        case Splice():
            items[op.index : op.index + len(op.new)] = op.old
        case Reorder():
            now = list(items)
            for index, before in enumerate(op.order):
                items[before] = now[index]
        case Put():
            raise AssertionError("a list has no entries")
        case _:
            assert_never(op)


def undo_patch(items: list[Any], patch: Patch) -> None:
    """Make the elements of a list those before the patch."""
    match patch.func_name:
        case "__setitem__":
            items[patch.args[0]] = patch.old
        case "__delitem__":
            items.insert(patch.args[0], patch.old)
        case "insert":
            del items[patch.args[0]]
        case "move":
            source, target = patch.args
            items.insert(source, items.pop(target))
        case "clear":
            items[:] = patch.old
        case "extend":
            del items[len(items) - len(patch.args[0]) :]
        case name:
            raise AssertionError(f"no patch of a list is called {name!r}")


def _by_op(op: Op, now: Any) -> Touched:
    path = op.node.path()
    match op:
        case Put():
            if op.node.kind == "set":
                return Touched(path, [(op.key, None)])
            return Touched(path, [(op.key, op.old), (op.key, op.new)])
        case Assign():
            return Touched(path, [(op.index, op.old), (op.index, op.new)])
        case Splice():
            return _spliced(path, now, op.index, op.old, op.new)
        case Reorder():
            before = dict(zip(op.order, now, strict=True))
            moved = [index for index, source in enumerate(op.order) if index != source]
            return Touched(path, [(index, value) for index in moved for value in (before[index], now[index])])
        case _:
            assert_never(op)


def _by_patch(patch: Patch, now: Any) -> Touched:
    path, args = patch.node.path(), patch.args
    if patch.node.kind == "set":
        return Touched(path, [(args[0], None)])
    if patch.node.kind == "dict":
        return Touched(path, [(args[0], value) for value in (patch.old, *args[1:])])
    match patch.func_name:
        case "__delitem__":
            return _spliced(path, now, args[0], [patch.old], [])
        case "insert":
            return _spliced(path, now, args[0], [], [args[1]])
        case "clear":
            return _spliced(path, now, 0, patch.old, [])
        case "extend":
            return _spliced(path, now, 0, [], args[0])
        case "move":
            source, target = args
            # Each place had the element that its neighbour has now, and the first the one that moved.
            behind = -1 if source < target else 1
            before = {place: place + behind for place in range(min(args), max(args) + 1)} | {source: target}
            return Touched(path, [(place, now[i]) for place in before for i in (place, before[place])])
        case _:
            return Touched(path, [(args[0], patch.old), (args[0], args[1])])


def _spliced(path: list[Any], now: Any, index: int, old: list[Any], new: list[Any]) -> Touched:
    entries = [(index + offset, value) for values in (old, new) for offset, value in enumerate(values)]
    return Touched(path, entries, index + min(len(old), len(new)), len(new) - len(old), now)
