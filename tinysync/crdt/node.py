"""A node: one container of the structure, as the document knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinysync.crdt.sequence import Slot
    from tinysync.model import Kind, Path


class Node:
    """One live container and its place.

    ``id`` is empty until the document has written the container; ``key`` is the key under a dict parent and
    None under a list parent; ``container`` is the live dict, list or set. ``attached`` is False once the
    container left the structure; ``removed_by_other`` says that another device or a hand edit removed it.
    """

    __slots__ = (
        "absent",
        "attached",
        "container",
        "elements",
        "id",
        "key",
        "kind",
        "nonce",
        "parent",
        "removed_by_other",
        "returned",
        "seeded",
    )

    def __init__(self, kind: Kind, parent: Node | None, key: Any) -> None:
        self.kind = kind
        self.parent = parent
        self.key = key
        self.id = ""
        self.container: Any = None
        self.attached = True
        self.removed_by_other = False
        self.returned = False
        """Whether the container left the structure and came back, by an undo."""
        self.nonce: int | bytes = 0
        self.seeded = False
        """Whether the node is, or lies in, a list that was shown from a default cell."""
        self.absent: set[str] | None = None
        """Key texts that have a cell but are not shown (tombstones)."""
        self.elements: list[Slot] | None = None
        """Of a list that comes back after it was removed: its elements, as they were before."""

    def depth(self) -> int:
        """Return the number of containers above this one."""
        count, node = 0, self.parent
        while node is not None:
            count, node = count + 1, node.parent
        return count

    def path(self) -> Path:
        """Return the keys and indices that lead from the root to this container."""
        steps: Path = []
        node: Node = self
        while node.parent is not None:
            parent = node.parent
            if parent.kind == "list":
                steps.append(next(i for i, item in enumerate(parent.container) if item is node.container))
            else:
                steps.append(node.key)
            node = parent
        steps.reverse()
        return steps


def node_of(value: Any) -> Node | None:
    """Return the node of a live container, or None for a plain value."""
    # A structure without a document may hold dicts that are no tracked ones as values.
    return getattr(value, "_node", None) if isinstance(value, (dict, list, set)) else None


def detach_content(node: Node) -> dict[str, Node]:
    """Empty a live container and those inside it, past their methods; return the nodes of the latter, detached."""
    container = node.container
    detached: dict[str, Node] = {}
    for value in [] if node.kind == "set" else list(container.values() if node.kind == "dict" else container):
        child = node_of(value)
        if child is not None:
            child.attached = False
            child.removed_by_other = True
            detached[child.id] = child
            detached.update(detach_content(child))
    builtin: Any = {"dict": dict, "list": list, "set": set}[node.kind]
    builtin.clear(container)
    node.absent = None
    return detached
