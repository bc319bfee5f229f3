"""The nodes of a YAML text, and where each of them stands in it."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import yaml

NodeKind = Literal["scalar", "alias", "seq", "map"]


class CannotPatch(Exception):
    """An edit cannot be made in the text of a node: the node is to be written anew."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node


class Node:
    """One node as it stands in the text, an alias where it stands.

    ``start`` is where its anchor or tag begins, if it has one. ``children`` are the keys and values of a mapping
    in turn, or the items of a sequence. ``refers``: there is an anchor or an alias in it. ``text`` is that of a
    scalar or the name of an alias.
    """

    __slots__ = (
        "anchor", "children", "column", "end", "flow", "implicit", "kind", "parent", "refers", "start", "style",
        "tag", "text",
    )  # fmt: skip

    def __init__(self, kind: NodeKind, event: Any, parent: Node | None) -> None:
        mark = event.start_mark
        self.kind = kind
        self.start: int = mark.index
        self.column: int = mark.column
        self.end: int = event.end_mark.index
        self.parent = parent
        self.anchor: str | None = event.anchor
        self.refers = event.anchor is not None
        self.flow = False
        self.children: list[Node] = []
        self.tag: str | None = None
        self.text = self.style = ""
        self.implicit = (False, False)
        if kind == "alias":
            self.text, self.anchor = event.anchor, None
            return
        self.tag = event.tag
        if kind == "scalar":
            self.text, self.implicit, self.style = event.value, event.implicit, event.style or ""
        else:
            self.flow = event.flow_style

    @property
    def is_block(self) -> bool:
        """Whether this is a list or mapping that is told by indentation."""
        return self.kind in ("seq", "map") and not self.flow

    @property
    def is_empty(self) -> bool:
        """Whether this is a value that is not written at all, a null."""
        return self.start == self.end


class Entry(NamedTuple):
    """A key with its value, or an item of a list.

    ``start``: where it begins, with its ``-`` or ``?``; ``lead``: right behind its ``-`` or ``:``, None where
    there is none; ``end``: where its content ends.
    """

    start: int
    column: int
    key: Node | None
    lead: int | None
    value: Node
    end: int


class TreeBuilder:
    """Makes a tree of the events of one document, given to it one after the other."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: Node | None = None

    def __call__(self, event: Any) -> None:
        """Take the next event."""
        kind = _KINDS.get(type(event))
        if kind is not None:
            self._add(kind, event)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self._open
            assert node is not None
            mark: Any = event.end_mark
            node.end = mark.index
            self._open = node.parent
            if node.refers and node.parent is not None:
                node.parent.refers = True

    def _add(self, kind: NodeKind, event: Any) -> None:
        parent = self._open
        node = Node(kind, event, parent)
        if parent is None:
            self.root = node
        else:
            parent.children.append(node)
            if node.refers:
                parent.refers = True
        if kind in ("seq", "map"):
            self._open = node


_KINDS: Final[dict[type, NodeKind]] = {
    yaml.ScalarEvent: "scalar",
    yaml.AliasEvent: "alias",
    yaml.SequenceStartEvent: "seq",
    yaml.MappingStartEvent: "map",
}
