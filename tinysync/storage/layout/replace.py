"""Putting another value in the place of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tinysync.storage.layout.block import BlockEdit
from tinysync.storage.layout.render import Placed, Renderer, flow_text, is_container
from tinysync.storage.layout.tree import CannotPatch, Node

if TYPE_CHECKING:
    from tinysync.storage.layout.places import Places
    from tinysync.storage.layout.text import Edits


class Slot(NamedTuple):
    """A node in its place: as root, value of a key, item of a block list, or between brackets.

    ``lead`` is where the text behind the ``:`` or ``-`` begins, ``column`` where its entry does.
    """

    node: Node
    kind: Literal["root", "map", "seq", "flow"]
    lead: int | None
    column: int


class Replacement:
    """Writes another value where a node was; an anchor of the node stays."""

    def __init__(self, places: Places, edits: Edits, *, one_line: bool) -> None:
        self._places = places
        self._text = places.text
        self._edits = edits
        self._one_line = one_line

    def replace(self, slot: Slot, wanted: Any, *, blunt: bool) -> None:
        """Make the edits; ``blunt`` takes comments inside along. Raise CannotPatch with the node above."""
        node = slot.node
        if node.is_empty and slot.lead is None and node.parent is not None and slot.kind != "flow":
            raise CannotPatch(node.parent)  # a key without even a colon
        quote = node.style if node.style in ("'", '"') and type(wanted) is str else None
        brackets = node.flow and node.children and is_container(wanted)
        beside = slot.kind == "root" and node.start != self._text.line_start(node.start)
        if slot.kind == "flow":
            self._replace_text(slot, node.end, _with_anchor(node, flow_text(wanted, quote)))
        elif brackets or (beside and not node.is_block):
            self._replace_in_block(slot, Placed(_with_anchor(node, flow_text(wanted, quote)), []))
        elif node.is_block:
            self._refill(slot, wanted, blunt=blunt)
        else:
            self._replace_in_block(slot, self._placed_in_block(slot, wanted, quote))

    def _replace_text(self, slot: Slot, end: int, new: str) -> None:
        """Put a text in the place of one, and keep a comment behind it in its column if it was set off."""
        node, start = slot.node, slot.node.start
        if node.is_empty:
            new = f": {new}" if slot.lead is None else f" {new}"
        elif self._places.is_bare_pair(node):
            end = self._places.end(node)
        self._edits.replace(start, end, new, node)
        spaces = self._text.spaces_before_comment(end)
        if spaces > 1:
            kept = max(2, spaces - len(new) + end - start)
            self._edits.replace(end, end + spaces, " " * kept, node)

    def _placed_in_block(self, slot: Slot, wanted: Any, quote: str | None) -> Placed:
        node, style = slot.node, self._places.style(slot.node.parent or slot.node)
        renderer = Renderer(style, [wanted], quote, one_line=self._one_line)
        # What has a comment beside it begins below, so that the comment does not become one of its first entry.
        beside = node.anchor or self._text.spaces_before_comment(self._places.header_end(node))
        if slot.kind == "map" or (beside and is_container(wanted)):
            body = self._body_column(node) if not is_container(wanted) else self._column_in(slot)
            placed = renderer.behind_colon(wanted, slot.column, body)
        elif node.is_empty:
            placed = renderer.behind_dash(wanted, slot.column + 1 + style.gap)
            placed = Placed(" " * (style.gap - 1) + placed.head, placed.lines)
        else:
            placed = renderer.behind_dash(wanted, self._text.column(node.start))
        return Placed(_with_anchor(node, placed.head), placed.lines)

    def _column_in(self, slot: Slot) -> int | None:
        """Return the column of lines in an item of a list; elsewhere that depends on what they are."""
        style = self._places.style(slot.node.parent or slot.node)
        if slot.kind == "root":
            return self._text.column(slot.node.start)
        return slot.column + 1 + style.gap if slot.kind == "seq" else None

    def _body_column(self, node: Node) -> int | None:
        """Return the column of the lines of a scalar that has lines of its own."""
        if node.style not in ("|", ">"):
            return None
        start = self._text.line_after(self._places.header_end(node))
        first = self._text.text[start : node.end]
        return self._text.column(node.end - len(first.lstrip())) if first.strip() else None

    def _replace_in_block(self, slot: Slot, placed: Placed) -> None:
        node, text, edits = slot.node, self._text, self._edits
        header, end = self._places.header_end(node), self._places.end(node)
        if placed.head:
            self._replace_text(slot, header, placed.head)
        elif slot.lead is not None and text.has_lines(slot.lead, node.start):
            # The value stood in lines of its own.
            edits.insert_lines(text.line_start(node.start), placed.lines, node)
            edits.replace(text.line_start(node.start), text.line_after(end), "", node)
            return
        else:
            edits.replace(node.start if slot.lead is None else slot.lead, header, "", node)
        below = text.line_after(header)
        edits.insert_lines(below, placed.lines, node)
        if end > below:
            edits.replace(below, text.line_after(end), "", node)

    def _refill(self, slot: Slot, wanted: Any, *, blunt: bool) -> None:
        node = slot.node
        first, style = self._places.entries(node)[0], self._places.style(node.parent or node)
        renderer = Renderer(style, [wanted], one_line=self._one_line)
        same = isinstance(wanted, list) == (node.kind == "seq") and is_container(wanted)
        if not self._text.begins_line(first.start):
            placed = renderer.behind_dash(wanted, first.column)
        else:
            body = first.column if same else self._column_in(slot)
            placed = renderer.behind_colon(wanted, max(slot.column, 0), body)
        placed = Placed(_with_anchor(node, placed.head), placed.lines)
        BlockEdit(self._places, self._edits, node).refill(placed, slot.lead, blunt=blunt)


def _with_anchor(node: Node, head: str) -> str:
    return head if node.anchor is None else f"&{node.anchor} {head}".rstrip()
