"""The structural check that bytes pass before the engine sees them.

The engine trusts its input: a few hostile bytes corrupt its memory or make it panic. So an update (the yrs v1
encoding) is read here first, and only what this document format uses is let through: the roots and content kinds
of the format, minimal numbers within bounds, lengths that are there, text that is UTF-8, cells that decode.
"""

from __future__ import annotations

from array import array
from typing import Final

from tinysync.crdt.encoding import (
    ANY,
    BINARY,
    BUFFER,
    DELETED,
    HAS_KEY,
    HAS_LEFT,
    HAS_RIGHT,
    INTEGER,
    KIND,
    MAX_CLOCK,
    SIZES,
    STRING,
    UpdateInfo,
)
from tinysync.crdt.engine import LIST_PREFIX, MAP_ROOTS, META
from tinysync.crdt.ids import MAX_CLIENT
from tinysync.crdt.lone import find_lone_write
from tinysync.crdt.numbers import LONG_NUMBERS, LONG_SIZES, keep_long_number
from tinysync.crdt.values import unpack
from tinysync.errors import BadUpdate

_MAX_META: Final = 8
"""How many entries about the document itself an update may write; a seed writes three."""


class _Reader:
    """Reads the numbers and texts of an encoding, with bounds."""

    __slots__ = ("data", "position", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.size = len(data)

    def number(self, limit: int) -> int:
        data, position = self.data, self.position
        value = data[position] if position < self.size else 0x80
        if value < 0x80:
            self.position = position + 1
        elif position + 1 < self.size and 0 < data[position + 1] < 0x80:
            value += (data[position + 1] << 7) - 0x80
            self.position = position + 2
        else:
            for size in LONG_SIZES:
                known = LONG_NUMBERS.get(data[position : position + size])
                if known is not None:
                    value = known
                    self.position = position + size
                    break
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
        begin = self.position
        self.position += shift // 7
        keep_long_number(self.data[begin : self.position], value)
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
    return find_lone_write(update) or check_any_update(update)


def check_any_update(update: bytes) -> UpdateInfo:
    """Do what ``check_update`` does, block by block."""
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
        positions = array("I")
        for _ in range(blocks):
            positions.append(reader.position)
            length = _check_block(reader, info, (client, clock - 1))
            clock += length
            if length < 1 or clock > MAX_CLOCK:
                raise BadUpdate("a block's length is out of bounds")
        positions.append(reader.position)
        info.blocks.append((client, start, clock))
        info.positions.append(positions)
        info.parts += blocks
    info.deletions = reader.position
    for _ in range(reader.number(reader.size)):
        client = reader.number(MAX_CLIENT)
        ranges = reader.number(reader.size)
        info.parts += ranges
        for _ in range(ranges):
            clock = reader.number(MAX_CLOCK)
            length = reader.number(MAX_CLOCK)
            if length < 1 or clock + length > MAX_CLOCK:
                raise BadUpdate("a deleted range is out of bounds")
            info.need(client, clock + length)
    reader.finish()
    return info


def _check_block(reader: _Reader, info: UpdateInfo, before: tuple[int, int]) -> int:
    """Read one block, behind an element of its client; return its length in clocks."""
    head = reader.byte()
    kind = head & KIND
    if kind not in (ANY, BINARY, DELETED):
        raise BadUpdate(f"a block of content kind {kind}, which this format does not use")
    for flag in (HAS_LEFT, HAS_RIGHT):
        if head & flag:
            client, clock = reader.number(MAX_CLIENT), reader.number(MAX_CLOCK)
            info.need(client, clock + 1)
            info.joinable += (client, clock) == before
    meta_key = None
    if not head & (HAS_LEFT | HAS_RIGHT):
        meta_key = _check_parent(reader, info, has_key=bool(head & HAS_KEY))
    content = reader.position
    length = _check_content(reader, info, kind)
    if meta_key is not None and kind != DELETED:
        info.meta.add((meta_key, bytes([kind]) + reader.data[content : reader.position]))
        if len(info.meta) > _MAX_META:
            raise BadUpdate("it writes too much about the document itself")
    return length


def _check_content(reader: _Reader, info: UpdateInfo, kind: int) -> int:
    if kind == DELETED:
        return reader.number(MAX_CLOCK)
    if kind == BINARY:
        unpack(reader.take(reader.number(reader.size)))
        return 1
    count = reader.number(reader.size)
    info.parts += count
    _check_values(reader, count)
    return count


def _check_parent(reader: _Reader, info: UpdateInfo, *, has_key: bool) -> str | None:
    """Read where a block lies; return the key of an entry about the document itself."""
    if reader.number(1) != 1:
        raise BadUpdate("a block inside a nested type, which this format does not use")
    root = reader.text()
    if has_key:
        key = reader.text()
        if root not in MAP_ROOTS:
            raise BadUpdate(f"an entry in {root!r}, which is no map of this format")
        return key if root == META else None
    if not root.startswith(LIST_PREFIX):
        raise BadUpdate(f"an element in {root!r}, which is no list of this format")
    info.lists.add(root[len(LIST_PREFIX) :])
    return None


def _check_values(reader: _Reader, count: int) -> None:
    data, position, size = reader.data, reader.position, reader.size
    for _ in range(count):
        if position >= size:
            raise BadUpdate("it ends too early")
        taken = SIZES.get(data[position])
        if taken is not None:
            position += taken
        else:
            reader.position = position
            _check_long_value(reader)
            position = reader.position
    if position > size:
        raise BadUpdate("it ends too early")
    reader.position = position


def _check_long_value(reader: _Reader) -> None:
    tag = reader.byte()
    if tag == STRING:
        reader.text()
    elif tag == BUFFER:
        unpack(reader.take(reader.number(reader.size)))
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


def count_deleted(update: bytes) -> int:
    """Return how many elements a well-formed update without blocks says are deleted."""
    reader = _Reader(update)
    assert reader.number(reader.size) == 0
    count = 0
    for _ in range(reader.number(reader.size)):
        reader.number(MAX_CLIENT)
        for _ in range(reader.number(reader.size)):
            reader.number(MAX_CLOCK)
            count += reader.number(MAX_CLOCK)
    return count
