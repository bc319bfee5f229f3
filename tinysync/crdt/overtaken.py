"""Which writes of this device others overtook without knowing of them, and the other way round.

An entry (of a dict, of a set, of what was assigned to list elements) is written as a block whose *left* neighbour
is the write that its author saw there: so it is known for each write what it was made upon, for good, in
snapshots, too, and whatever clocks say. Where a write arrives, and what it is made upon is not the one that shows
here, its author did not know the latter: the two were made at once, and the engine lets that of the higher client
win. (YATA, Nicolaescu et al. 2016, as in Yjs and yrs.) What the engine deletes while it takes in a batch says
which ones lost: only these are looked at.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.encoding import BIG_INT as BIG_INTEGER
from tinysync.crdt.encoding import (
    BINARY,
    DELETED,
    FALSE,
    FLOAT32,
    FLOAT64,
    INTEGER,
    NULL,
    STRING,
    TRUE,
    lone_write,
)
from tinysync.crdt.numbers import read_varint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tinysync.crdt.encoding import Id, Name, UpdateInfo
    from tinysync.crdt.engine import Applied, Engine
    from tinysync.crdt.parents import Parents, SeenEntry

ROOTS: Final = ("c", "o")
"""The roots with what somebody chose: defaults are nobody's write."""

MANY_DELETIONS: Final = 1_000
"""A piece of a diff with so many deletions may have been cut from others."""


@dataclass(slots=True)
class Overtaken:
    """What a batch of updates came to for writes that were made at once."""

    lost: dict[Name, Id] = field(default_factory=dict)
    """The writes of this device that others replaced without knowing of them."""
    won: list[tuple[Name, Id, Any]] = field(default_factory=list)
    """The writes of others, with their cells, that did not replace one of this device, which they did not know."""
    seen: list[SeenEntry] = field(default_factory=list)
    """All entries that the batch wrote."""
    updates: dict[bytes, UpdateInfo] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all deletions that belong together are in it: where a diff is cut, these come last."""
        return all(
            update[info.deletions] if info.blocks else info.parts < MANY_DELETIONS
            for update, info in self.updates.items()
        )


class Writes:
    """What is asked about the writes of one document; ``own`` are the client ids that this device wrote under."""

    def __init__(self, own: Collection[int], parents: Parents, engine: Engine) -> None:
        self._own = own
        self._parents = parents
        self._engine = engine

    def overtaken(self, seen: list[SeenEntry], updates: dict[bytes, UpdateInfo], applied: Applied) -> Overtaken:
        """Return what a batch of updates, of which the entries were ``seen``, came to."""
        lone = lone_write(updates)
        if lone is not None and lone.is_aware:
            return Overtaken(seen=seen, updates=updates)
        deleted = Deleted(applied.deleted)
        own_gone = {} if not deleted else dict(self._own_gone(deleted))
        others = [one for one in seen if one.client not in self._own]
        others_gone = [one for one in others if one.kind != DELETED and (one.client, one.clock) in deleted]
        result = Overtaken(seen=seen, updates=updates)
        if not own_gone and not others_gone:
            return result
        foreign = {one.place for one in others}
        built_upon = {one.left for one in seen}
        lost = {place: write for place, write in own_gone.items() if write not in built_upon and place in foreign}
        candidates = [one for one in others_gone if (one.client, one.clock) not in built_upon]
        if lost:
            for name in ((root, key) for root in ROOTS for key in applied.cells[root]):
                write = lost.get(self.place(name))
                if write is not None:
                    result.lost[name] = write
        if candidates:
            ours = self.shown_writes({one.place for one in candidates})
            candidates = [one for one in candidates if one.place in ours]
            names = self._find_names({one.place for one in candidates})
            for one in candidates:
                if one.place in names:
                    result.won.append((names[one.place], (one.client, one.clock), _cell(one)))
        return result

    def foreign(self, seen: Iterable[SeenEntry]) -> set[int]:
        """Return the places where others wrote."""
        return {one.place for one in seen if one.client not in self._own}

    def unaware(self, name: Name, overtaken: Overtaken) -> Id | None:
        """Return the write of another device, of an entry that was not there, that replaces it where it wrote.

        Who writes over an entry that is there, deletes it. Where an update does not, its author knew that the
        entry was deleted already. (A diff holds all deletions, and says nothing of that.)
        """
        place = self.place(name)
        for one in overtaken.seen:
            if one.place == place and one.client not in self._own and one.left is not None:
                deletions = Deleted([one.update[overtaken.updates[one.update].deletions :]])
                if one.left in deletions:
                    return one.client, one.clock
        return None

    def _own_gone(self, deleted: Deleted) -> Iterator[tuple[int, Id]]:
        for client, clock, end in deleted.ranges():
            if client in self._own:
                for place, last in self._parents.entries(client, clock, end):
                    yield place, (client, last)

    def place(self, name: Name) -> int:
        """Return what stands for the place of an entry."""
        return self._parents.entry_place(*name)

    def shown_writes(self, places: Collection[int]) -> dict[int, Id]:
        """Return the writes of this device that are not overwritten, or deleted, of those at some places."""
        written = list(self._parents.last_written(self._own, places)) if places else []
        if not written:
            return {}
        gone = self._all_deleted()
        return {place: write for place, write in written if write not in gone}

    def alive(self, writes: Iterable[Id]) -> bool:
        """Tell whether one of some writes is neither overwritten nor deleted."""
        gone = self._all_deleted()
        return any(write not in gone for write in writes)

    def _all_deleted(self) -> Deleted:
        update = self._engine.diff(self._engine.state_vector())
        return Deleted([update[1:]])  # there are no blocks in front

    def _find_names(self, places: set[int]) -> dict[int, Name]:
        known = self._parents.names
        found = {place: known[place] for place in places if place in known}
        missing = places - found.keys()
        if missing:
            # To find one means to look at all.
            new: dict[int, Name] = {}
            with self._engine.reading():
                for root in ROOTS:
                    for key in self._engine.keys(root):
                        place = self.place((root, key))
                        if place in missing:
                            new[place] = (root, key)
            self._parents.note_names(new)
            found |= new
        return {place: name for place, name in found.items() if name[0] in ROOTS}


class Deleted:
    """Deleted ranges, as the engine encodes them."""

    def __init__(self, encoded: Iterable[bytes]) -> None:
        self._ranges: dict[int, list[tuple[int, int]]] = {}
        for data in encoded:
            if len(data) > 1:
                self._read(data)
        for ranges in self._ranges.values():
            ranges.sort()

    def _read(self, data: bytes) -> None:
        clients, position = read_varint(data, 0)
        for _ in range(clients):
            client, position = read_varint(data, position)
            count, position = read_varint(data, position)
            ranges = self._ranges.setdefault(client, [])
            for _ in range(count):
                clock, position = read_varint(data, position)
                length, position = read_varint(data, position)
                ranges.append((clock, clock + length))

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __contains__(self, write: Id) -> bool:
        client, clock = write
        ranges = self._ranges.get(client)
        if ranges is None:
            return False
        index = bisect_right(ranges, (clock, 1 << 62)) - 1
        return index >= 0 and ranges[index][0] <= clock < ranges[index][1]

    def ranges(self) -> Iterator[tuple[int, int, int]]:
        """Return (client, first clock, clock behind the last) of each."""
        for client, ranges in self._ranges.items():
            for begin, end in ranges:
                yield client, begin, end


def _cell(entry: SeenEntry) -> Any:
    """Return the raw cell that a block of an entry writes: the last of its values."""
    data, position = entry.update, entry.content
    if entry.kind == BINARY:
        length, position = read_varint(data, position)
        return data[position : position + length]
    count, position = read_varint(data, position)
    value = None
    for _ in range(count):
        value, position = _read_value(data, position)
    return value


_CONSTANTS: Final = {NULL: None, TRUE: True, FALSE: False}
_NUMBERS: Final = {FLOAT32: struct.Struct(">f"), FLOAT64: struct.Struct(">d"), BIG_INTEGER: struct.Struct(">q")}


def _read_value(data: bytes, position: int) -> tuple[Any, int]:
    """Read a checked value (lib0's "any" encoding); return it, and the position behind it."""
    tag = data[position]
    position += 1
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], position
    if tag in _NUMBERS:
        number = _NUMBERS[tag]
        return number.unpack_from(data, position)[0], position + number.size
    if tag == INTEGER:
        return _read_signed(data, position)
    length, position = read_varint(data, position)
    content = data[position : position + length]
    return content.decode() if tag == STRING else content, position + length


def _read_signed(data: bytes, position: int) -> tuple[int, int]:
    """Read a signed number: a sign and six bits, then seven bits a byte."""
    byte = data[position]
    position += 1
    value, shift, sign = byte & 0x3F, 6, -1 if byte & 0x40 else 1
    while byte & 0x80:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return sign * value, position
