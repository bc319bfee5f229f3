"""Where the entries of a YAML text are, with what belongs to them, and in what style they are laid out."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysync.storage.layout.tree import CannotPatch, Entry, Node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.storage.layout.text import Text

_BLOCK_HEADER: Final = re.compile(r"(?:[&!]\S*\s+)*[|>][-+0-9]*")
_BRACKET_BEFORE_COMMENT: Final = re.compile(r"(?:[&!]\S*\s+)*[\[{](?=[ \t]+#)")
_BLANKS: Final = " \n\r\x85\u2028\u2029"
_MAX_GAP: Final = 8


class Region(NamedTuple):
    """The lines of an entry of a block: its own, the comment lines right above, and deeper ones right below.

    ``whole_lines`` is False where something stands before the entry in its line: the ``-`` of a list around it.
    """

    start: int
    end: int
    whole_lines: bool


class Style(NamedTuple):
    """How many columns a mapping in a mapping is indented, how many a list, and the spaces behind ``-``."""

    step: int = 2
    offset: int = 0
    gap: int = 1


class Places:
    """The places of the entries in one text."""

    def __init__(self, text: Text, root: Node) -> None:
        self.text = text
        self.root = root
        self._entries: dict[Node, list[Entry]] = {}
        self._style: Style | None = None

    def entries(self, node: Node) -> list[Entry]:
        """Return the entries of a list or mapping, in order."""
        found = self._entries.get(node)
        if found is None:
            found = self._entries[node] = list(self._items(node) if node.kind == "seq" else self._pairs(node))
        return found

    def _items(self, node: Node) -> Iterable[Entry]:
        at = node.start
        for item in node.children:
            start, lead = item.start, None
            if not node.flow:
                start, sign = self._last_mark(at, item.start)
                if sign != "-":
                    raise CannotPatch(node)
                lead = start + 1
            at = max(self.end(item), lead or 0)
            yield Entry(start, self.text.column(start), None, lead, item, at)

    def _pairs(self, node: Node) -> Iterable[Entry]:
        at = node.start
        for key, value in zip(node.children[::2], node.children[1::2], strict=True):
            start, sign = self._last_mark(at, key.start)
            if sign != "?":
                start = key.start
            lead, at = self._pair(key, value)
            yield Entry(start, self.text.column(start), key, lead, value, at)

    def _pair(self, key: Node, value: Node) -> tuple[int | None, int]:
        """Return where the value of a key begins, right behind the colon, and where it ends."""
        lead, end = None, self.end(key)
        place, sign = next(self.text.marks(end, max(value.start, end)), (0, ""))
        if sign == ":":
            end = lead = place + 1
        if value.is_empty:  # the parser says where the next thing begins
            value.start = value.end = end
        return lead, max(end, self.end(value))

    def _last_mark(self, start: int, end: int) -> tuple[int, str]:
        last = (start, "")
        for last in self.text.marks(start, end):  # noqa: B007 - it is the last one that counts
            pass
        return last

    def is_bare_pair(self, node: Node) -> bool:
        """Tell whether a mapping is a pair in a flow list without braces, as in ``[key: value]``."""
        bare = node.anchor is None and node.tag is None
        return node.kind == "map" and node.flow and bare and self.text.text[node.start : node.start + 1] != "{"

    def end(self, node: Node) -> int:
        """Return where the content of a node ends; for a block that is less far than the parser says."""
        if node.kind == "scalar" and node.style in ("|", ">"):
            return self._end_of_lines(node)
        if node.is_block and node.kind == "seq":
            last = node.children[-1]
            return max(self.end(last), last.start)
        if node.is_block or self.is_bare_pair(node):
            return self._pair(*node.children[-2:])[1]
        return node.end

    def _end_of_lines(self, node: Node) -> int:
        if "+" in self.text.text[self.header_end(node) - 2 : self.header_end(node)]:
            return node.end
        first = self.text.line_after(self.header_end(node))
        lines = self.text.text[first : node.end].rstrip(_BLANKS)
        return self.text.line_after(first + len(lines)) if lines else first

    def header_end(self, node: Node) -> int:
        """Return where that of a node in a block ends which is in the line of its key, before a comment there."""
        if node.flow:
            found = _BRACKET_BEFORE_COMMENT.match(self.text.text, node.start)
            return node.end if found is None else found.end()
        if node.style not in ("|", ">"):
            return node.end
        found = _BLOCK_HEADER.match(self.text.text, node.start)
        if found is None:
            raise CannotPatch(node)
        return found.end()

    def region(self, node: Node, number: int) -> Region:
        """Return what belongs to one of the entries of a block."""
        entries, text = self.entries(node), self.text
        entry = entries[number]
        end = text.comments_below(text.line_after(entry.end), entry.column)
        if not text.begins_line(entry.start):
            return Region(entry.start, end, whole_lines=False)
        # Between the line of a key and the first entry below are comments only.
        floor = entries[number - 1].end if number else 0
        return Region(text.comments_above(entry.start, entry.column, floor), end, whole_lines=True)

    def props_end(self, node: Node) -> int | None:
        """Return where the anchor and tag before a block end, if it has any."""
        first = self.entries(node)[0].start
        return self._last_mark(node.start, first)[0] + 1 if node.start < first else None

    def style(self, node: Node) -> Style:
        """Return how entries are laid out in a block, or else in the whole text."""
        votes = self._votes([node])
        if self._style is None:
            self._style = self._chosen(self._votes(_all(self.root)), Style())
        return self._chosen(votes, self._style)

    def _votes(self, nodes: Iterable[Node]) -> tuple[Counter[int], Counter[int], Counter[int]]:
        steps, offsets, gaps = Counter[int](), Counter[int](), Counter[int]()
        for node in nodes:
            if not node.is_block or not node.children:
                continue
            for child in node.children[1::2] if node.kind == "map" else node.children:
                if node.kind == "seq":
                    gap = child.column - node.column - 1
                    same_line = node.start < child.start and not self.text.has_lines(node.start, child.start)
                    if child is node.children[0] and same_line and 0 < gap <= _MAX_GAP:
                        gaps[gap] += 1
                elif child.is_block:
                    indent = child.children[0].column if child.kind == "map" else child.column
                    indent -= node.children[0].column
                    if child.kind == "map" and indent > 0:
                        steps[indent] += 1
                    elif child.kind == "seq" and indent >= 0 and child.anchor is None:
                        offsets[indent] += 1
        return steps, offsets, gaps

    @staticmethod
    def _chosen(votes: tuple[Counter[int], ...], default: Style) -> Style:
        return Style(*(v.most_common(1)[0][0] if v else d for v, d in zip(votes, default, strict=True)))


def _all(root: Node) -> Iterable[Node]:
    """Return a node, and those below it that have others in them."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        nodes += [child for child in node.children if child.children]
        yield node
