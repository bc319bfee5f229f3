"""The lines of a YAML text, and edits of it."""

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from tinysync.storage.layout.tree import CannotPatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.storage.layout.tree import Node

_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_COMMENT_OR_MARK: Final = re.compile("#[^\n\r\x85\u2028\u2029]*|[^\\s#]")
_COMMENT_LINE: Final = re.compile("[ \t]*#")
_REST_OF_LINE: Final = re.compile("[ \t]*(?:#[^\n\r\x85\u2028\u2029]*)?(?=[\n\r\x85\u2028\u2029]|\\Z)")
_BEFORE_COMMENT: Final = re.compile(" *(?=#)")


class Text:
    """A text that ends with a line break, by lines. All places are indices of characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        found = _BREAK.search(text)
        self.newline = found[0] if found is not None and found[0] == "\r\n" else "\n"

    def line_start(self, at: int) -> int:
        """Return where the line begins that a place is in."""
        return self._starts[bisect_right(self._starts, at) - 1]

    def line_after(self, end: int) -> int:
        """Return where the line begins after the one in which something ends."""
        number = bisect_right(self._starts, end)
        if end and self._starts[number - 1] == end:
            return end
        return self._starts[number] if number < len(self._starts) else len(self.text)

    def line_end(self, end: int) -> int:
        """Return where the line break is of the line in which something ends."""
        after = self.line_after(end)
        if self.text.endswith("\r\n", 0, after):
            return after - 2
        return after - 1 if after and _BREAK.match(self.text, after - 1) else after

    def column(self, at: int) -> int:
        """Return the column of a place."""
        return at - self.line_start(at)

    def begins_line(self, at: int) -> bool:
        """Tell whether nothing but white space is before a place in its line."""
        return not self.text[self.line_start(at) : at].strip(" \t")

    def ends_line(self, at: int) -> bool:
        """Tell whether nothing but white space and a comment is behind a place in its line."""
        return _REST_OF_LINE.match(self.text, at) is not None

    def marks(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Yield the characters, with their places, that are neither white space nor in comments."""
        for found in _COMMENT_OR_MARK.finditer(self.text, start, end):
            if found[0][0] != "#":
                yield found.start(), found[0]

    def has_lines(self, start: int, end: int) -> bool:
        """Tell whether there is a line break in a stretch."""
        return _BREAK.search(self.text, start, end) is not None

    def spaces_before_comment(self, at: int) -> int:
        """Return how many spaces are between a place and a comment in its line; 0 if there is none."""
        found = _BEFORE_COMMENT.match(self.text, at)
        return len(found[0]) if found else 0

    def comments_above(self, at: int, column: int, floor: int) -> int:
        """Return where the comment lines begin that stand right above a line, not deeper than a column."""
        number = bisect_right(self._starts, at) - 1
        while number and self._starts[number - 1] >= floor and self._comment_column(number - 1) <= column:
            number -= 1
        return self._starts[number]

    def comments_below(self, at: int, column: int) -> int:
        """Return where the comment lines end that stand from a place on, deeper than a column."""
        number = bisect_right(self._starts, at) - 1
        if self._starts[number] != at:
            return at
        while number < len(self._starts) - 1 and column < self._comment_column(number) < _NO_COMMENT:
            number += 1
        return self._starts[number]

    def deeper_comments_below(self, at: int, column: int) -> int:
        """Return where the last comment line ends that is deeper than a column, blank lines between or not."""
        number = last = bisect_right(self._starts, at) - 1
        if self._starts[number] != at:
            return at
        while number < len(self._starts) - 1:
            if column < self._comment_column(number) < _NO_COMMENT:
                last = number + 1
            elif self.text[self._starts[number] : self._starts[number + 1]].strip():
                break
            number += 1
        return self._starts[last]

    def _comment_column(self, number: int) -> int:
        found = _COMMENT_LINE.match(self.text, self._starts[number])
        return found.end() - found.start() - 1 if found else _NO_COMMENT


_NO_COMMENT: Final = 1 << 60


class Edits:
    """Replacements of stretches of a text, each made for a node."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._edits: list[tuple[tuple[int, int], str, Node]] = []
        self._places: list[tuple[int, Node]] = []

    def replace(self, start: int, end: int, new: str, node: Node) -> None:
        """Put ``new`` in the place of a stretch; insertions at one place come in the order of the calls."""
        if start < end or new:
            self._edits.append(((start, end), new, node))

    def insert_lines(self, at: int, lines: list[str], node: Node) -> None:
        """Insert whole lines where a line begins."""
        newline = self._text.newline
        self.replace(at, at, "".join(line + newline for line in lines), node)

    def applied(self) -> str:
        """Return the text with all edits made. Raise CannotPatch if they overlap."""
        text, at, size = self._text.text, 0, 0
        parts: list[str] = []
        for (start, end), new, node in sorted(self._edits, key=itemgetter(0)):
            if start < at:
                raise CannotPatch(node)
            parts += text[at:start], new
            size += start - at
            self._places.append((size, node))
            size += len(new)
            at = end
        parts.append(text[at:])
        return "".join(parts)

    def span(self) -> tuple[int, int] | None:
        """Return where the first edit begins, and where the last one ends; None if there is none."""
        if not self._edits:
            return None
        return min(start for (start, _), _, _ in self._edits), max(end for (_, end), _, _ in self._edits)

    def touches_end(self) -> bool:
        """Tell whether an edit reaches the end of the text."""
        return any(end == len(self._text.text) for (_start, end), _new, _node in self._edits)

    def culprit(self, place: int) -> Node:
        """Return the node whose edit comes last before a place in the text that ``applied`` returned."""
        number = bisect_right(self._places, place, key=itemgetter(0))
        return self._places[max(number - 1, 0)][1]
