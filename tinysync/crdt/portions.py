"""What others send, cut into portions: none keeps the structure busy for long, whatever it is.

What was made in one go stays one, unless it is enormous. The engine joins the neighbouring blocks of a transaction
one by one, and copies them each time: thousands in one update cost it gigabytes. So they are joined here before it
gets them. Nothing else about an update changes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysync.crdt.blocks import in_order
from tinysync.crdt.check import check_update
from tinysync.crdt.encoding import ANY, BUFFER, HAS_LEFT, HAS_RIGHT, SIZES, STRING
from tinysync.crdt.numbers import read_varint, write_varint
from tinysync.errors import BadUpdate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tinysync.crdt.blocks import Blocks
    from tinysync.crdt.encoding import Id, UpdateInfo

MAX_PARTS: Final = 4_000_000
"""How many blocks, values and deleted ranges one update may have. Each takes up to a kilobyte of memory."""
PORTION_PARTS: Final = 5000
"""How many of them a portion has, about: what takes a tenth of a second to apply and show."""
PORTION_BYTES: Final = 1 << 20
TRANSACTION_PARTS: Final = 100_000
"""How many of them what was made in one go may have to stay one portion: about what takes two seconds."""
SMALL_UPDATE: Final = 4096
"""Bytes of an update that cannot do any harm."""
MAX_JOINED: Final = 64
"""How many blocks the engine may join in one transaction."""


def portions(transactions: Iterable[Sequence[bytes]], diff: Sequence[bytes] = ()) -> Iterator[list[bytes]]:
    """Return what comes to the same as some updates, in portions to apply one after another.

    ``transactions`` are the updates that were made in one go each: those of one are in one portion, unless they
    have more than TRANSACTION_PARTS. ``diff`` is what was missed; an update of that with many parts is cut into
    several. Raises BadUpdate if one is too large, or large and not of this format.
    """
    portion: list[bytes] = []
    parts = size = 0
    for pieces, count in _units(transactions, diff):
        length = sum(map(len, pieces))
        if portion and (parts + count > PORTION_PARTS or size + length > PORTION_BYTES):
            yield portion
            portion, parts, size = [], 0, 0
        portion += pieces
        parts += count
        size += length
    if portion:
        yield portion


def parts_of_diff(updates: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Return what comes to the same as the updates of a diff, none larger than about ``size`` bytes, in order.

    Each builds only on those before it, so that what has arrived when a link breaks need not be sent again. They
    are this device's own: as many parts as there may be are cut.
    """
    room = _Room(PORTION_PARTS, size)
    for update in updates:
        if len(update) <= SMALL_UPDATE:
            yield update
            continue
        info = check_update(update)
        if info.parts <= room.parts and len(update) <= size:
            yield update
        else:
            yield from (piece for piece, _ in _cut(update, info, room))


def _units(transactions: Iterable[Sequence[bytes]], diff: Sequence[bytes]) -> Iterator[tuple[list[bytes], int]]:
    """Yield (updates that belong into one portion, parts)."""
    for updates in transactions:
        examined = [_examine(update) for update in updates]
        total = sum(count for _, count in examined)
        if total <= TRANSACTION_PARTS:
            pairs = zip(updates, examined, strict=True)
            yield [piece for update, one in pairs for piece, _ in _pieces(update, *one, _WHOLE)], total
        else:
            yield from _separate(updates)
    yield from _separate(diff)


def _separate(updates: Iterable[bytes]) -> Iterator[tuple[list[bytes], int]]:
    room = _Room(PORTION_PARTS, PORTION_BYTES)
    for update in updates:
        for piece, count in _pieces(update, *_examine(update), room):
            yield [piece], count


def _examine(update: bytes) -> tuple[UpdateInfo | None, int]:
    """Return (what is known about an update, nothing if it is small; how many parts it has)."""
    if len(update) <= SMALL_UPDATE:
        return None, len(update) // 8 + 1
    info = check_update(update)
    if info.parts > MAX_PARTS:
        raise BadUpdate(f"an update of {info.parts} parts; {MAX_PARTS} are taken")
    return info, info.parts


def _pieces(update: bytes, info: UpdateInfo | None, parts: int, room: _Room) -> Iterator[tuple[bytes, int]]:
    """Yield (update, parts)."""
    if info is None or (parts <= room.parts and info.joinable <= MAX_JOINED):
        yield update, parts
    else:
        yield from _cut(update, info, room)


class _Room(NamedTuple):
    """How much fits into a piece."""

    parts: int
    size: int


_WHOLE: Final = _Room(TRANSACTION_PARTS, sys.maxsize)


def _cut(update: bytes, info: UpdateInfo, room: _Room) -> Iterator[tuple[bytes, int]]:
    piece = _Piece(update, room)
    for block in in_order(update, info, {}):
        if block.kind != ANY:
            piece.add(block)
            if piece.is_full:
                yield piece.take()
            continue
        count, position = read_varint(update, block.content)
        done = 0
        while done < count:
            taken = min(count - done, max(1, room.parts - piece.parts))
            behind = _behind_values(update, position, taken)
            piece.add_values(block, done, taken, update[position:behind])
            done, position = done + taken, behind
            if piece.is_full:
                yield piece.take()
    if piece.parts:
        yield piece.take()
    yield from _cut_deletions(update, info.deletions, room)


class _Piece:
    """An update in the making."""

    def __init__(self, update: bytes, room: _Room) -> None:
        self._update = update
        self._room = room
        self._begin()

    def _begin(self) -> None:
        self.parts = 0
        self._size = 0
        self._clients: dict[int, tuple[int, list[bytes]]] = {}
        """The first clock and the encoded blocks of each client."""
        self._open: tuple[Id, Id | None] | None = None
        """The last element of a block to which more values may come, and what that block is in front of."""
        self._head = b""
        self._values: list[bytes] = []
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether it is large enough."""
        return self.parts >= self._room.parts or self._size >= self._room.size

    def add(self, block: Blocks) -> None:
        """Add a block as it is."""
        self._close()
        self._append(block.client, block.clock, self._update[block.start : block.stop])
        self.parts += 1

    def add_values(self, block: Blocks, first: int, count: int, values: bytes) -> None:
        """Add some of the values of a block."""
        client, clock = block.client, block.clock + first
        left = (client, clock - 1) if first else block.left
        if self._open is None or self._open != (left, block.right) or left != (client, clock - 1):
            self._close()
            self._head = _neighbours(block, left) if first else self._update[block.start : block.content]
            self._append(client, clock, b"")
            self.parts += 1
        self._open = ((client, clock + count - 1), block.right)
        self._values.append(values)
        self._count += count
        self._size += len(values)
        self.parts += count

    def _append(self, client: int, clock: int, encoded: bytes) -> None:
        self._clients.setdefault(client, (clock, []))[1].append(encoded)
        self._size += len(encoded)

    def _close(self) -> None:
        """Put down the block with the values that were added last."""
        if self._open is not None:
            _, blocks = self._clients[self._open[0][0]]
            blocks[-1] = b"".join((self._head, write_varint(self._count), *self._values))
        self._open, self._values, self._count = None, [], 0

    def take(self) -> tuple[bytes, int]:
        """Return the update and its parts, and begin another."""
        self._close()
        sections = [
            write_varint(len(blocks)) + write_varint(client) + write_varint(clock) + b"".join(blocks)
            for client, (clock, blocks) in self._clients.items()
        ]
        taken = write_varint(len(sections)) + b"".join(sections) + b"\x00", self.parts
        self._begin()
        return taken


def _neighbours(block: Blocks, left: Id | None) -> bytes:
    """Return the beginning of a block of values that goes on behind others."""
    head = ANY | HAS_LEFT | (HAS_RIGHT if block.right else 0)
    places = (number for place in (left, block.right) if place for number in place)
    return bytes([head]) + b"".join(map(write_varint, places))


def _behind_values(update: bytes, position: int, count: int) -> int:
    for _ in range(count):
        tag = update[position]
        size = SIZES.get(tag)
        if size is not None:
            position += size
        elif tag in (STRING, BUFFER):
            length, position = read_varint(update, position + 1)
            position += length
        else:
            position += 1
            while update[position] & 0x80:
                position += 1
            position += 1
    return position


def _cut_deletions(update: bytes, position: int, room: _Room) -> Iterator[tuple[bytes, int]]:
    clients, position = read_varint(update, position)
    section: dict[int, list[bytes]] = {}
    parts = 0
    for _ in range(clients):
        client, position = read_varint(update, position)
        ranges, position = read_varint(update, position)
        for _ in range(ranges):
            start = position
            _, position = read_varint(update, position)
            _, position = read_varint(update, position)
            section.setdefault(client, []).append(update[start:position])
            parts += 1
            if parts >= room.parts:
                yield _deletions(section), parts
                section, parts = {}, 0
    if parts:
        yield _deletions(section), parts


def _deletions(section: dict[int, list[bytes]]) -> bytes:
    clients = [write_varint(c) + write_varint(len(ranges)) + b"".join(ranges) for c, ranges in section.items()]
    return b"\x00" + write_varint(len(section)) + b"".join(clients)
