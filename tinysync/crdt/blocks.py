"""The blocks of a checked update one by one, each behind those that it builds on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.crdt.encoding import BINARY, HAS_KEY, HAS_LEFT, HAS_RIGHT, KIND
from tinysync.crdt.numbers import TWO_BYTES, read_varint
from tinysync.errors import BadUpdate

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Mapping

    from tinysync.crdt.encoding import Id, UpdateInfo

_CIRCLE = "blocks that build on one another in a circle"


class Blocks:
    """The blocks of one client in an update, of which one is looked at: a run of elements.

    ``known`` is the clock up to which the client's blocks need not be looked at any more.
    """

    __slots__ = (
        "_positions",
        "block_end",
        "client",
        "clock",
        "content",
        "end",
        "kind",
        "known",
        "left",
        "parent",
        "right",
        "start",
        "stop",
        "update",
        "waits",
    )

    def __init__(self, update: bytes, run: tuple[int, int, int], positions: array[int], known: int) -> None:
        self.client, self.clock, self.end = run
        self.update = update
        self.known = known
        self.kind = 0
        self.left: Id | None = None
        """The element behind which the block was inserted."""
        self.right: Id | None = None
        """The one in front of which it was inserted."""
        self.parent = b""
        """Where it says that it lies: the root and in a map the key, as encoded. Empty if it has neighbours."""
        self.start = self.content = 0
        """Where in the update it and its content begin."""
        self._positions = iter(positions)
        self.stop = next(self._positions)
        """Where in the update it ends."""
        self.block_end = self.clock
        """The clock behind its last element."""
        self.waits = False
        """Whether blocks of other clients have to come first."""
        self.advance()

    @property
    def reached(self) -> int:
        """The clock of the first element that was not looked at, and is not known."""
        return min(max(self.clock, self.known), self.end)

    def advance(self) -> None:
        """Look at the next block that is not known; behind the last one ``clock`` is ``end``."""
        update = self.update
        while True:
            self.clock = clock = self.block_end
            if clock == self.end:
                return
            self.start = start = self.stop
            self.stop = next(self._positions)
            head = update[start]
            position = start + 1
            if head & (HAS_LEFT | HAS_RIGHT):
                self.parent = b""
                position = self._read_neighbours(head, position)
            else:
                self.left = self.right = None
                size = update[position + 1]
                position += 2 + size if size < TWO_BYTES else _text_size(update, position + 1) + 1
                if head & HAS_KEY:
                    size = update[position]
                    position += 1 + size if size < TWO_BYTES else _text_size(update, position)
                self.parent = update[start + 1 : position]
            self.content = position
            self.kind = kind = head & KIND
            length = update[position] if kind != BINARY else 1
            if length >= TWO_BYTES:
                length, _ = read_varint(update, position)
            self.block_end = end = clock + length
            if end > self.known:
                return

    def _read_neighbours(self, head: int, position: int) -> int:
        self.left = self.right = None
        if head & HAS_LEFT:
            client, position = read_varint(self.update, position)
            clock, position = read_varint(self.update, position)
            self.left = (client, clock)
        if head & HAS_RIGHT:
            client, position = read_varint(self.update, position)
            clock, position = read_varint(self.update, position)
            self.right = (client, clock)
        return position


def _text_size(update: bytes, position: int) -> int:
    size, behind = read_varint(update, position)
    return behind - position + size


def in_order(update: bytes, info: UpdateInfo, known: Mapping[int, int]) -> Iterator[Blocks]:
    """Look at the blocks of a checked update in turn, each behind those of the same update that it builds on.

    What is yielded shows a block until the next one is asked for. Left out are those up to the ``known`` clocks.
    Raises BadUpdate if blocks build on one another in a circle.
    """
    if len(info.blocks) == 1:
        yield from _one_client(Blocks(update, info.blocks[0], info.positions[0], known.get(info.blocks[0][0], 0)))
        return
    clients = {
        run[0]: Blocks(update, run, positions, known.get(run[0], 0))
        for run, positions in zip(info.blocks, info.positions, strict=True)
    }
    for first in clients.values():
        stack = [(first, first.end)]
        while stack:
            blocks, wanted = stack[-1]
            if blocks.clock >= wanted:
                blocks.waits = False
                stack.pop()
                continue
            awaited = None if blocks.parent else _awaited(blocks, clients)
            if awaited is None:
                yield blocks
                blocks.advance()
                continue
            other, clock = awaited
            blocks.waits = True
            if other.waits:
                raise BadUpdate(_CIRCLE)
            stack.append((other, clock + 1))


def _one_client(blocks: Blocks) -> Iterator[Blocks]:
    while blocks.clock < blocks.end:
        for neighbour in (blocks.left, blocks.right):
            if neighbour and neighbour[0] == blocks.client and blocks.reached <= neighbour[1] < blocks.end:
                raise BadUpdate(_CIRCLE)
        yield blocks
        blocks.advance()


def _awaited(blocks: Blocks, clients: Mapping[int, Blocks]) -> tuple[Blocks, int] | None:
    """Return which client's blocks have to come first, and up to which clock."""
    for neighbour in (blocks.left, blocks.right):
        if neighbour is not None:
            other = clients.get(neighbour[0])
            if other is not None and other.reached <= neighbour[1] < other.end:
                return other, neighbour[1]
    return None
