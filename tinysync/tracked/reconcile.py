"""Making a live container equal to plain content by as few changes as possible.

What is the same already is left alone, so that a concurrent edit of it survives and references to live containers
inside stay good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.ops import ABSENT
from tinysync.shortest_edit import hunks
from tinysync.tracked.adopt import build
from tinysync.tracked.base import Tracked
from tinysync.tracked.plain import CONTAINERS
from tinysync.tracked.sameness import same, token

if TYPE_CHECKING:
    from tinysync.crdt.node import Node
    from tinysync.tracked.journal import Journal


def reconciles(old: Any, new: Any) -> bool:
    """Tell whether a live value can become ``new``, from ``copy_in``, in place: containers of the same kind."""
    return isinstance(old, Tracked) and CONTAINERS[type(old)] == CONTAINERS.get(type(new))


def reconcile(journal: Journal, container: Any, content: Any) -> None:
    """Make a live container hold the content, which is from ``copy_in`` and of the same kind.

    The order of dict keys is that of a ``dict.update``: keys that stay keep their place.
    """
    node: Node = container._node
    if node.kind == "dict":
        _reconcile_dict(journal, node, content)
    elif node.kind == "set":
        _reconcile_set(journal, node, content)
    else:
        reconcile_slice(journal, node, 0, len(container), content)


def reconcile_slice(journal: Journal, node: Node, start: int, stop: int, content: list[Any]) -> None:
    """Make a slice of a live list hold the content.

    Elements that take the place of others are assigned to their slots, so that containers are reconciled in turn.
    """
    live = node.container
    found = hunks([token(item) for item in live[start:stop]], [token(item) for item in content])
    for hunk in reversed(found):
        removed, added = hunk.old_stop - hunk.old_start, hunk.new_stop - hunk.new_start
        paired = min(removed, added)
        index = start + hunk.old_start
        if removed != added:
            rest = [
                build(item, node, None, live._recorder)
                for item in content[hunk.new_start + paired : hunk.new_stop]
            ]
            journal.splice(node, index + paired, removed - paired, rest)
        for offset in range(paired):
            _settle_element(journal, node, index + offset, content[hunk.new_start + offset])


def _settle_element(journal: Journal, node: Node, index: int, value: Any) -> None:
    old = node.container[index]
    if reconciles(old, value):
        reconcile(journal, old, value)
    elif not same(old, value):
        journal.assign(node, index, build(value, node, None, node.container._recorder))


def _reconcile_dict(journal: Journal, node: Node, content: dict[Any, Any]) -> None:
    live = node.container
    typed = {key: key for key in content}
    for key, old in list(live.items()):
        if key not in typed or not same(key, typed[key]):
            journal.remove(node, key, old)
    for key, value in content.items():
        old = live.get(key, ABSENT)
        if reconciles(old, value):
            reconcile(journal, old, value)
        elif old is ABSENT or not same(old, value):
            journal.put(node, key, old, build(value, node, key, live._recorder))


def _reconcile_set(journal: Journal, node: Node, content: set[Any]) -> None:
    live = node.container
    typed = {element: element for element in content}
    for element in list(live):
        if element not in typed or not same(element, typed[element]):
            journal.discard(node, element)
    for element in content:
        if element not in live:
            journal.add(node, element)
