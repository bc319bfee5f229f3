"""The structure as it was at a mark, as far as it differs from what it is now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinysync.crdt.node import node_of
from tinysync.crdt.ops import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.crdt.node import Node
    from tinysync.model import Path
    from tinysync.tracker.changed import Changed

    _Ways = dict[Node, dict[int, Node]]
    """For each container that leads to one that changed, what to go on with, by the identity of the container."""


@dataclass(slots=True)
class Difference:
    """A container that was there at the mark, still is, and itself changed: not only what is in it.

    ``entries``: for a dict the old value of each key that changed, for a set True for each element that was there;
    ABSENT: was not there. ``items``: for a list all its old elements, if it changed.
    """

    node: Node
    path: Path
    entries: dict[Any, Any]
    items: list[Any] | None


class Past:
    """Looks at the structure through what was noted since a mark; valid until the next change."""

    def __init__(self, noted: list[Changed]) -> None:
        self._noted = noted
        """From the one that begins at the mark to the one that ends now."""

    def differences(self, root: Node) -> Iterator[Difference]:
        """Return the containers that changed, from the root down."""
        return self._differences(root, [], self._ways())

    def _differences(self, node: Node, path: Path, ways: _Ways) -> Iterator[Difference]:
        entries, items = self._entries(node), self._items(node)
        if entries or items is not None:
            yield Difference(node, path, entries, items)
        children = ways.get(node, {})
        if node.kind == "dict":
            for child in children.values():
                if entries.get(child.key, child.container) is child.container:
                    yield from self._differences(child, [*path, child.key], ways)
        elif children:
            for index, item in enumerate(node.container):
                # An element that is not where it was is part of the list's own difference.
                if id(item) in children and (items is None or (index < len(items) and items[index] is item)):
                    yield from self._differences(children[id(item)], [*path, index], ways)

    def _ways(self) -> _Ways:
        ways: _Ways = {}
        for noted in self._noted:
            for changed in (*noted.entries, *noted.lists):
                node: Node = changed
                while node.attached and (parent := node.parent) is not None:
                    children = ways.setdefault(parent, {})
                    if id(node.container) in children:
                        break
                    children[id(node.container)] = node
                    node = parent
        return ways

    def _entries(self, node: Node) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for noted in self._noted:
            for key, old in noted.entries.get(node, {}).items():
                found.setdefault(key, old)
        return found

    def _items(self, node: Node) -> list[Any] | None:
        return next((noted.lists[node].items for noted in self._noted if node in noted.lists), None)

    def plain(self, value: Any) -> Any:
        """Return a value as it was at the mark: a plain copy if it is a container of the structure."""
        node = node_of(value)
        if node is None:
            return value
        if node.kind == "list":
            items = self._items(node)
            return [self.plain(item) for item in (self._content(node) if items is None else items)]
        content = self._content(node)
        if node.kind == "set":
            content = dict.fromkeys(content, True)
        before = dict(content)
        for key, old in self._entries(node).items():
            # Away first: the key itself may have been of another type, as 1 and 1.0 are.
            before.pop(key, None)
            if old is not ABSENT:
                before[key] = old
        return set(before) if node.kind == "set" else {key: self.plain(old) for key, old in before.items()}

    def _content(self, node: Node) -> Any:
        for noted in reversed(self._noted):
            if node in noted.removed:
                return noted.removed[node]
            if node in noted.returned:
                break
        return node.container
