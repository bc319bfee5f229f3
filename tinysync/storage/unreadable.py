"""What is told of a file that a person wrote and that does not parse: where, why, and what to do."""

from __future__ import annotations

from tinysync.errors import UnreadableFile


def unreadable_at(place: object, problem: str, line: int, column: int) -> UnreadableFile:
    """Return what to raise for a problem at a line and a column, both counted from 0; ``place`` names the file."""
    return UnreadableFile(
        f"{place}, line {line + 1}, column {column + 1}: {problem}. The file was left as it is; correct it there,"
        " or move it away to have it written anew."
    )


def line_column(before: str) -> tuple[int, int]:
    """Return the line and the column, both counted from 0, that a text leads up to."""
    return before.count("\n"), len(before) - before.rfind("\n") - 1
