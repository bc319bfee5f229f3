"""What a batch of updates did to lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinysync.crdt.sequence import holds_at, parse_override_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.crdt.clashes import Clashes
    from tinysync.crdt.document import Document
    from tinysync.crdt.engine import Applied, Delta, Engine
    from tinysync.crdt.sequence import Sequence, Slot


@dataclass(slots=True)
class ListChange:
    """What happened to one live list."""

    before: list[Slot] | None = None
    """How the elements showed, if anything was or is moved in the list; else ``steps`` say it all."""
    steps: list[tuple[int, int, list[Slot]]] = field(default_factory=list)
    """(index, elements deleted there, slots inserted there)."""
    assigned: set[tuple[int, int]] = field(default_factory=set)
    arrived: list[Slot] = field(default_factory=list)
    """The ats that were inserted."""


def follow_lists(
    document: Document, applied: Applied, clashes: Clashes | None, engine: Callable[[], Engine]
) -> dict[str, ListChange]:
    """Bring the mirrors of all lists up to date; return what happened to those that show.

    ``engine`` gives the engine, in a transaction for reads.
    """
    changes: dict[str, ListChange] = {}
    moved = {list_id for list_id, delta in applied.deltas if holds_at(delta)}
    for list_id, delta in applied.deltas:
        sequence = document.sequence(list_id)
        if list_id not in changes:
            change = changes[list_id] = ListChange()
            # Of elements that go, it matters who assigned to them.
            if sequence.ats or list_id in moved or (sequence.overrides and clashes and _deletes(delta)):
                change.before = sequence.anchors(engine())
        steps = _steps(sequence, delta)
        changes[list_id].steps += steps
        changes[list_id].arrived += [slot for _, _, new in steps for slot in new if slot.at]
        document.moves.note(sequence)
        document.moves.touched(list_id)
    for key, cell in applied.cells["o"].items():
        place = parse_override_key(key)
        if place is not None:
            document.sequence(place[0]).apply_override(place[1], cell)
            document.moves.touched(place[0])
            changes.setdefault(place[0], ListChange()).assigned.add(place[1])
    return {list_id: change for list_id, change in changes.items() if list_id in document.nodes}


def _deletes(delta: Delta) -> bool:
    return any("delete" in step for step in delta)


def _steps(sequence: Sequence, delta: Delta) -> list[tuple[int, int, list[Slot]]]:
    """Apply a delta to a sequence and return it as steps with the new slots."""
    sequence.apply_delta(delta)
    steps: list[tuple[int, int, list[Slot]]] = []
    index = 0
    for step in delta:
        if "retain" in step:
            index += step["retain"]
        elif "delete" in step:
            steps.append((index, step["delete"], []))
        else:
            count = len(step["insert"])
            steps.append((index, 0, sequence.slots[index : index + count]))
            index += count
    return steps
