"""Deleting and inserting entries of lists and mappings that are told by indentation."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from tinysync.storage.layout.places import Places, Region
    from tinysync.storage.layout.render import Placed
    from tinysync.storage.layout.text import Edits
    from tinysync.storage.layout.tree import Node

_BODY_FOLLOWS: Final = ("|", "|-", "|+")


class BlockEdit:
    """The deletions and insertions in one block, of which something stays."""

    def __init__(self, places: Places, edits: Edits, node: Node) -> None:
        self._places = places
        self._text = places.text
        self._edits = edits
        self._node = node
        self._entries = places.entries(node)

    def change(self, deleted: AbstractSet[int], inserted: Mapping[int, list[str]]) -> None:
        """Delete entries and insert lines behind entries that stay, -1 for before the first of them."""
        if not deleted and not inserted:
            return
        if -1 in inserted:
            self._insert_first(inserted[-1], deleted)
        if 0 in deleted and not self._region(0).whole_lines:
            deleted = deleted - self._delete_beside(deleted)
        for number in sorted(deleted):
            region = self._region(number)
            self._edits.replace(region.start, region.end, "", self._node)
        for number, lines in inserted.items():
            if number >= 0:
                at = self._text.deeper_comments_below(self._region(number).end, self._entries[number].column)
                self._edits.insert_lines(at, lines, self._node)

    def _region(self, number: int) -> Region:
        return self._places.region(self._node, number)

    def _insert_first(self, lines: list[str], deleted: AbstractSet[int]) -> None:
        first = self._entries[0]
        if self._region(0).whole_lines:
            kept = next(number for number in range(len(self._entries)) if number not in deleted)
            self._edits.insert_lines(self._region(kept).start, lines, self._node)
            return
        # It stands behind the `-` of a list around it, and what is inserted takes that place.
        begin, *others = [*lines, " " * first.column]
        new = self._text.newline.join([begin[first.column :], *others])
        self._edits.replace(first.start, first.start, new, self._node)

    def _delete_beside(self, deleted: AbstractSet[int]) -> AbstractSet[int]:
        """Delete a first entry in whose line something stands before it; return which entries that took."""
        kept = next(number for number in range(len(self._entries)) if number not in deleted)
        regions = [self._region(number) for number in range(kept + 1)]
        follow = all(region.end == other.start for region, other in pairwise(regions))
        if follow and regions[kept].start == self._text.line_start(self._entries[kept].start):
            # The next one takes its place.
            self._edits.replace(self._entries[0].start, self._entries[kept].start, "", self._node)
            return set(range(kept))
        self.delete_text_of_first("")
        return {0}

    def delete_text_of_first(self, new: str) -> None:
        """Put a text in the place of a first entry in whose line something stands before it."""
        first, region = self._entries[0], self._region(0)
        start = first.start
        while not new and start and self._text.text[start - 1] == " ":
            start -= 1
        self._edits.replace(start, self._text.line_end(first.end), new, self._node)
        self._edits.replace(self._text.line_after(first.end), region.end, "", self._node)

    def refill(self, placed: Placed, lead: int | None, *, blunt: bool) -> None:
        """Put another value in the place of all entries; ``blunt`` takes comments between them along."""
        first, node, text, edits = self._entries[0], self._node, self._text, self._edits
        head, lines = placed
        region = self._region(0)
        stop = text.line_after(self._places.end(node))
        if not region.whole_lines:
            at = text.line_after(first.end)
            if blunt:
                edits.replace(first.start, text.line_end(self._places.end(node)), head, node)
                edits.insert_lines(stop, lines, node)
            else:
                self.delete_text_of_first(head)
                edits.insert_lines(at, lines, node)
        else:
            at = text.line_start(first.start) if blunt else region.start
            if not self._place_head(head, lead):
                lines = [" " * first.column + head, *lines]
            elif head.endswith(_BODY_FOLLOWS) and lines and lead is not None:
                # The lines of a text must follow at once, and a comment between them would be one of them.
                below = text.line_after(self._places.props_end(node) or lead)
                edits.insert_lines(below, lines, node)
                lines = []
            edits.insert_lines(at, lines, node)
            edits.replace(at, stop if blunt else region.end, "", node)
        if not blunt:
            for number in range(1, len(self._entries)):
                region = self._region(number)
                edits.replace(region.start, region.end, "", node)

    def _place_head(self, head: str, lead: int | None) -> bool:
        """Put what stands in the line of the key there; return False if there is no such line."""
        node, props = self._node, self._places.props_end(self._node)
        if props is not None:
            beside = not head and lead is not None and not self._text.has_lines(lead, node.start)
            self._edits.replace(lead if beside and lead is not None else node.start, props, head, node)
            return True
        if head and lead is None:
            return False
        if head and lead is not None:
            self._edits.replace(lead, lead, f" {head}", node)
        return True
