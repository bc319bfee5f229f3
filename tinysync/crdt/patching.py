"""Updates of others into the live containers: minimal patches that keep the identity of what they do not touch."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinysync.crdt.engine import Applied
from tinysync.crdt.entries import (
    LAYERS,
    ROOT_ENTRY,
    dict_entry,
    in_order,
    root_id,
    root_reference,
    set_entry,
    shown_value,
)
from tinysync.crdt.ids import node_id
from tinysync.crdt.keys import equal_key, key_text
from tinysync.crdt.list_changes import follow_lists
from tinysync.crdt.node import Node, node_of
from tinysync.crdt.ops import ABSENT, Removed
from tinysync.crdt.stored_key import stored_key
from tinysync.crdt.values import MAX_DEPTH, Reference, encode
from tinysync.errors import BadUpdate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.crdt.clashes import Clashes
    from tinysync.crdt.document import Document
    from tinysync.crdt.engine import Engine
    from tinysync.crdt.list_changes import ListChange
    from tinysync.crdt.sequence import Identity, Sequence, Slot


@dataclass(slots=True)
class Patch:
    """One change that was made to a live container: the method that would have made it, and its arguments.

    ``old`` is the entry or element that was there before (ABSENT: none), or the list of those that ``clear`` took
    out; ``removed`` says what the containers among them, at any depth, held when they left.
    """

    node: Node
    func_name: str
    args: tuple[Any, ...]
    old: Any = ABSENT
    removed: Iterable[Removed] = ()


Touched = tuple["Node", "str | Slot | tuple[Slot] | None"]
"""A place that others wrote to, whether or not the value differs from the one it had.

It is the key text of a dict's or set's entry, the slot of a list's element that was assigned (in a tuple: moved),
or None: elements came into the list or left it.
"""


def same_scalar(one: Any, other: Any) -> bool:
    """Tell whether two plain values are equal, type included (1 is not 1.0, and a NaN is itself)."""
    return type(one) is type(other) and bool(encode(one) == encode(other))


class Patcher:
    """Makes one batch of updates show; containers of ``known`` nodes are used again where they show."""

    def __init__(
        self, document: Document, known: dict[str, Node] | None = None, clashes: Clashes | None = None
    ) -> None:
        self.document = document
        self.clashes = clashes
        self._known = known or {}
        self._engine = document.engine
        self._reads = ExitStack()
        self._is_reading = False
        self.patches: list[Patch] = []
        self.touched: list[Touched] = []
        self._get = self._get_cell
        self._applied = Applied()

    @property
    def engine(self) -> Engine:
        """The engine, in a transaction for reads: from the first time that it is asked, which it often is not."""
        if not self._is_reading:
            self._is_reading = True
            self._reads.enter_context(self._engine.reading())
        return self._engine

    def _get_cell(self, root: str, key: str) -> Any:
        cell = self._applied.cells[root].get(key)
        return self.engine.get(root, key) if cell is None else cell

    def show_root(self, applied: Applied) -> None:
        """Build the whole live structure from all that the document holds."""
        cells = applied.cells
        # What was just read need not be asked of the engine again, cell by cell.
        self._get = lambda root, key: cells[root].get(key, ABSENT)
        with self._reads:
            self._fill(self.document.root)

    def show(self, applied: Applied) -> list[Patch]:
        """Patch what the applied updates changed; parents before what is inside them."""
        self._applied = applied
        with self._reads:
            lone = self._lone_entry(applied)
            if lone is not None:
                self._patch_entry(*lone)
                return self.patches
            entries = self._sort_entries(applied)
            lists = follow_lists(self.document, applied, self.clashes, lambda: self.engine)
            nodes = {identifier: self.document.nodes[identifier] for identifier in {*entries, *lists}}
            root_list_changed = self.document.kind == "list" and any(ROOT_ENTRY in applied.cells[r] for r in "pd")
            if root_list_changed:
                self._show_root_list()
            for identifier, node in sorted(nodes.items(), key=lambda item: item[1].depth()):
                if self.document.nodes.get(identifier) is not node:
                    # A change further up took it away; its cells may show again one day.
                    if identifier in entries:
                        self.document.hidden.setdefault(identifier, set()).update(entries[identifier])
                    continue
                if node.kind == "list":
                    self._patch_list(node, lists[identifier])
                else:
                    for text in in_order(entries.get(identifier, ())):
                        self._patch_entry(node, text)
        return self.patches

    def _lone_entry(self, applied: Applied) -> tuple[Node, str] | None:
        """Return the node and the key text of the entry that changed, if it shows and nothing else changed."""
        if applied.deltas or sum(map(len, applied.cells.values())) != 1:
            return None
        [(layer, entry)] = applied.names()
        identifier, slash, text = entry.partition("/")
        node = self.document.nodes.get(identifier)
        if layer not in LAYERS or not slash or node is None or node.kind == "list":
            return None
        return node, text

    def _sort_entries(self, applied: Applied) -> dict[str, set[str]]:
        """Return the changed key texts of nodes that show; note those of others as hidden."""
        entries: dict[str, set[str]] = {}
        for layer in LAYERS:
            for entry in applied.cells[layer]:
                identifier, slash, text = entry.partition("/")
                if not slash or not identifier:
                    continue
                place = entries if identifier in self.document.nodes else self.document.hidden
                place.setdefault(identifier, set()).add(text)
        return {key: texts for key, texts in entries.items() if self.document.nodes[key].kind != "list"}

    # --- building and dropping containers ------------------------------------------------------------------

    def _live_value(self, value: Any, parent: Node, key: Any, text: str, layer: str) -> Any:
        """Return what stands in the live structure for a decoded value; builds containers."""
        if not isinstance(value, Reference):
            return value
        if parent.depth() + 1 >= MAX_DEPTH:
            return ABSENT if parent.kind == "dict" else None
        identifier = node_id(parent.id, text, value.kind, value.nonce)
        node = self._known.pop(identifier, None)
        if node is None:
            node = Node(value.kind, parent, key)
            node.id = identifier
            node.container = self.document.make(value.kind, node)
        node.parent, node.key = parent, key
        node.attached, node.removed_by_other = True, False
        node.nonce = value.nonce
        node.seeded = parent.seeded or (value.kind == "list" and layer == "d")
        self._fill(node)
        return node.container

    def _fill(self, node: Node) -> None:
        self.document.nodes[node.id] = node
        container = node.container
        if node.kind == "list":
            sequence = self.document.sequence(node.id)
            values = [sequence.value(slot, self.engine) for slot in sequence.anchors(self.engine)]
            list.extend(container, [self._live_value(value, node, None, "", "c") for value in values])
            return
        for text in in_order(self.document.hidden.pop(node.id, ())):
            value, layer = shown_value(self._get, f"{node.id}/{text}")
            if node.kind == "set":
                element = set_entry(value, text)
                if element is not ABSENT:
                    set.add(container, element)
                    continue
            else:
                key, value = dict_entry(value, text)
                if value is not ABSENT:
                    value = self._live_value(value, node, key, text, layer)
                if value is not ABSENT:
                    dict.__setitem__(container, key, value)
                    continue
            self._note_absent(node, text)

    def _note_absent(self, node: Node, text: str) -> None:
        if any(self._get(layer, f"{node.id}/{text}") is not ABSENT for layer in LAYERS):
            node.absent = node.absent or set()
            node.absent.add(text)
        elif node.absent is not None:
            node.absent.discard(text)

    def _drop(self, value: Any) -> list[Removed]:
        """Detach a container, and those inside it, that an update removed; return what they held."""
        removed: list[Removed] = []
        if self.clashes is not None:
            self.clashes.begin_drop()
        self._drop_into(removed, value)
        return removed

    def _drop_into(self, removed: list[Removed], value: Any) -> None:
        node = node_of(value)
        if node is None:
            return
        removed.append(Removed(node, node.container.copy()))
        node.attached = False
        node.removed_by_other = True
        self.document.nodes.pop(node.id, None)
        if node.kind != "list":
            texts = {*map(key_text, node.container), *(node.absent or ())}
            left = {t for t in texts if any(self.engine.has(layer, f"{node.id}/{t}") for layer in LAYERS)}
            if left:
                self.document.hidden.setdefault(node.id, set()).update(left)
                if self.clashes is not None:
                    self.clashes.left_in(node, [t for t in left if self.engine.has("c", f"{node.id}/{t}")])
        elif self.clashes is not None:
            self.clashes.left_in_list(node)
        if node.kind != "set":
            for item in node.container.values() if node.kind == "dict" else node.container:
                self._drop_into(removed, item)

    # --- dicts and sets ------------------------------------------------------------------------------------

    def _patch_entry(self, node: Node, text: str) -> None:
        entry = f"{node.id}/{text}"
        value, layer = shown_value(self._get, entry)
        cells = self._applied.cells
        if not layer or entry in cells[layer] or entry in cells["c"]:
            self.touched.append((node, text))
        if node.kind == "set":
            self._patch_element(node, text, set_entry(value, text))
            return
        key, value = dict_entry(value, text)
        container = node.container
        if value is not ABSENT:
            self._retype_key(node, key)
        old_key = _live_key(text) if value is ABSENT else key
        old = dict.get(container, old_key, ABSENT)
        child = node_of(old)
        if isinstance(value, Reference) and child is not None:
            if child.id == node_id(node.id, text, value.kind, value.nonce):
                child.seeded = node.seeded or (child.kind == "list" and layer == "d")
                return
        elif child is None and old is not ABSENT and value is not ABSENT and same_scalar_or_reference(old, value):
            return
        removed = self._drop(old)
        if value is not ABSENT:
            value = self._live_value(value, node, key, text, layer)
        if value is ABSENT:
            self._note_absent(node, text)
            if old is not ABSENT:
                old_key = stored_key(container, old_key)
                dict.__delitem__(container, old_key)
                self._note_entry(node, text, Patch(node, "__delitem__", (old_key,), old, removed), ABSENT)
            return
        if node.absent is not None:
            node.absent.discard(text)
        dict.__setitem__(container, key, value)
        self._note_entry(node, text, Patch(node, "__setitem__", (key, value), old, removed), value)

    def _note_entry(self, node: Node, text: str, patch: Patch, new: Any) -> None:
        self.patches.append(patch)
        if self.clashes is not None:
            self.clashes.entry(node, text, patch.args[0], patch.old, new)

    def _retype_key(self, node: Node, key: Any) -> None:
        """Let an entry have the key that is shown, where it is there under an equal key (1 for 1.0)."""
        stored = stored_key(node.container, key)
        if stored is key or same_scalar(stored, key):
            return
        value = dict.pop(node.container, stored)
        dict.__setitem__(node.container, key, value)
        child = node_of(value)
        if child is not None:
            child.key = key
        self.patches.append(Patch(node, "__delitem__", (stored,), value))
        self.patches.append(Patch(node, "__setitem__", (key, value)))

    def _patch_element(self, node: Node, text: str, element: Any) -> None:
        container = node.container
        if element is ABSENT:
            self._note_absent(node, text)
            old = _live_key(text)
            if old in container:
                old = stored_key(container, old)
                set.discard(container, old)
                self._note_entry(node, text, Patch(node, "discard", (old,), old), ABSENT)
            return
        if node.absent is not None:
            node.absent.discard(text)
        stored = stored_key(container, element)
        if stored is not element and not same_scalar(stored, element):
            set.discard(container, stored)
            self.patches.append(Patch(node, "discard", (stored,)))
        if element not in container:
            set.add(container, element)
            self._note_entry(node, text, Patch(node, "add", (element,)), element)

    # --- lists ---------------------------------------------------------------------------------------------

    def _patch_list(self, node: Node, change: ListChange) -> None:
        sequence = self.document.sequence(node.id)
        if change.before is None:
            for index, deleted, inserted in change.steps:
                for _ in range(deleted):
                    self._delete(node, index)
                for offset, slot in enumerate(inserted):
                    self._insert(node, index + offset, sequence.value(slot, self.engine))
        else:
            self._rearrange(node, sequence, change.before)
        if change.steps:
            self.touched.append((node, None))
        if change.arrived:
            identities = {slot.at.identity for slot in change.arrived if slot.at}
            moved = [slot for slot in sequence.anchors(self.engine) if slot.identity in identities]
            self.touched += [(node, (slot,)) for slot in moved]
            if self.clashes is not None:
                self.clashes.moved(node, sequence, change.arrived)
        if change.assigned:
            for index, slot in enumerate(sequence.anchors(self.engine)):
                if slot.identity is None:
                    sequence.identify(self.engine)
                if slot.identity in change.assigned:
                    self.touched.append((node, slot))
                    self._assign(node, index, sequence.value(slot, self.engine), slot.identity)

    def _rearrange(self, node: Node, sequence: Sequence, before: list[Slot]) -> None:
        after = sequence.anchors(self.engine)
        staying = set(map(id, after))
        for index in range(len(before) - 1, -1, -1):
            if id(before[index]) not in staying:
                identity = before[index].identity
                self._delete(node, index, identity if identity in sequence.overrides else None)
        now = [slot for slot in before if id(slot) in staying]
        known = set(map(id, now))
        for index, slot in enumerate(after):
            if index < len(now) and now[index] is slot:
                continue
            if id(slot) in known:
                source = now.index(slot, index)
                now.insert(index, now.pop(source))
                list.insert(node.container, index, list.pop(node.container, source))
                self.patches.append(Patch(node, "move", (source, index)))
            else:
                now.insert(index, slot)
                self._insert(node, index, sequence.value(slot, self.engine))

    def _delete(self, node: Node, index: int, assigned: Identity | None = None) -> None:
        """Delete an element; ``assigned``: its identity, if what was assigned to it is left."""
        old = list.pop(node.container, index)
        self.patches.append(Patch(node, "__delitem__", (index,), old, self._drop(old)))
        if self.clashes is not None:
            self.clashes.element(node, index, old, ABSENT, assigned)

    def _insert(self, node: Node, index: int, value: Any) -> None:
        live = self._live_value(value, node, None, "", "c")
        list.insert(node.container, index, live)
        self.patches.append(Patch(node, "insert", (index, live)))

    def _assign(self, node: Node, index: int, value: Any, identity: Identity) -> None:
        old = node.container[index]
        child = node_of(old)
        if isinstance(value, Reference) and child is not None:
            if child.id == node_id(node.id, "", value.kind, value.nonce):
                return
        elif child is None and same_scalar_or_reference(old, value):
            return
        removed = self._drop(old)
        live = self._live_value(value, node, None, "", "c")
        list.__setitem__(node.container, index, live)
        self.patches.append(Patch(node, "__setitem__", (index, live), old, removed))
        if self.clashes is not None:
            self.clashes.element(node, index, old, live, identity)

    def _show_root_list(self) -> None:
        """Another version's default list, or the one that somebody edited, takes the root's place."""
        root = self.document.root
        reference, layer = root_reference(self._get, "list")
        root.seeded = layer == "d"
        if root_id(reference) == root.id:
            return
        old = list(root.container)
        removed = [entry for value in old for entry in self._drop(value)]
        list.clear(root.container)
        self.patches.append(Patch(root, "clear", (), old, removed))
        self.touched.append((root, None))
        self.document.nodes.pop(root.id, None)
        root.nonce = reference.nonce
        root.id = root_id(reference)
        self._fill(root)
        self.patches.append(Patch(root, "extend", (list(root.container),)))


def _live_key(text: str) -> Any:
    """Return a key that finds what a key text stands for in a live container; ABSENT: it cannot be there."""
    try:
        return equal_key(text)
    except BadUpdate:
        return ABSENT


def same_scalar_or_reference(old: Any, value: Any) -> bool:
    """Tell whether a live plain value already is what a decoded value shows."""
    return not isinstance(value, Reference) and same_scalar(old, value)
