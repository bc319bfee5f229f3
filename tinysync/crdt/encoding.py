"""What an update is made of (the yrs v1 encoding), and what was found in one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

Id = tuple[int, int]
"""The client and clock of an element."""

Name = tuple[str, str]
"""An entry: its root, and its key there."""

MAX_CLOCK: Final = 2**31 - 1

DELETED, BINARY, ANY = 1, 3, 8
"""The content kinds of the format: no nested types, no text formats, no sub-documents, no moves. As nothing is
nested, the engine never collects a block as garbage, and what it writes has no gaps."""

HAS_LEFT, HAS_RIGHT, HAS_KEY, KIND = 0x80, 0x40, 0x20, 0x1F
"""What the first byte of a block tells."""

NULL, INTEGER, FLOAT32, FLOAT64, BIG_INT, FALSE, TRUE, STRING, BUFFER = 126, 125, 124, 123, 122, 121, 120, 119, 116
SIZES: Final = {NULL: 1, TRUE: 1, FALSE: 1, FLOAT32: 5, FLOAT64: 9, BIG_INT: 9}
"""How long values are, with their tag, whose length depends on nothing else."""


@dataclass(slots=True)
class LoneWrite:
    """The only block of an update that writes an entry anew, and deletes nothing but what was there before.

    It says what `Blocks` says of a block.
    """

    client: int
    clock: int
    block_end: int
    left: Id
    """What it was written upon."""
    content: int
    kind: int = ANY
    right: None = None
    parent: bytes = b""
    place: int = 0
    """Where it lies, once that is known."""
    name: Name | None = None
    """The entry that lies there, if that is known."""
    is_aware: bool = False
    """Whether it was found to replace just what it was made upon: its author knew what showed here."""


@dataclass(slots=True)
class UpdateInfo:
    """What an update holds and what it refers to."""

    blocks: list[tuple[int, int, int]] = field(default_factory=list)
    """(client, first clock, clock behind the last) for each client."""
    positions: list[array[int]] = field(default_factory=list)
    """Where the blocks of each client begin in the update, and where the last one ends."""
    deletions: int = 0
    """Where the deleted ranges begin."""
    parts: int = 0
    """How many blocks, values and deleted ranges there are."""
    joinable: int = 0
    """How many blocks go on where another of the client ends."""
    needs: dict[int, int] = field(default_factory=dict)
    """The clock that each client's blocks must have reached for the origins and deletions to make sense."""
    lists: set[str] = field(default_factory=set)
    """The lists that the update begins."""
    meta: set[tuple[str, bytes]] = field(default_factory=set)
    """What it writes about the document itself: keys and contents of blocks."""
    lone: LoneWrite | None = None
    """What it holds, if that is all."""

    def first_missing(self, clocks: Mapping[int, int]) -> tuple[int, int] | None:
        """Return a client and a clock that its blocks must still reach, or None if a document has all it takes."""
        for client, start, _ in self.blocks:
            if start > clocks.get(client, 0):
                return client, start
        ends = {client: end for client, _, end in self.blocks}
        for client, need in self.needs.items():
            if need > clocks.get(client, 0) and need > ends.get(client, 0):
                return client, need
        return None

    def need(self, client: int, clock: int) -> None:
        """Note that the blocks of a client must have reached a clock."""
        if clock > self.needs.get(client, 0):
            self.needs[client] = clock


def lone_write(updates: Mapping[bytes, UpdateInfo]) -> LoneWrite | None:
    """Return what all updates together hold if it is a lone write."""
    return next(iter(updates.values())).lone if len(updates) == 1 else None
