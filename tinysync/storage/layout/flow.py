"""Deleting and inserting entries of lists and mappings in brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.storage.layout.tree import CannotPatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from tinysync.storage.layout.places import Places
    from tinysync.storage.layout.text import Edits
    from tinysync.storage.layout.tree import Node


class FlowEdit:
    """The deletions and insertions in one flow list or mapping."""

    def __init__(self, places: Places, edits: Edits, node: Node) -> None:
        self._places = places
        self._text = places.text
        self._edits = edits
        self._node = node
        self._entries = places.entries(node)

    def change(self, deleted: AbstractSet[int], inserted: Mapping[int, list[str]]) -> None:
        """Delete entries and insert others behind entries that stay, -1 for before the first of them.

        Raise CannotPatch for a pair that has no braces around it.
        """
        if (deleted or inserted) and self._places.is_bare_pair(self._node):
            raise CannotPatch(self._node)
        for number, texts in inserted.items():
            if number < 0:
                self._insert_first(texts, deleted)
            else:
                self._insert_behind(number, texts)
        for run in _runs(deleted):
            self._delete(run)

    def _comma(self, number: int) -> int | None:
        """Return where the text after the comma behind an entry begins, if there is a comma."""
        stop = self._entries[number + 1].start if number + 1 < len(self._entries) else self._node.end - 1
        place, sign = next(self._text.marks(self._entries[number].end, stop), (0, ""))
        return place + 1 if sign == "," else None

    def _insert_first(self, texts: list[str], deleted: AbstractSet[int]) -> None:
        kept = next((number for number in range(len(self._entries)) if number not in deleted), None)
        if kept is None:
            self._edits.replace(self._node.end - 1, self._node.end - 1, ", ".join(texts), self._node)
            return
        entry = self._entries[kept]
        if self._text.begins_line(entry.start):
            lines = [f"{' ' * entry.column}{text}," for text in texts]
            self._edits.insert_lines(self._above(kept), lines, self._node)
        else:
            self._edits.replace(entry.start, entry.start, "".join(f"{text}, " for text in texts), self._node)

    def _above(self, number: int) -> int:
        """Return where an entry begins that stands in lines of its own, with the comments right above."""
        floor = self._entries[number - 1].end if number else self._node.start
        return self._text.comments_above(self._entries[number].start, self._entries[number].column, floor)

    def _insert_behind(self, number: int, texts: list[str]) -> None:
        entry, comma = self._entries[number], self._comma(number)
        end = entry.end if comma is None else comma
        if self._text.begins_line(entry.start) and self._text.ends_line(end):
            # One entry in each line.
            if comma is None:
                self._edits.replace(entry.end, entry.end, ",", self._node)
            commas = [*[","] * (len(texts) - 1), "" if comma is None else ","]
            lines = [" " * entry.column + text + sign for text, sign in zip(texts, commas, strict=True)]
            self._edits.insert_lines(self._text.line_after(end), lines, self._node)
        else:
            self._edits.replace(entry.end, entry.end, "".join(f", {text}" for text in texts), self._node)

    def _delete(self, run: range) -> None:
        """Delete entries that follow each other."""
        first, last = self._entries[run[0]], self._entries[run[-1]]
        after = self._entries[run[-1] + 1] if run[-1] + 1 < len(self._entries) else None
        before = self._entries[run[0] - 1] if run[0] else None
        edges = [*(entry for number in run for entry in self._entries[number : number + 2])]
        if any(self._text.has_lines(a.end, b.start) for a, b in zip(edges[::2], edges[1::2], strict=False)):
            self._delete_by_lines(run)
        elif after is not None:
            self._edits.replace(first.start, after.start, "", self._node)
        elif before is not None and not self._text.has_lines(before.end, first.start):
            self._edits.replace(before.end, last.end, "", self._node)
        elif before is None and not self._text.begins_line(first.start):
            self._edits.replace(first.start, self._comma(run[-1]) or last.end, "", self._node)
        else:
            self._delete_by_lines(run)

    def _delete_by_lines(self, run: range) -> None:
        """Delete entries one by one, with their own comments and no other; a comma before the last may stay."""
        text = self._text
        for number in run:
            entry = self._entries[number]
            end = self._comma(number) or entry.end
            start = entry.start
            if text.ends_line(end):
                if text.begins_line(start):
                    start, end = self._above(number), text.line_after(end)
                else:
                    end = text.line_end(end)
            self._edits.replace(start, end, "", self._node)


def _runs(numbers: Iterable[int]) -> list[range]:
    runs: list[range] = []
    for number in sorted(numbers):
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs
