"""The structural check that bytes pass before the engine sees them.

The engine trusts its input: a few hostile bytes corrupt its memory or make it panic. So an update (the yrs v1
encoding) is read here first, and only what this document format uses is let through: the roots and content kinds
of the format, minimal numbers within bounds, lengths that are there, text that is UTF-8, cells that decode.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tinysync.crdt.engine import LIST_PREFIX, MAP_ROOTS
from tinysync.crdt.ids import MAX_CLIENT
from tinysync.crdt.values import unpack
from tinysync.errors import BadUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CLOCK: Final = 2**31 - 1

GC, DELETED, BINARY, ANY, SKIP = 0, 1, 3, 8, 10
"""The content kinds of the format: no nested types, no text formats, no sub-documents, no moves."""

UNDEFINED, NULL, BIG_INT, FLOAT32, FLOAT64, FALSE, TRUE, STRING, BUFFER = (
    127,
    126,
    122,
    124,
    123,
    121,
    120,
    119,
    116,
)
INTEGER = 125


@dataclass(slots=True)
class UpdateInfo:
    """What an update holds and what it refers to."""

    blocks: list[tuple[int, int, int]] = field(default_factory=list)
    """(client, first clock, clock behind the last) for each run of blocks."""
    needs: dict[int, int] = field(default_factory=dict)
    """The clock that each client's blocks must have reached for the origins and deletions to make sense."""
    lists: set[str] = field(default_factory=set)
    """The lists that the update begins."""

    def is_ready(self, clocks: Mapping[int, int]) -> bool:
        """Tell whether a document with these clocks has all that the update refers to."""
        reached: dict[int, int] = {}
        for client, start, end in self.blocks:
            clock = reached.get(client, clocks.get(client, 0))
            if start > clock:
                return False
            reached[client] = max(clock, end)
        return all(reached.get(client, clocks.get(client, 0)) >= need for client, need in self.needs.items())

    def need(self, client: int, clock: int) -> None:
        """Note that the blocks of a client must have reached a clock."""
        if clock > self.needs.get(client, 0):
            self.needs[client] = clock


class _Reader:
    """Reads the numbers and texts of an encoding, with bounds."""

    __slots__ = ("data", "position", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.size = len(data)

    def number(self, limit: int) -> int:
        position = self.position
        value = self.data[position] if position < self.size else 0x80
        if value < 0x80:
            self.position = position + 1
        else:
            value = self._long_number()
        if value > limit:
            raise BadUpdate(f"the number {value} is over {limit}")
        return value

    def _long_number(self) -> int:
        value = shift = 0
        for byte in self.data[self.position : self.position + 9]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            raise BadUpdate("a number runs out of bounds")
        if not byte:
            raise BadUpdate("a number is not in its shortest form")
        self.position += shift // 7
        return value

    def take(self, count: int) -> bytes:
        start = self.position
        end = start + count
        if end > self.size:
            raise BadUpdate("it ends too early")
        self.position = end
        return self.data[start:end]

    def byte(self) -> int:
        if self.position >= self.size:
            raise BadUpdate("it ends too early")
        self.position += 1
        return self.data[self.position - 1]

    def text(self) -> str:
        try:
            return self.take(self.number(self.size)).decode()
        except UnicodeDecodeError as error:
            raise BadUpdate(f"a text is not UTF-8: {error}") from None

    def finish(self) -> None:
        if self.position != self.size:
            raise BadUpdate("there are bytes behind its end")


def check_update(update: bytes) -> UpdateInfo:
    """Return what an update holds; raises BadUpdate unless it is a well-formed update of this document format."""
    reader = _Reader(update)
    info = UpdateInfo()
    seen: set[int] = set()
    for _ in range(reader.number(reader.size)):
        blocks = reader.number(reader.size)
        client = reader.number(MAX_CLIENT)
        clock = start = reader.number(MAX_CLOCK)
        if not blocks or client in seen:
            raise BadUpdate("a client's blocks are empty or come twice")
        seen.add(client)
        run_start = start
        for _ in range(blocks):
            kind, length = _check_block(reader, info)
            if length < 1 or clock + length > MAX_CLOCK:
                raise BadUpdate("a block's length is out of bounds")
            if kind == SKIP:
                if clock > run_start:
                    info.blocks.append((client, run_start, clock))
                run_start = clock + length
            clock += length
        if clock > run_start:
            info.blocks.append((client, run_start, clock))
    for _ in range(reader.number(reader.size)):
        client = reader.number(MAX_CLIENT)
        for _ in range(reader.number(reader.size)):
            clock = reader.number(MAX_CLOCK)
            length = reader.number(MAX_CLOCK)
            if length < 1 or clock + length > MAX_CLOCK:
                raise BadUpdate("a deleted range is out of bounds")
            info.need(client, clock + length)
    reader.finish()
    return info


def _check_block(reader: _Reader, info: UpdateInfo) -> tuple[int, int]:
    """Read one block; return its content kind and its length in clocks."""
    head = reader.byte()
    if head in (GC, SKIP):
        return head, reader.number(MAX_CLOCK)
    kind = head & 0x1F
    for flag in (0x80, 0x40):
        if head & flag:
            client = reader.number(MAX_CLIENT)
            info.need(client, reader.number(MAX_CLOCK) + 1)
    if not head & 0xC0:
        _check_parent(reader, info, has_key=bool(head & 0x20))
    if kind == ANY:
        count = reader.number(reader.size)
        for _ in range(count):
            _check_any(reader)
        return kind, count
    if kind == BINARY:
        unpack(reader.take(reader.number(reader.size)))
        return kind, 1
    if kind == DELETED:
        return kind, reader.number(MAX_CLOCK)
    raise BadUpdate(f"a block of content kind {kind}, which this format does not use")


def _check_parent(reader: _Reader, info: UpdateInfo, *, has_key: bool) -> None:
    if reader.number(1) != 1:
        raise BadUpdate("a block inside a nested type, which this format does not use")
    root = reader.text()
    if has_key:
        reader.text()
        if root not in MAP_ROOTS:
            raise BadUpdate(f"an entry in {root!r}, which is no map of this format")
    elif root.startswith(LIST_PREFIX):
        info.lists.add(root[len(LIST_PREFIX) :])
    else:
        raise BadUpdate(f"an element in {root!r}, which is no list of this format")


def _check_any(reader: _Reader) -> None:
    tag = reader.byte()
    if tag in (NULL, TRUE, FALSE):
        return
    if tag == STRING:
        reader.text()
    elif tag == BUFFER:
        unpack(reader.take(reader.number(reader.size)))
    elif tag == FLOAT32:
        reader.take(4)
    elif tag in (FLOAT64, BIG_INT):
        reader.take(8)
    elif tag == INTEGER:
        # Only Yjs clients write it: a sign and 6 bits, then 7 bits a byte.
        for _ in range(9):
            if reader.byte() < 0x80:
                return
        raise BadUpdate("a number runs out of bounds")
    else:
        raise BadUpdate(f"a value of type tag {tag}, which this format does not use")


def check_state_vector(state_vector: bytes) -> dict[int, int]:
    """Return the clocks by client of an encoded state vector; raises BadUpdate unless it is well-formed."""
    reader = _Reader(state_vector)
    clocks: dict[int, int] = {}
    for _ in range(reader.number(reader.size)):
        client = reader.number(MAX_CLIENT)
        if client in clocks:
            raise BadUpdate("a state vector with a client twice")
        clocks[client] = reader.number(MAX_CLOCK)
    reader.finish()
    return clocks
