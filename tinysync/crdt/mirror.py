"""What Python keeps beside the engine, so that it need not be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinysync.crdt.keys import key_text
from tinysync.crdt.node import Node, node_of
from tinysync.crdt.ops import Op, Reorder, Splice
from tinysync.crdt.sequence import Sequence

if TYPE_CHECKING:
    from tinysync.crdt.engine import Engine
    from tinysync.crdt.sequence import Slot
    from tinysync.model import Kind


@dataclass(slots=True)
class Mirror:
    """The containers of a document, those that show, and what is there of others."""

    nodes: dict[str, Node] = field(default_factory=dict)
    """The containers that show, by node id."""
    sequences: dict[str, Sequence] = field(default_factory=dict)
    """All lists, also those that do not show."""
    hidden: dict[str, set[str]] = field(default_factory=dict)
    """Key texts of the cells of dict and set nodes that do not show."""

    def sequence(self, list_id: str) -> Sequence:
        """Return the mirror of a list."""
        sequence = self.sequences.get(list_id)
        if sequence is None:
            sequence = self.sequences[list_id] = Sequence(list_id)
        return sequence

    def has_hidden(self, identifier: str, kind: Kind) -> bool:
        """Tell whether cells are left of a container that does not show."""
        if kind == "list":
            sequence = self.sequences.get(identifier)
            return sequence is not None and bool(sequence.slots)
        return bool(self.hidden.get(identifier))

    def adopt(self, node: Node) -> None:
        """Register a live container and those inside it, and sort out which of its cells do not show."""
        self.nodes[node.id] = node
        container = node.container
        if node.kind == "list":
            self.sequence(node.id)
        else:
            rest = self.hidden.pop(node.id, set()) - {key_text(key) for key in container}
            node.absent = rest or None
        if node.kind != "set":
            for value in container.values() if node.kind == "dict" else container:
                child = node_of(value)
                if child is not None:
                    self.adopt(child)

    def elements_before(self, ops: list[Op], engine: Engine) -> dict[Node, list[Slot]]:
        """Return the elements of each list as they were before the ops."""
        with engine.reading():
            lists = [node for node in self.nodes.values() if node.kind == "list"]
            elements = {node: self.sequence(node.id).anchors(engine) for node in lists}
        for op in reversed(ops):
            if isinstance(op, Reorder):
                if op.moved is not None:
                    after = elements[op.node].copy()
                    for slot, index in zip(after, op.order, strict=True):
                        elements[op.node][index] = slot
                continue
            if isinstance(op, Splice) and op.slots is not None and op.gone is not None:
                elements[op.node][op.index : op.index + len(op.slots)] = op.gone
            for entry in op.removed:
                if entry.slots is not None:
                    elements[entry.node] = list(entry.slots)
        return elements
