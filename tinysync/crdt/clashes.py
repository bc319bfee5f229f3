"""What was written here and elsewhere at once, found while the updates of others are made to show.

Beside the entries that ``overtaken`` knows of, there are two ways to clash:

* Who removes or replaces a container, or deletes a list element, deletes all in it that he knows of. What is left
  of it then was written by somebody who did not know of the removal.
* Who moves a list element deletes the positions that he knows it was moved to. Where two are there, neither device
  knew of the other's.

A long diff comes in pieces, deletions last. So a clash of these two kinds counts, unless what it is about came
with deletions, only if that is still there after a while: ``Clash.needs``.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tinysync.crdt.entries import dict_entry, set_entry
from tinysync.crdt.ids import node_id
from tinysync.crdt.keys import equal_key, text_key
from tinysync.crdt.node import node_of
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.sequence import override_key, parse_override_key
from tinysync.crdt.stored_key import stored_key
from tinysync.crdt.values import KINDS, TOMBSTONE, Reference, decode
from tinysync.crdt.view import view_of
from tinysync.crdt.writers import note_authors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as Items

    from tinysync.crdt.document import Document
    from tinysync.crdt.encoding import Id, Name
    from tinysync.crdt.engine import Applied
    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Removed
    from tinysync.crdt.overtaken import Overtaken
    from tinysync.crdt.sequence import Identity, Sequence, Slot
    from tinysync.model import Kind

MOST_REMOVED: Final = 1_000
_RECENT_GENERATIONS: Final = 3


@dataclass(slots=True)
class Clash:
    """Two writes of one place that were made at once; values are live or plain, ABSENT: it was removed.

    ``key`` is a key of ``node``, an index of it, or an element, and ``mark`` identifies the clash, on all sessions
    of this device. If ``moved``, the values are the indices that one element was moved to. ``identity`` is that of
    a list's element. If it ``needs`` elements, it counts if one of them is not deleted when all has arrived.
    """

    node: Node
    key: Any
    lost: Any
    kept: Any
    mine_lost: bool
    mark: str
    identity: Identity | None = None
    moved: bool = False
    needs: tuple[Id, ...] = ()
    is_part: bool = False
    """Whether what was lost is only what others wrote of it."""
    author: int | None = None
    """The client id of the other write, if it is known."""
    written: Items[Name] = ()
    """The entries where the other one wrote, until its author is known."""


class _Removal(NamedTuple):
    """Where a container was that this device removed: the entry, and the keys from the container there to it."""

    parent: Node
    key: Any
    kind: Kind
    inner: tuple[Any, ...]


class RemovedHere:
    """The containers that this session removed from dicts, the last ones."""

    def __init__(self) -> None:
        self._removals: OrderedDict[str, _Removal] = OrderedDict()

    def note(self, parent: Node, key: Any, removed: Iterable[Removed]) -> None:
        """Remember where containers were, those inside the one that was removed among them."""
        for item in removed:
            inner: list[Any] = []
            node: Node | None = item.node
            while node is not None and node.parent is not parent:
                inner.insert(0, node.key)
                node = node.parent if node.parent is not None and node.parent.kind == "dict" else None
            if node is not None and item.node.id:
                self._removals[item.node.id] = _Removal(parent, key, item.node.kind, tuple(inner))
                if len(self._removals) > MOST_REMOVED:
                    self._removals.popitem(last=False)

    def get(self, identifier: str) -> _Removal | None:
        """Return where a container was, if it is known."""
        return self._removals.get(identifier)


class Clashes:
    """Finds the clashes of one batch, while and after it is made to show."""

    def __init__(self, document: Document, overtaken: Overtaken, *, removals: bool) -> None:
        self._document = document
        self._overtaken = overtaken
        self._removals = removals
        """Whether clashes with removals and moves count: not if another process of this device has judged them."""
        self._left: list[Name] = []
        self._left_in_lists: list[str] = []
        self._found: list[Clash] = []
        self._maybe: list[tuple[Clash, list[Name], list[str]]] = []
        self._written_again: list[tuple[Name, Clash]] = []

    # --- while it is made to show --------------------------------------------------------------------------

    def begin_drop(self) -> None:
        """Note that a container is about to be dropped, with what is inside."""
        self._left, self._left_in_lists = [], []

    def left_in(self, node: Node, texts: Iterable[str]) -> None:
        """Note which entries of a container are left after its removal."""
        if self._removals:
            self._left += [("c", f"{node.id}/{text}") for text in texts]

    def left_in_list(self, node: Node) -> None:
        """Note that a list was dropped: somebody may have written to it who did not know."""
        if self._removals:
            self._left_in_lists.append(node.id)

    def entry(self, node: Node, text: str, key: Any, old: Any, new: Any) -> None:
        """Note that an entry was changed."""
        name = "c", f"{node.id}/{text}"
        clash = Clash(node, key, old, new, mine_lost=True, mark="")
        if old is ABSENT and name[1] in self._document.deleted_here and self._removals:
            self._written_again.append((name, clash))
        self._changed(name, clash)

    def element(self, node: Node, index: int, old: Any, new: Any, identity: Identity | None) -> None:
        """Note that a list's element was replaced, or deleted (``new`` is ABSENT)."""
        name = None if identity is None else ("o", override_key(node.id, identity))
        if name is not None and new is ABSENT and self._removals:
            self._left.append(name)
        self._changed(name, Clash(node, index, old, new, mine_lost=True, mark="", identity=identity))

    def _changed(self, name: Name | None, clash: Clash) -> None:
        left, lists = self._left, self._left_in_lists
        self._left, self._left_in_lists = [], []
        clash.written = () if name is None else (name,)
        write = None if name is None else self._overtaken.lost.get(name)
        if write is not None:
            clash.mark = f"lost {write[0]}:{write[1]}"
            self._found.append(clash)
        elif left or lists:
            self._maybe.append((clash, left, lists))

    def moved(self, node: Node, sequence: Sequence, arrived: Items[Slot]) -> None:
        """Note that others moved elements of a list."""
        if not self._removals:
            return
        own, engine = self._document.own, self._document.engine
        theirs = {slot.at.identity: slot.at.stamp for slot in arrived if slot.at and slot.at.stamp[1] not in own}
        if not theirs:
            return
        places = {slot.at.stamp: index for index, slot in enumerate(sequence.slots) if slot.at}
        ours = {
            slot.at.identity: slot.at.stamp
            for slot in sequence.slots
            if slot.at and slot.at.identity in theirs and slot.at.stamp[1] in own
        }
        shown = sequence.shown(engine)
        for identity, mine in ours.items():
            their = theirs[identity]
            index = next((i for i, (_, slot) in enumerate(shown) if slot.identity == identity), None)
            if their not in places or index is None:
                continue
            now = shown[index][0]
            if now not in (places[mine], places[their]):
                continue  # a third device's holds
            others = [place for place, slot in shown if slot.identity != identity]
            ranks = {stamp: sum(place < places[stamp] for place in others) for stamp in (mine, their)}
            mine_lost = now == places[their]
            lost, kept = (mine, their) if mine_lost else (their, mine)
            clash = Clash(node, index, ranks[lost], ranks[kept], mine_lost, f"moved {lost[0]}:{lost[1]}", identity)
            clash.moved, clash.author = True, their[1]
            if not self._overtaken.is_whole:
                clash.needs = (engine.identity(node.id, places[mine]),)
            self._found.append(clash)

    # --- when it shows -------------------------------------------------------------------------------------

    def found(self, applied: Applied) -> list[Clash]:
        """Return the clashes; those that need something count if that is still there in the end."""
        hidden = self._written_to_hidden(applied) if self._removals else {}
        if not (self._found or self._maybe or self._written_again or self._overtaken.won or hidden):
            return []
        with self._document.engine.reading():
            self._judge_removals()
            self._judge_written_again()
            self._add_won()
            if hidden:
                self._add_hidden(hidden)
            clashes = [clash for clash in self._found if clash.node.attached]
            note_authors(clashes, self._overtaken, applied, self._document.own, self._document.writes)
            for clash in clashes:
                if clash.identity is not None:
                    index = self._document.index_of(clash.node, clash.identity)
                    clash.key = clash.key if index is None else index
        return clashes

    def _judge_removals(self) -> None:
        if not self._maybe:
            return
        document = self._document
        elements: dict[str, list[Id]] = {}
        for _, names, lists in self._maybe:
            for list_id in lists:
                sequence = document.sequences.get(list_id)
                if sequence is not None and (sequence.slots or sequence.overrides):
                    sequence.identify(document.engine)
                    slots = [slot.identity for slot in sequence.slots if slot.identity is not None]
                    elements[list_id] = [identity for identity in slots if identity[0] in document.own]
                    names += [("o", override_key(list_id, identity)) for identity in sequence.overrides]
        places = {name: document.writes.place(name) for _, names, _ in self._maybe for name in names}
        ours = document.writes.shown_writes(set(places.values()))
        for clash, names, lists in self._maybe:
            needs = [ours[places[name]] for name in names if places[name] in ours]
            needs += [element for list_id in lists for element in elements.get(list_id, ())]
            if needs:
                clash.needs = () if self._overtaken.is_whole else tuple(needs)
                clash.mark = f"gone {max(needs)[0]}:{max(needs)[1]}"
                self._found.append(clash)

    def _judge_written_again(self) -> None:
        for name, clash in self._written_again:
            write = self._document.writes.unaware(name, self._overtaken)
            if write is not None and not clash.mark:
                clash.mark, clash.author = f"again {write[0]}:{write[1]}", write[0]
                self._found.append(clash)

    def _add_won(self) -> None:
        document = self._document
        for (root, key), write, cell in self._overtaken.won:
            mark = f"won {write[0]}:{write[1]}"
            if root == "o":
                self._add_won_element(key, cell, mark, write[0])
                continue
            identifier, _, text = key.partition("/")
            node = document.nodes.get(identifier)
            if node is None or node.kind == "list":
                continue
            value = decode(cell)
            value = ABSENT if value is TOMBSTONE else value
            try:
                live_key = equal_key(text)
            except ValueError:
                continue
            if node.kind == "set":
                lost = set_entry(value, text)
                kept = live_key if live_key in node.container else ABSENT
                self._found.append(Clash(node, live_key, lost, kept, False, mark, author=write[0]))
                continue
            kept = dict.get(node.container, live_key, ABSENT)
            lost = ABSENT
            if value is not ABSENT:
                typed_key, shown = dict_entry(value, text)
                live_key = typed_key if kept is ABSENT else stored_key(node.container, live_key)
                lost = self._plain(node, text, shown)
            self._found.append(Clash(node, live_key, lost, kept, False, mark, author=write[0]))

    def _add_won_element(self, key: str, cell: Any, mark: str, author: int) -> None:
        place = parse_override_key(key)
        node = self._document.nodes.get(place[0]) if place is not None else None
        if place is None or node is None:
            return
        index = self._document.index_of(node, place[1])
        if index is not None:
            lost = self._plain(node, "", decode(cell))
            now = node.container[index]
            self._found.append(Clash(node, index, lost, now, False, mark, place[1], author=author))

    def _plain(self, parent: Node, text: str, value: Any) -> Any:
        """Return what a decoded value would show."""
        if not isinstance(value, Reference):
            return value
        identifier = node_id(parent.id, text, value.kind, value.nonce)
        child = self._document.nodes.get(identifier)
        return view_of(self._document.engine, value.kind, identifier) if child is None else child.container

    # --- containers that were removed here -----------------------------------------------------------------

    def _written_to_hidden(self, applied: Applied) -> dict[str, list[Name]]:
        """Return the containers that do not show and that others wrote into, with the entries."""
        document = self._document
        hidden = {
            entry: entry.partition("/")[0] for entry, cell in applied.cells["c"].items() if cell is not ABSENT
        }
        hidden = {entry: node for entry, node in hidden.items() if node and node not in document.nodes}
        foreign = document.writes.foreign(self._overtaken.seen) if hidden else set()
        written: dict[str, list[Name]] = {}
        for entry, node in hidden.items():
            if document.writes.place(("c", entry)) in foreign:
                written.setdefault(node, []).append(("c", entry))
        for list_id, delta in applied.deltas:
            if list_id not in document.nodes and any("insert" in step for step in delta):
                written.setdefault(list_id, [])
        return written

    def _add_hidden(self, written: dict[str, list[Name]]) -> None:
        """Find what others wrote into containers that this device had removed."""
        document = self._document
        removals = {identifier: document.removed_here.get(identifier) for identifier in written}
        unknown = {identifier for identifier, removal in removals.items() if removal is None}
        if unknown:
            removals.update(self._removed_before(unknown))
        for identifier, removal in removals.items():
            if removal is None or not removal.parent.attached:
                continue
            lost = view_of(document.engine, removal.kind, identifier)
            digest = hashlib.blake2b(repr(lost).encode(), digest_size=8).hexdigest()
            for key in reversed(removal.inner):
                lost = {key: lost}
            kept = dict.get(removal.parent.container, removal.key, ABSENT)
            if node_of(kept) is not None and node_of(kept).id == identifier:  # type: ignore[union-attr]
                continue
            mark = f"hidden {identifier} {digest}"
            clash = Clash(removal.parent, removal.key, lost, kept, False, mark, is_part=True)
            clash.written = written[identifier]
            self._found.append(clash)

    def _removed_before(self, unknown: set[str]) -> dict[str, _Removal]:
        """Find containers among those that earlier sessions of this device removed, by their generations."""
        document = self._document
        found: dict[str, tuple[str, _Removal]] = {}
        for entry, cell in document.engine.items("g"):
            parent_id, _, text = entry.partition("/")
            parent = document.nodes.get(parent_id)
            generation = decode(cell)
            if parent is None or parent.kind != "dict" or type(generation) is not int or text_key(text) is None:
                continue
            for nonce in range(max(0, generation - _RECENT_GENERATIONS), generation):
                for kind in KINDS:
                    identifier = node_id(parent_id, text, kind, nonce)
                    if identifier in unknown:
                        found[identifier] = entry, _Removal(parent, text_key(text), kind, ())
        places = {identifier: document.writes.place(("g", entry)) for identifier, (entry, _) in found.items()}
        ours = document.writes.shown_writes(set(places.values()))
        return {identifier: removal for identifier, (_, removal) in found.items() if places[identifier] in ours}
