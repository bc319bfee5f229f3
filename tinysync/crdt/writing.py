"""Local edits into the document: replays a transaction's journal as cells, references and list elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.check import check_state_vector
from tinysync.crdt.entries import LAYERS, ROOT_ENTRY, dict_cell, set_cell
from tinysync.crdt.ids import node_id, random_nonce
from tinysync.crdt.keys import key_text
from tinysync.crdt.node import node_of
from tinysync.crdt.ops import ABSENT, Assign, Op, Put, Removed, Reorder, Splice
from tinysync.crdt.seed import element_nonce, list_client, list_nonce, seed_list
from tinysync.crdt.values import (
    MAX_GENERATION,
    TOMBSTONE_CELL,
    Reference,
    decode,
    encode,
    encode_reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinysync.crdt.document import Document
    from tinysync.crdt.node import Node
    from tinysync.crdt.sequence import Slot


BESIDE: Final = 8
"""So many elements on each side of one that is moved are noted: to find its place again if others delete some."""


def write_ops(document: Document, ops: list[Op]) -> None:
    """Write a journal inside the engine's open transaction."""
    Writer(document, ops).write()


class Writer:
    """Replays one journal.

    A container that the journal created is written once, with the content it has at the end; ops inside it need
    no replay. One that was created and left the structure again is not written at all.
    """

    def __init__(self, document: Document, ops: list[Op]) -> None:
        self.document = document
        self.engine = document.engine
        self.ops = _last_puts(ops) if len(ops) > 1 else ops
        self.grown: dict[int, int] = {}
        """How many elements the journal added to each list, by id of the node."""
        for op in ops:
            if isinstance(op, Splice):
                self.grown[id(op.node)] = self.grown.get(id(op.node), 0) + len(op.new) - len(op.old)
        self.fresh: set[int] = set()

    def write(self) -> None:
        """Write what the ops come to."""
        for op in self.ops:
            node = op.node
            if id(node) in self.fresh or not node.id:
                continue
            if node.seeded:
                self._pin(node)
            if type(op) is Put and is_simple(op):
                self.engine.put("c", f"{node.id}/{key_text(op.key)}", encode(op.new))
                continue
            match op:
                case Put():
                    self._put(op)
                case Assign():
                    self._assign(op)
                case Splice():
                    self._splice(op)
                case Reorder():
                    self._reorder(op)

    # --- dicts and sets ------------------------------------------------------------------------------------

    def _put(self, op: Put) -> None:
        node, text = op.node, key_text(op.key)
        entry = f"{node.id}/{text}"
        self._clear(op.removed)
        if node_of(op.old) is not None:
            self.document.removed_here.note(node, op.key, op.removed)
            generation = self._generation(entry) + 1
            if isinstance(node_of(op.old).nonce, int):  # type: ignore[union-attr]
                generation = max(generation, node_of(op.old).nonce + 1)  # type: ignore[union-attr, operator]
            self.engine.put("g", entry, min(generation, MAX_GENERATION))
        child = node_of(op.new)
        if op.new is ABSENT or (child is not None and not child.attached):
            self._delete_entry(node, entry, text)
        elif op.default:
            self._put_default(node, entry, text, op)
        else:
            if node.absent is not None:
                node.absent.discard(text)
            if node.kind == "set":
                self.engine.put("c", entry, set_cell(op.key))
            elif child is None:
                self.engine.put("c", entry, dict_cell(op.key, encode(op.new)))
            else:
                self._write_child(child, node.id, text, "c")

    def _delete_entry(self, node: Node, entry: str, text: str) -> None:
        if self.engine.has("d", entry) or self.engine.has("p", entry):
            self.engine.put("c", entry, TOMBSTONE_CELL)
            node.absent = node.absent or set()
            node.absent.add(text)
        else:
            self.engine.remove("c", entry)
            self.document.deleted_here.note(entry)

    def _put_default(self, node: Node, entry: str, text: str, op: Put) -> None:
        """``setdefault``: an ordinary default cell, or a seeded list."""
        for layer in ("c", "p"):
            self.engine.remove(layer, entry)
        if node.absent is not None:
            node.absent.discard(text)
        child = node_of(op.new)
        if child is None:
            self.engine.put("d", entry, dict_cell(op.key, encode(op.new)))
        else:
            self._write_child(child, node.id, text, "d")

    def _write_child(self, child: Node, parent: str, text: str, layer: str) -> None:
        """Write a container under a dict key: its reference and its content."""
        entry = f"{parent}/{text}"
        content = child.container
        if child.kind == "list" and layer == "d" and content:
            self._seed_child(child, parent, text)
            return
        born_empty = len(content) == self.grown.get(id(child), 0)
        nonce: int | bytes = random_nonce()
        if child.kind != "list" or not content or born_empty:
            nonce = self._free_generation(parent, text, child)
        child.nonce = nonce
        reference = encode_reference(Reference(child.kind, nonce))
        self.engine.put(layer, entry, dict_cell(child.key, reference))
        self._register(child, node_id(parent, text, child.kind, nonce))
        self._write_content(child, layer)

    def _seed_child(self, child: Node, parent: str, text: str) -> None:
        """Write a list that everybody who seeds the same one here shares."""
        content = child.container
        clocks = check_state_vector(self.engine.state_vector())

        def was_seeded(generation: int) -> bool:
            # Elements that were seeded once and deleted do not come back by seeding them again.
            identifier = node_id(parent, text, "list", list_nonce(content, generation))
            return list_client(identifier, content) in clocks

        generation = self._free_generation(parent, text, child, was_seeded)
        child.nonce = list_nonce(content, generation)
        self._register(child, node_id(parent, text, "list", child.nonce))
        self.engine.integrate(seed_list(child.id, content))
        reference = encode_reference(Reference("list", child.nonce))
        self.engine.put("d", f"{parent}/{text}", dict_cell(child.key, reference))
        self._register_seeded(child)

    def _register_seeded(self, node: Node) -> None:
        """Give the containers inside a seeded list the ids that the seed gave them."""
        node.seeded = True
        cells: list[Any] = []
        for index, value in enumerate(node.container.values() if node.kind == "dict" else node.container):
            child = node_of(value)
            if child is None:
                cells.append(encode(value) if node.kind == "list" else None)
                continue
            if node.kind == "list":
                child.nonce = element_nonce(value, index)
                cells.append(encode_reference(Reference(child.kind, child.nonce)))
            else:
                child.nonce = list_nonce(value) if child.kind == "list" and value else 0
            text = key_text(child.key) if node.kind == "dict" else ""
            self._register(child, node_id(node.id, text, child.kind, child.nonce))
            self._register_seeded(child)
        if node.kind == "list":
            self.engine.follow(node.id)
            self.document.sequence(node.id).apply_delta([{"insert": cells}])

    def _write_content(self, node: Node, layer: str) -> None:
        match node.kind:
            case "dict":
                for key, value in node.container.items():
                    child = node_of(value)
                    if child is None:
                        self.engine.put(layer, f"{node.id}/{key_text(key)}", dict_cell(key, encode(value)))
                    else:
                        self._write_child(child, node.id, key_text(key), layer)
            case "set":
                for element in node.container:
                    self.engine.put(layer, f"{node.id}/{key_text(element)}", set_cell(element))
            case "list":
                elements, node.elements = node.elements, None
                self._insert(node, 0, node.container, elements)

    def _generation(self, entry: str) -> int:
        generation = decode(self.engine.get("g", entry))
        return generation if type(generation) is int and 0 <= generation <= MAX_GENERATION else 0

    def _free_generation(
        self,
        parent: str,
        text: str,
        child: Node,
        is_used: Callable[[int], bool] = lambda _: False,
    ) -> int:
        """Return the generation under which a container created now is really empty.

        It may be above the one that is noted: of two that were noted at once, the higher can have lost.
        """
        entry = f"{parent}/{text}"
        generation = first = self._generation(entry)
        while is_used(generation) or self.document.mirror.has_hidden(
            node_id(parent, text, child.kind, generation),
            child.kind,
        ):
            generation += 1
        if generation != first:
            self.engine.put("g", entry, generation)
        return generation

    # --- lists ---------------------------------------------------------------------------------------------

    def _assign(self, op: Assign) -> None:
        self._clear(op.removed)
        sequence = self.document.sequence(op.node.id)
        child = node_of(op.new)
        if child is None or not child.attached:
            value = None if child is not None else op.new
            op.slot = sequence.assign(self.engine, op.index, value, encode(value))
            return
        reference = self._name_element(op.node, child)
        op.slot = sequence.assign(self.engine, op.index, reference, encode_reference(reference))
        self._write_content(child, "c")

    def _splice(self, op: Splice) -> None:
        self._clear(op.removed)
        sequence = self.document.sequence(op.node.id)
        op.left, op.right = sequence.beside(self.engine, op.index, len(op.old))
        op.gone = sequence.delete(self.engine, op.index, len(op.old)) if op.old else []
        op.slots = self._insert(op.node, op.index, op.new, op.slots) if op.new else []

    def _reorder(self, op: Reorder) -> None:
        sequence = self.document.sequence(op.node.id)
        before = sequence.anchors(self.engine)
        sources = sorted(self.document.moves.reorder(sequence, self.engine, op.order))
        op.moved = [before[index] for index in sources]
        runs: list[list[int]] = []
        for index in sources:
            start, stop = max(0, index - BESIDE), min(index + BESIDE + 1, len(before))
            if runs and runs[-1][1] >= start:
                runs[-1][1] = stop
            else:
                runs.append([start, stop])
        op.around = [before[start:stop] for start, stop in runs]
        op.from_start = bool(runs) and runs[0][0] == 0

    def _insert(self, node: Node, index: int, values: list[Any], slots: list[Slot] | None = None) -> list[Slot]:
        items: list[tuple[Any, Any]] = []
        children: list[Node] = []
        for value in values:
            child = node_of(value)
            if child is None:
                items.append((value, encode(value)))
            elif not child.attached:
                items.append((None, None))
            else:
                reference = self._name_element(node, child)
                items.append((reference, encode_reference(reference)))
                children.append(child)
        slots = self.document.sequence(node.id).insert(self.engine, index, items, slots)
        for child in children:
            self._write_content(child, "c")
        return slots

    def _name_element(self, parent: Node, child: Node) -> Reference:
        child.nonce = random_nonce()
        self._register(child, node_id(parent.id, "", child.kind, child.nonce))
        return Reference(child.kind, child.nonce)

    # --- both ----------------------------------------------------------------------------------------------

    def _register(self, node: Node, identifier: str) -> None:
        node.id = identifier
        self.document.nodes[identifier] = node
        self.fresh.add(id(node))

    def _clear(self, removed: Sequence[Removed]) -> None:
        """Clear the cells of containers that left the structure, to save space."""
        for item in removed:
            node = item.node
            if not node.id:
                continue
            self.document.nodes.pop(node.id, None)
            if node.kind == "list":
                item.slots = self.document.sequence(node.id).anchors(self.engine)
                self.document.sequence(node.id).clear(self.engine)
                del self.document.sequences[node.id]
                continue
            for text in {*map(key_text, item.content), *(node.absent or ())}:
                for layer in LAYERS:
                    self.engine.remove(layer, f"{node.id}/{text}")

    def _pin(self, node: Node | None) -> None:
        """Write the reference of every seeded list around an edit as a pinned cell: the edit keeps the list."""
        while node is not None:
            if node.kind == "list" and (node.parent is None or node.parent.kind == "dict"):
                parent = node.parent
                entry = f"{parent.id}/{key_text(node.key)}" if parent else ROOT_ENTRY
                if not (self.engine.has("c", entry) or self.engine.has("p", entry)):
                    cell = encode_reference(Reference("list", node.nonce))
                    self.engine.put("p", entry, dict_cell(node.key, cell) if parent else cell)
            node = node.parent


def is_simple(op: Put) -> bool:
    """Tell whether an op just writes the chosen cell of a str key."""
    node = op.node
    return (
        type(op.key) is str
        and node.kind == "dict"
        and not op.removed
        and not op.default
        and not node.absent
        and op.new is not ABSENT
        and not isinstance(op.new, (dict, list, set))
    )


def _last_puts(ops: list[Op]) -> list[Op]:
    """Keep only the last of several writes of one entry: nobody ever sees the others."""
    if len({(id(op.node), op.key) if type(op) is Put else id(op) for op in ops}) == len(ops):
        return ops
    places: dict[tuple[int, Any], int] = {}
    kept: list[Op | None] = []
    for op in ops:
        if isinstance(op, Put):
            place = places.get((id(op.node), op.key))
            before = None if place is None else kept[place]
            places[id(op.node), op.key] = len(kept)
            if isinstance(before, Put) and place is not None:
                kept[place] = None
                removed = [*before.removed, *op.removed]
                kept.append(Put(op.node, op.key, before.old, op.new, default=op.default, removed=removed))
                continue
        kept.append(op)
    return [op for op in kept if op is not None]
