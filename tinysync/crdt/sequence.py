"""A list node in the document: anchors, overrides and ats, and what of them shows.

An array element is an *anchor* (a value or a reference, identified by the client and clock of its block) or an
*at* (an identity and a stamp: the element with that identity shows here, if this is its highest stamp). What was
assigned to an element stands in the ``o`` root under its identity. A list that nobody moved anything in has no
ats, and its indices are the array's. Identities are asked of the engine only where they are needed.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from tinysync.crdt.ids import MAX_CLIENT
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.values import SCALAR_TYPES, At, Reference, decode, encode_at
from tinysync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.crdt.engine import Delta, Engine

Identity = tuple[int, int]


class Slot:
    """One element of the array: an anchor (``at`` is None) with its decoded value, or an at."""

    __slots__ = ("at", "identity", "raw")

    def __init__(self, raw: Any, at: At | None = None) -> None:
        self.raw = raw
        self.at = at
        self.identity: Identity | None = None


def slot_of(cell: Any) -> Slot:
    """Return the slot that a raw array element makes."""
    value = decode(cell)
    if isinstance(value, At):
        return Slot(None, value)
    return Slot(value if type(value) in SCALAR_TYPES or isinstance(value, Reference) else None)


def holds_at(delta: Delta) -> bool:
    """Tell whether a change of an array moves elements."""
    cells = (cell for step in delta for cell in step.get("insert", ()) if isinstance(cell, (bytes, bytearray)))
    return any(isinstance(decode(cell), At) for cell in cells)


def override_key(list_id: str, identity: Identity) -> str:
    """Return where in ``o`` the value that was assigned to an element stands."""
    return f"{list_id}/{identity[0]}:{identity[1]}"


def parse_override_key(key: str) -> tuple[str, Identity] | None:
    """Return the list and the identity of a key in ``o``, or None if it is none of this format."""
    list_id, _, place = key.partition("/")
    client, _, clock = place.partition(":")
    if not (client.isdecimal() and clock.isdecimal() and client.isascii() and clock.isascii()):
        return None
    if len(client) > 16 or len(clock) > 10 or int(client) > MAX_CLIENT:
        return None
    return list_id, (int(client), int(clock))


class Sequence:
    """The slots and overrides of one list, shown or hidden, mirrored from the engine."""

    __slots__ = ("_shown", "ats", "list_id", "overrides", "slots")

    def __init__(self, list_id: str) -> None:
        self.list_id = list_id
        self.slots: list[Slot] = []
        self.overrides: dict[Identity, Any] = {}
        self.ats = 0
        self._shown: list[tuple[int, Slot]] | None = None

    # --- what shows ----------------------------------------------------------------------------------------

    def identify(self, engine: Engine) -> None:
        """Ask the engine for the identities that are not known yet."""
        for index, slot in enumerate(self.slots):
            if slot.identity is None and slot.at is None:
                slot.identity = engine.identity(self.list_id, index)

    def shown(self, engine: Engine) -> list[tuple[int, Slot]]:
        """Return (array position, anchor) of each element, in the order in which the elements show."""
        if self._shown is not None:
            return self._shown
        if not self.ats:
            self._shown = list(enumerate(self.slots))
            return self._shown
        self.identify(engine)
        best: dict[Identity, tuple[Identity, int]] = {}
        anchors: dict[Identity, Slot] = {}
        for index, slot in enumerate(self.slots):
            if slot.at is not None:
                candidate = (slot.at.stamp, index)
                if slot.at.identity not in best or best[slot.at.identity] < candidate:
                    best[slot.at.identity] = candidate
            elif slot.identity is not None:
                anchors[slot.identity] = slot
        shown: list[tuple[int, Slot]] = []
        for index, slot in enumerate(self.slots):
            if slot.at is not None:
                if best[slot.at.identity][1] == index and slot.at.identity in anchors:
                    shown.append((index, anchors[slot.at.identity]))
            elif slot.identity not in best:
                shown.append((index, slot))
        self._shown = shown
        return shown

    def anchors(self, engine: Engine) -> list[Slot]:
        """Return the anchors in the order in which they show."""
        return [slot for _, slot in self.shown(engine)] if self.ats else list(self.slots)

    def value(self, slot: Slot, engine: Engine) -> Any:
        """Return what an element shows: the value assigned to it, else the one it was inserted with."""
        if self.overrides:
            if slot.identity is None:
                self.identify(engine)
            return self.overrides.get(slot.identity, slot.raw)  # type: ignore[arg-type]
        return slot.raw

    def orphans(self, engine: Engine) -> tuple[list[Slot], list[Identity]]:
        """Return the ats and overrides whose anchor is not there."""
        self.identify(engine)
        present = {slot.identity for slot in self.slots if slot.at is None}
        ats = [slot for slot in self.slots if slot.at is not None and slot.at.identity not in present]
        return ats, [identity for identity in self.overrides if identity not in present]

    def keep_slots(self, engine: Engine, slots: list[Slot]) -> None:
        """Let the elements, in the order in which they show, have the slots that they had before."""
        kept: dict[int, Slot] = {}
        anchors = self.anchors(engine)
        if len(anchors) != len(slots):
            return
        for new, slot in zip(anchors, slots, strict=True):
            slot.raw, slot.identity = new.raw, new.identity
            kept[id(new)] = slot
        self.slots = [kept.get(id(slot), slot) for slot in self.slots]
        self._shown = None

    # --- changes from the engine ---------------------------------------------------------------------------

    def apply_delta(self, delta: Delta) -> None:
        """Follow a change of the array."""
        index = 0
        for step in delta:
            if "retain" in step:
                index += step["retain"]
            elif "delete" in step:
                gone = self.slots[index : index + step["delete"]]
                self.ats -= sum(slot.at is not None for slot in gone)
                del self.slots[index : index + step["delete"]]
            else:
                fresh = [slot_of(cell) for cell in step["insert"]]
                self.ats += sum(slot.at is not None for slot in fresh)
                self.slots[index:index] = fresh
                index += len(fresh)
        self._shown = None

    def fill(self, slots: list[Slot]) -> None:
        """Take over the slots of a list that was mirrored before."""
        self.slots = slots
        self.ats = sum(slot.at is not None for slot in slots)

    def apply_override(self, identity: Identity, cell: Any) -> None:
        """Follow a change of an assigned value."""
        if cell is ABSENT:
            self.overrides.pop(identity, None)
        else:
            self.overrides[identity] = slot_of(cell).raw

    # --- local changes -------------------------------------------------------------------------------------

    def _check(self, engine: Engine, count: int) -> None:
        """Raise UsageError unless there are at least so many elements."""
        if count > (len(self.shown(engine)) if self.ats else len(self.slots)):
            raise UsageError(
                "a list was changed past its methods, by heapq or bisect.insort for example, which no subclass of "
                "list can see: it is set back to what was recorded; change a plain list and assign that",
            )

    def beside(self, engine: Engine, index: int, count: int) -> tuple[Slot | None, Slot | None]:
        """Return the elements before and behind ``count`` elements at an index."""
        self._check(engine, index + count)
        slots = [slot for _, slot in self.shown(engine)] if self.ats else self.slots
        behind = index + count
        return slots[index - 1] if index else None, slots[behind] if behind < len(slots) else None

    def insert(
        self, engine: Engine, index: int, items: list[tuple[Any, Any]], slots: list[Slot] | None = None
    ) -> list[Slot]:
        """Insert (value, cell) pairs before the element at an index; return the new slots.

        ``slots``: those of elements that were deleted and come back; they stand for the new ones from now on.
        """
        self._check(engine, index)
        position = self._position(engine, index)
        fresh = slots or [Slot(None) for _ in items]
        for offset, ((raw, cell), slot) in enumerate(zip(items, fresh, strict=True)):
            engine.insert(self.list_id, position + offset, cell)
            slot.raw = raw
            slot.identity = None
        self.slots[position:position] = fresh
        self._shown = None
        return fresh

    def _position(self, engine: Engine, index: int) -> int:
        if not self.ats:
            return index
        shown = self.shown(engine)
        return shown[index][0] if index < len(shown) else len(self.slots)

    def delete(self, engine: Engine, index: int, count: int) -> list[Slot]:
        """Delete elements for good: their anchors, their ats and what was assigned to them; return their slots."""
        self._check(engine, index + count)
        if not self.ats and not self.overrides:
            gone = self.slots[index : index + count]
            engine.delete(self.list_id, index, count)
            del self.slots[index : index + count]
        else:
            self.identify(engine)
            gone = [slot for _, slot in self.shown(engine)[index : index + count]]
            doomed = {slot.identity for slot in gone}
            self._rebuild(engine, drop=lambda slot: (slot.at.identity if slot.at else slot.identity) in doomed)
            for identity in doomed:
                if identity is not None and self.overrides.pop(identity, ABSENT) is not ABSENT:
                    engine.remove("o", override_key(self.list_id, identity))
        self._shown = None
        return gone

    def assign(self, engine: Engine, index: int, raw: Any, cell: Any) -> Slot:
        """Give the element at an index a value; it stays the element it is. Return its slot."""
        self._check(engine, index + 1)
        position, slot = (index, self.slots[index]) if not self.ats else self.shown(engine)[index]
        if slot.identity is None:
            slot.identity = engine.identity(self.list_id, position)
        self.overrides[slot.identity] = raw
        engine.put("o", override_key(self.list_id, slot.identity), cell)
        return slot

    def reorder(self, engine: Engine, order: list[int], next_stamp: Callable[[], Identity]) -> list[int]:
        """Permute the elements (new[i] is old[order[i]]) by moving as few of them as possible.

        Return the old indices of these.
        """
        self._check(engine, len(order))
        self.identify(engine)
        shown = self.shown(engine)
        staying = longest_increasing(order)
        behind: dict[int, list[Slot]] = {}
        sources: list[int] = []
        moved: set[Identity | None] = set()
        last = -1
        for index, source in enumerate(order):
            position, slot = shown[source]
            if index in staying:
                last = position
                continue
            moved.add(slot.identity)
            sources.append(source)
            assert slot.identity is not None
            behind.setdefault(last, []).append(Slot(None, At(slot.identity, next_stamp())))
        self._rebuild(engine, drop=lambda slot: slot.at is not None and slot.at.identity in moved, behind=behind)
        self._shown = None
        return sources

    def sweep(self, engine: Engine, ats: list[Slot], overrides: list[Identity]) -> None:
        """Delete ats and overrides whose anchor was deleted."""
        doomed = set(map(id, ats))
        if doomed:
            self._rebuild(engine, drop=lambda slot: id(slot) in doomed)
        for identity in overrides:
            del self.overrides[identity]
            engine.remove("o", override_key(self.list_id, identity))
        self._shown = None

    def clear(self, engine: Engine) -> None:
        """Delete everything."""
        if self.slots:
            engine.delete(self.list_id, 0, len(self.slots))
        for identity in self.overrides:
            engine.remove("o", override_key(self.list_id, identity))
        self.slots, self.overrides, self.ats, self._shown = [], {}, 0, None

    def _rebuild(
        self,
        engine: Engine,
        drop: Callable[[Slot], bool],
        behind: dict[int, list[Slot]] | None = None,
    ) -> None:
        """Walk the array once, deleting slots and inserting ats behind positions (-1: at the start)."""
        slots: list[Slot] = []
        behind = behind or {}
        dropped = 0
        for position in range(-1, len(self.slots)):
            if position >= 0:
                slot = self.slots[position]
                if drop(slot):
                    dropped += 1
                else:
                    if dropped:
                        # In one go: the engine takes as long to find one element as to find many.
                        engine.delete(self.list_id, len(slots), dropped)
                        dropped = 0
                    slots.append(slot)
            for fresh in behind.get(position, ()):
                assert fresh.at is not None
                engine.insert(self.list_id, len(slots), encode_at(fresh.at))
                slots.append(fresh)
        if dropped:
            engine.delete(self.list_id, len(slots), dropped)
        self.slots = slots
        self.ats = sum(slot.at is not None for slot in slots)


def longest_increasing(numbers: list[int]) -> set[int]:
    """Return the indices of one longest increasing subsequence (patience sorting)."""
    tails: list[int] = []
    tail_values: list[int] = []
    before: list[int] = []
    for index, number in enumerate(numbers):
        place = bisect_left(tail_values, number)
        before.append(tails[place - 1] if place else -1)
        if place == len(tails):
            tails.append(index)
            tail_values.append(number)
        else:
            tails[place] = index
            tail_values[place] = number
    chosen: set[int] = set()
    index = tails[-1] if tails else -1
    while index >= 0:
        chosen.add(index)
        index = before[index]
    return chosen
