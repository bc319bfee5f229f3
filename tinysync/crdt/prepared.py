"""What opening works out from a compacted state, written down, so that it need not be worked out each time.

It is a function of the state and says nothing new: the containers that show, the mirrors of lists, what does not
show, and where every block lies. Who reads it back must know that it was made here, of just that state: then the
state needs no check either, because only what was checked gets into a document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack

from tinysync.crdt.entries import in_order
from tinysync.crdt.keys import key_text
from tinysync.crdt.node import Node, node_of
from tinysync.crdt.parents import Places
from tinysync.crdt.sequence import Sequence, Slot
from tinysync.crdt.values import (
    KINDS,
    At,
    Reference,
    from_ext,
    packable,
    packable_at,
    packable_reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tinysync.model import Kind

FORMAT: Final = 1
"""To be raised whenever what is written here changes: others are not read."""

_AS_IT_IS: Final = frozenset({type(None), bool, float, bytes})


class Prepared(NamedTuple):
    """What is written down; ``rows`` are containers, those around others first."""

    highest_session: int
    places: Places
    rows: list[list[Any]]
    """(index of the row of the parent, key or index there, id, kind, nonce, seeded, absent texts, content)."""
    hidden: dict[str, list[str]]
    lists: dict[str, list[Any]]
    """The slots of each list."""
    overrides: dict[str, list[list[Any]]]
    """(client, clock, value) for each list of which elements were assigned to."""

    def pack(self) -> bytes:
        """Return it as bytes."""
        packed: bytes = msgpack.packb([FORMAT, *self], use_bin_type=True)
        return packed

    def sequences(self) -> dict[str, Sequence]:
        """Return the mirrors of all lists."""
        found: dict[str, Sequence] = {}
        for list_id, slots in self.lists.items():
            sequence = found[list_id] = Sequence(list_id)
            sequence.fill([Slot(None, raw) if isinstance(raw, At) else Slot(raw) for raw in slots])
        for list_id, assigned in self.overrides.items():
            for client, clock, value in assigned:
                found[list_id].overrides[client, clock] = value
        return found

    def build(
        self, root: Node, sequences: dict[str, Sequence], make: Callable[[Kind, Node], Any]
    ) -> dict[str, Node]:
        """Build the containers that show below a root without content; return all nodes by their ids."""
        nodes: list[Node] = []
        found: dict[str, Node] = {}
        for parent_index, step, identifier, kind_index, nonce, seeded, absent, content in self.rows:
            kind = KINDS[kind_index]
            if nodes:
                parent = nodes[parent_index]
                node = Node(kind, parent, step if parent.kind == "dict" else None)
            else:
                node = root
            nodes.append(node)
            found[identifier] = node
            node.id, node.nonce, node.seeded = identifier, nonce, seeded
            node.absent = set(absent) if absent else None
            node.container = container = make(kind, node)
            if kind == "dict":
                dict.update(container, content)
            elif kind == "set":
                set.update(container, content)
            else:
                list.extend(container, _shown(sequences, identifier) if content is None else content)
            if node is not root:
                builtin: Any = dict if parent.kind == "dict" else list
                builtin.__setitem__(parent.container, step, container)
        return found


def unpack_prepared(data: bytes) -> Prepared | None:
    """Return what ``pack`` made, or None if another version of tinysync made it."""
    value = msgpack.unpackb(data, ext_hook=from_ext, strict_map_key=False, use_list=True)
    if value[0] != FORMAT:
        return None
    _, highest, places, *rest = value
    return Prepared(highest, Places(*places), *rest)


def _shown(sequences: dict[str, Sequence], list_id: str) -> list[Any]:
    sequence = sequences.get(list_id)
    slots = sequence.slots if sequence is not None else []
    return [None if isinstance(slot.raw, Reference) else slot.raw for slot in slots]


def rows_of(root: Node, sequences: dict[str, Sequence]) -> list[list[Any]]:
    """Return the rows of all containers of a live structure."""
    rows: list[list[Any]] = []

    def add(node: Node, parent: int, key: Any) -> None:
        index = len(rows)
        children: list[tuple[Any, Node]] = []
        row = [parent, key, node.id, KINDS.index(node.kind), node.nonce, node.seeded]
        rows.append([*row, sorted(node.absent or ()), _content(node, sequences, children)])
        for step, child in children:
            add(child, index, step)

    add(root, -1, None)
    return rows


def _content(node: Node, sequences: dict[str, Sequence], children: list[tuple[Any, Node]]) -> Any:
    """Return what a container holds, with None for containers, which are added to ``children``."""
    container = node.container
    if node.kind == "set":
        return [packable(element) for element in container]

    def plain(step: Any, value: Any) -> Any:
        if type(value) in _AS_IT_IS:
            return value
        child = node_of(value)
        if child is None:
            return packable(value)
        children.append((packable(step), child))
        return None

    if node.kind == "dict":
        return {packable(key): plain(key, container[key]) for key in ordered(container)}
    items = [plain(index, value) for index, value in enumerate(container)]
    sequence = sequences.get(node.id)
    # A list that nothing was moved in or assigned to shows its slots.
    return items if sequence is not None and (sequence.ats or sequence.overrides) else None


def ordered(container: dict[Any, Any]) -> Iterable[Any]:
    """Return the keys of a dict in the order that they have after reopening."""
    if all(type(key) is str and not key.startswith("~") for key in container):
        return sorted(container)
    keys = {key_text(key): key for key in container}
    return [keys[text] for text in in_order(keys)]


def lists_of(sequences: dict[str, Sequence]) -> dict[str, list[Any]]:
    """Return the slots of all lists."""
    return {list_id: [_packed_slot(slot) for slot in each.slots] for list_id, each in sequences.items()}


def overrides_of(sequences: dict[str, Sequence]) -> dict[str, list[list[Any]]]:
    """Return what was assigned to elements of lists."""
    return {
        list_id: [[*identity, _packed(value)] for identity, value in each.overrides.items()]
        for list_id, each in sequences.items()
        if each.overrides
    }


def _packed_slot(slot: Slot) -> Any:
    return packable_at(slot.at) if slot.at is not None else _packed(slot.raw)


def _packed(value: Any) -> Any:
    return packable_reference(value) if isinstance(value, Reference) else packable(value)


def sort_keys(nodes: Iterable[Node]) -> None:
    """Bring the keys of dicts into the order that they have after reopening."""
    for node in nodes:
        container = node.container
        keys = list(ordered(container))
        if keys != list(container):
            entries = [(key, container[key]) for key in keys]
            dict.clear(container)
            dict.update(container, entries)
