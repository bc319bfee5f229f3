"""Taking back a transaction that has been committed, while others may have gone on: as new edits.

What a transaction did is known from the ops of its journal. They are taken back last one first; entries of dicts
and sets once each, from what the transaction left there to what was there before it. List elements are found by
their slots wherever they are now. A container that comes back is the same live container, under a new node id, so
that earlier transactions which wrote to it can be taken back too. What others wrote since, or hold in what would
go, is left, and said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from tinysync.crdt.keys import key_text
from tinysync.crdt.node import node_of
from tinysync.crdt.ops import ABSENT, Assign, Put, Reorder, Splice
from tinysync.crdt.stored_key import stored_key
from tinysync.model import Left
from tinysync.tracked.base import Tracked
from tinysync.tracked.sameness import same
from tinysync.tracked.undo import refill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op, Removed
    from tinysync.crdt.sequence import Slot
    from tinysync.model import Path
    from tinysync.tracked.journal import Journal
    from tinysync.tracked.others import OthersWrites

    Note = Callable[[Any, str, tuple[Any, ...]], None]

WRITTEN = "another device or process has written to it since"
WRITTEN_INSIDE = "another device or process has since written to what is in it"
CHANGED = "it does not hold what was written here any more"
GONE = "the container around it is not there any more"
ELEMENT_GONE = "the list element is not there any more"
MOVED = "another device or process has since moved it"


class Revert:
    """Takes back the ops of one transaction that was committed when the clock of ``others`` stood at ``since``.

    ``note(container, func_name, args)`` is told each edit; ``elements`` gives the slots of a list, in the order in
    which they show. Where ops have no slots, because there is no document, nobody else edits the structure either,
    and indices are good.
    """

    def __init__(
        self,
        journal: Journal,
        note: Note,
        elements: Callable[[Node], list[Slot]],
        others: OthersWrites,
        since: int,
    ) -> None:
        self._journal = journal
        self._note = note
        self._document_elements = elements
        self._others = others
        self._since = since
        self._elements: dict[Node, list[Slot]] = {}
        """The slots of lists, kept in step with the live ones."""
        self._fresh: set[int] = set()
        """The containers that the transaction brought in, by id of the node."""
        self.left: list[Left] = []

    def revert(self, ops: list[Op]) -> None:
        """Take the ops back."""
        before, gone = self._look_through(ops)
        for op in reversed(ops):
            if self._came_in(op.node):
                # It goes, or is left, as a whole.
                continue
            if isinstance(op, Put):
                # A dict's entries come back together, in the order that they had.
                for last in (*sorted(gone.pop(id(op.node), ()), key=_rank), op):
                    first = before.pop((id(last.node), last.key), None)
                    if first is not None:
                        self._put(first, last)
            elif not op.node.attached:
                self._leave(op.node, (), GONE)
            else:
                self._revert_list(op)

    def _look_through(self, ops: list[Op]) -> tuple[dict[tuple[int, Any], Put], dict[int, list[Put]]]:
        """Note what came in; return the first ops of entries, and by dict the last ops of those that come back."""
        before: dict[tuple[int, Any], Put] = {}
        after: dict[tuple[int, Any], Put] = {}
        for op in ops:
            if isinstance(op, Put):
                before.setdefault((id(op.node), op.key), op)
                after[id(op.node), op.key] = op
            if not isinstance(op, Reorder):
                for value in op.new if isinstance(op, Splice) else [op.new]:
                    self._fresh.add(id(node_of(value)))
        gone: dict[int, list[Put]] = {}
        for place, last in after.items():
            if last.node.kind == "dict" and last.new is ABSENT and before[place].old is not ABSENT:
                gone.setdefault(id(last.node), []).append(last)
        return before, gone

    def _came_in(self, node: Node | None) -> bool:
        while node is not None:
            if id(node) in self._fresh:
                return True
            node = node.parent
        return False

    # --- dicts and sets ------------------------------------------------------------------------------------

    def _put(self, first: Put, last: Put) -> None:
        """Bring an entry from what the last op left there to what was there before the first."""
        node, container, old = last.node, last.node.container, first.old
        place = (last.key,) if node.kind == "dict" else ()
        if not node.attached:
            self._leave(node, place, GONE)
            return
        if _is(last.new, old) and (old is ABSENT or _is(first.key, last.key)):
            return
        if node.kind == "set":
            current = True if last.key in container else ABSENT
        else:
            current = container.get(last.key, ABSENT)
        # Without a document there are no others, and keys may be anything.
        if self._others.clock > self._since and self._others.wrote(node, key_text(last.key), self._since):
            self._leave(node, place, WRITTEN)
        elif not _is(current, last.new):
            self._leave(node, place, CHANGED)
        elif self._others.wrote_inside(current, self._since):
            self._leave(node, place, WRITTEN_INSIDE)
        elif node.kind == "set":
            self._put_element(node, first.key, old)
        else:
            self._put_entry(node, first, current)

    def _put_element(self, node: Node, element: Any, old: Any) -> None:
        container = node.container
        if element in container:
            stored = stored_key(container, element)
            self._journal.discard(node, stored)
            self._note(container, "discard", (stored,))
        if old is not ABSENT:
            self._journal.add(node, element)
            self._note(container, "add", (element,))

    def _put_entry(self, node: Node, first: Put, current: Any) -> None:
        container, old = node.container, first.old
        stored = stored_key(container, first.key)
        if current is not ABSENT and (old is ABSENT or not same(stored, first.key)):
            self._journal.remove(node, stored, current)
            self._note(container, "__delitem__", (stored,))
            current = ABSENT
        if old is not ABSENT:
            self._revive(first.removed)
            self._journal.put(node, first.key, current, old)
            self._note(container, "__setitem__", (first.key, old))

    # --- lists ---------------------------------------------------------------------------------------------

    def _revert_list(self, op: Assign | Splice | Reorder) -> None:
        match op:
            case Assign():
                self._assign(op)
            case Splice():
                self._take_out(op)
                if op.old:
                    self._put_back(op)
            case Reorder():
                self._reorder(op)
            case _:
                assert_never(op)

    def _assign(self, op: Assign) -> None:
        node, container = op.node, op.node.container
        if _is(op.new, op.old):
            return
        index = op.index if op.slot is None else self._find(node, op.slot, op.index)
        if index is None:
            self._leave(node, (), ELEMENT_GONE)
        elif self._others.wrote(node, op.slot, self._since):
            self._leave(node, (index,), WRITTEN)
        elif not _is(container[index], op.new):
            self._leave(node, (index,), CHANGED)
        elif self._others.wrote_inside(container[index], self._since):
            self._leave(node, (index,), WRITTEN_INSIDE)
        else:
            self._revive(op.removed)
            self._journal.assign(node, index, op.old)
            self._note(container, "__setitem__", (index, op.old))

    def _take_out(self, op: Splice) -> None:
        """Remove the elements that the op inserted, as far as they are there."""
        node, container = op.node, op.node.container
        if op.slots is None:
            going = list(range(op.index, op.index + len(op.new)))
        else:
            going = []
            for offset, slot in enumerate(op.slots):
                index = self._find(node, slot, op.index + offset)
                if index is None:
                    continue
                if self._others.wrote(node, slot, self._since):
                    self._leave(node, (index,), WRITTEN)
                elif self._others.wrote_inside(container[index], self._since):
                    self._leave(node, (index,), WRITTEN_INSIDE)
                else:
                    going.append(index)
        for start, stop in reversed(_runs(sorted(going))):
            self._journal.splice(node, start, stop - start, [])
            if op.slots is not None:
                del self._working(node)[start:stop]
            self._note(container, "__delitem__", (start if stop - start == 1 else slice(start, stop),))

    def _put_back(self, op: Splice) -> None:
        """Insert the elements that the op removed, beside those that they were beside of."""
        node, container = op.node, op.node.container
        index = op.index if op.gone is None else self._place(op)
        self._revive(op.removed)
        self._journal.splice(node, index, 0, list(op.old))
        if op.gone is not None:
            self._working(node)[index:index] = op.gone
            done = self._journal.ops[-1]
            assert isinstance(done, Splice)
            done.slots = list(op.gone)
        if len(op.old) == 1:
            self._note(container, "insert", (index, op.old[0]))
        else:
            self._note(container, "__setitem__", (slice(index, index), list(op.old)))

    def _place(self, op: Splice) -> int:
        if op.left is not None:
            index = self._find(op.node, op.left, op.index - 1)
            if index is not None:
                return index + 1
        if op.right is not None:
            index = self._find(op.node, op.right, op.index)
            if index is not None:
                return index
        return min(op.index, len(op.node.container))

    def _reorder(self, op: Reorder) -> None:
        node, container = op.node, op.node.container
        if op.moved is None:
            order = [0] * len(op.order)
            for index, source in enumerate(op.order):
                order[source] = index
        else:
            order = self._order_before(node, op)
        changed = [index for index, source in enumerate(order) if index != source]
        if not changed:
            return
        self._journal.reorder(node, order)
        if op.moved is not None:
            working = self._working(node)
            working[:] = [working[source] for source in order]
        low, high = changed[0], changed[-1]
        if order[low:high] == list(range(low + 1, high + 1)):
            self._note(container, "move", (low, high))
        elif order[low + 1 : high + 1] == list(range(low, high)):
            self._note(container, "move", (high, low))
        else:
            self._note(container, "__setitem__", (slice(None), list(container)))

    def _order_before(self, node: Node, op: Reorder) -> list[int]:
        """Return the order in which the moved elements are again behind those that they were behind of."""
        working = self._working(node)
        places = {id(slot): index for index, slot in enumerate(working)}
        going: set[int] = set()
        for slot in op.moved or ():
            if id(slot) not in places:
                continue
            if self._others.wrote(node, (slot,), self._since):
                self._leave(node, (places[id(slot)],), MOVED)
            else:
                going.add(id(slot))
        order: list[int] = []
        in_front: dict[int, list[int]] = {}
        behind: dict[int, list[int]] = {}
        for number, run in enumerate(op.around or ()):
            # Until there is an element that stays they wait for one; those at the start of the list need none.
            waiting = order if number == 0 and op.from_start else []
            last: list[int] | None = None
            for slot in run:
                if id(slot) in going:
                    (waiting if last is None else last).append(places[id(slot)])
                elif id(slot) in places:
                    if last is None and waiting is not order:
                        in_front[id(slot)] = waiting
                    last = behind.setdefault(id(slot), [])
            if last is None and waiting is not order:
                # Nothing is left of what was around them.
                going.difference_update(map(id, run))
        for slot in working:
            if id(slot) not in going:
                order += [*in_front.get(id(slot), ()), places[id(slot)], *behind.get(id(slot), ())]
        return order

    def _working(self, node: Node) -> list[Slot]:
        elements = self._elements.get(node)
        if elements is None:
            elements = self._elements[node] = list(self._document_elements(node))
        return elements

    def _find(self, node: Node, slot: Slot, hint: int) -> int | None:
        elements = self._working(node)
        if 0 <= hint < len(elements) and elements[hint] is slot:
            return hint
        try:
            return elements.index(slot)
        except ValueError:
            return None

    # --- both ----------------------------------------------------------------------------------------------

    def _revive(self, removed: Sequence[Removed]) -> None:
        """Make removed containers ready to come back, each with what it held when it was removed."""
        for entry in removed:
            node = entry.node
            node.attached = True
            node.removed_by_other = False
            node.returned = True
            node.seeded = False
            node.absent = None
            node.id = ""
            refill(node.container, entry.content)
            if entry.slots is not None:
                # The very list that is kept in step here is what the document will write it with.
                node.elements = self._elements[node] = list(entry.slots)

    def _leave(self, node: Node, place: tuple[Any, ...], why: str) -> None:
        self.left.append(Left([*_known_path(node), *place], why))


def _rank(put: Put) -> int:
    return put.rank


def _is(current: Any, expected: Any) -> bool:
    if current is expected:
        return True
    if current is ABSENT or expected is ABSENT or isinstance(current, Tracked) or isinstance(expected, Tracked):
        return False
    return same(current, expected)


def _runs(indices: list[int]) -> list[tuple[int, int]]:
    """Return ascending indices as (start, stop)."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index:
            runs[-1] = runs[-1][0], index + 1
        else:
            runs.append((index, index + 1))
    return runs


def _known_path(node: Node) -> Path:
    """Return the path of a container that may have left the structure, as far as it is known."""
    steps: Path = []
    while node.parent is not None:
        parent = node.parent
        if parent.kind == "list":
            index = next((i for i, item in enumerate(parent.container) if item is node.container), None)
            steps = [] if index is None else [index, *steps]
        else:
            steps = [node.key, *steps]
        node = parent
    return steps
