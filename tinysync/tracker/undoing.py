"""Undo and redo: what the transactions of this session did, and taking it back.

A step keeps the ops of its transaction as they are; how to revert them is found out when they are undone.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.ops import Assign, Put, Reorder, Splice
from tinysync.errors import UsageError
from tinysync.model import Undone
from tinysync.tracked.others import OthersWrites
from tinysync.tracked.revert import Revert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op
    from tinysync.crdt.patching import Touched
    from tinysync.crdt.sequence import Slot
    from tinysync.model import Origin
    from tinysync.tracker.replica import Replica

LIMIT: Final = 1_000
"""How many transactions can be undone at first."""

MOST_VALUES: Final = 500_000
"""About how many values undo keeps; the oldest transactions go where there would be more, but never the newest."""

_MANY: Final = MOST_VALUES // LIMIT
_LONG_TEXT: Final = 1_000
_TEXT_UNIT: Final = 64


Step = tuple["list[Op]", int, int]
"""A transaction, or several that are undone together.

Its ops, when it was on the clock of the writes of others, and about how many values it keeps alive.
"""


class Undoing:
    """The steps of one structure that can be undone and redone; used under its lock."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._notifier = replica.notifier
        self._others = OthersWrites()
        self._done: deque[Step] = deque(maxlen=LIMIT)
        self._undone: deque[Step] = deque(maxlen=LIMIT)
        self._reverting: tuple[deque[Step], deque[Step]] | None = None
        """While a step is reverted: where it is from, and where what takes that back goes."""
        self._newest: deque[Step] = self._done
        self._into: list[Op] | None = None
        """The ops of the step that the last transaction went into, if it was caused by that."""
        self.grouping = 0.0
        self._group_until: float | None = None
        self._is_plain = True
        """Whether a transaction is just one more step: nothing is reverted, grouped or to be redone."""

    # --- what happens --------------------------------------------------------------------------------------

    def note(self, ops: list[Op], origin: Origin) -> None:
        """Keep the ops of a transaction that is written; nobody may use the list from now on."""
        if self._is_plain and len(ops) == 1 and self._notifier.batch is None:
            # The commonest edit, at every one of which this is called.
            first = ops[0]
            if (
                type(first) is Put
                and not first.removed
                and (type(first.old) is not str or len(first.old) < _LONG_TEXT)
            ):
                self._done.append((ops, self._others.clock, 1))
                return
        for op in ops:
            if isinstance(op, Reorder) and op.moved is not None:
                # As long as the list is; the elements that were moved say it too.
                op.order = []
        self._into = None
        if self._reverting is not None:
            self._note_reverted(ops)
            return
        cause = self._cause()
        if cause is not None and self._extend_step(cause, ops):
            self._into = cause
            return
        self._undone.clear()
        self._newest = self._done
        if not self.grouping or not self._joined(ops, origin):
            self._push(self._done, (ops, self._others.clock, _values(ops)))
        self._see_what_is_plain()

    def _see_what_is_plain(self) -> None:
        self._is_plain = self._reverting is None and not self.grouping and not self._undone

    def _joined(self, ops: list[Op], origin: Origin) -> bool:
        """Add a transaction to the group that is being typed, if there is one."""
        now = time.monotonic()
        joins = self._group_until is not None and now <= self._group_until and origin == "local" and self._done
        self._group_until = now + self.grouping if origin == "local" else None
        if joins:
            self._extend(self._done, len(self._done) - 1, ops)
        return bool(joins)

    def _note_reverted(self, ops: list[Op]) -> None:
        assert self._reverting is not None
        (source, target), self._reverting = self._reverting, None
        source.pop()
        self._push(target, (ops, self._others.clock, _values(ops)))
        self._newest = target

    def _cause(self) -> list[Op] | None:
        """Return the ops of the step that callbacks are hearing of, if this is one of them that changes something.

        What they change belongs to it.
        """
        batch = self._notifier.batch
        cause = batch.cause if batch is not None and self._replica.lock.is_calling_back else None
        return cause if isinstance(cause, list) else None

    def cause_of_answers(self) -> object:
        """Return what changes belong to that callbacks make when they hear of the last transaction."""
        if self._into is not None and self._notifier.batch is not None:
            return self._into
        return self._newest[-1][0] if self._newest else None

    def _extend_step(self, known: list[Op], ops: list[Op]) -> bool:
        """Add a transaction to a step; return False if that is not there any more."""
        for steps in (self._done, self._undone):
            for index in reversed(range(len(steps))):
                if steps[index][0] is known:
                    self._extend(steps, index, ops)
                    return True
        return False

    def _extend(self, steps: deque[Step], index: int, ops: list[Op]) -> None:
        known, clock, values = steps[index]
        last, first = known[-1], ops[0]
        if (
            len(ops) == 1
            and isinstance(first, Put)
            and isinstance(last, Put)
            and (last.node is first.node and last.key == first.key and not first.removed)
        ):
            # Typing: what was there in between is of no use.
            last.new = first.new
        else:
            known.extend(ops)
            values += _values(ops)
        steps[index] = known, clock, values
        self._limit_values(steps)

    def _push(self, steps: deque[Step], step: Step) -> None:
        steps.append(step)
        self._limit_values(steps)

    def _limit_values(self, steps: deque[Step]) -> None:
        if not steps or steps[-1][2] < _MANY:
            return
        total = sum(values for _, _, values in steps)
        while total > MOST_VALUES and len(steps) > 1:
            total -= steps.popleft()[2]

    def others_wrote(self, touched: Iterable[Touched]) -> None:
        """Remember where others wrote, and end the group."""
        self._group_until = None
        if self._done or self._undone:
            self._others.note(touched)
        else:
            self._others.forget()

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()
        self._others.forget()
        self._group_until = None

    # --- settings ------------------------------------------------------------------------------------------

    @property
    def limit(self) -> int:
        """How many steps are kept."""
        return self._done.maxlen or 0

    def set_limit(self, steps: int) -> None:
        """Keep so many steps; raises UsageError unless it is an int from 0 on."""
        if type(steps) is not int or steps < 0:
            raise UsageError(f"undo_limit must be an int from 0 on, not {steps!r}")
        with self._replica.reading():
            self._done = self._newest = deque(self._done, maxlen=steps)
            self._undone = deque(self._undone, maxlen=steps)

    def set_grouping(self, seconds: float) -> None:
        """Join transactions that are so close; raises UsageError unless it is a number from 0 on."""
        if type(seconds) not in (int, float) or not seconds >= 0:
            raise UsageError(f"undo_grouping must be a number of seconds from 0 on, not {seconds!r}")
        self.grouping = float(seconds)
        self._group_until = None
        self._see_what_is_plain()

    # --- undo and redo -------------------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self._undone)

    def undo(self) -> Undone:
        """Revert the newest step."""
        return self._revert("undo")

    def redo(self) -> Undone:
        """Revert the newest undo."""
        return self._revert("redo")

    def _revert(self, what: str) -> Undone:
        replica = self._replica
        with replica.changing():
            if replica.lock.blocks:
                raise UsageError(f"cannot {what} inside a transaction: leave it by an exception to take it back")
            source, target = (self._done, self._undone) if what == "undo" else (self._undone, self._done)
            self._group_until = None
            self._is_plain = False
            result = Undone(done=False)
            try:
                # What came to nothing, like writing the value that was there, is no step for anybody.
                while source and not result and not result.left:
                    result = self._revert_newest(source, target)
            finally:
                self._reverting = None
                self._see_what_is_plain()
            return result

    def _elements(self, node: Node) -> list[Slot]:
        # Without a document no op has slots, and nobody asks for elements.
        return self._replica.document.elements(node)

    def _revert_newest(self, source: deque[Step], target: deque[Step]) -> Undone:
        replica = self._replica
        ops, clock, _ = source[-1]
        with replica:
            transaction = replica.transaction

            def note(container: Any, func_name: str, args: tuple[Any, ...]) -> None:
                if replica.notifier:
                    transaction.note(replica, container, func_name, args, None, mark=-1)

            revert = Revert(transaction.journal, note, self._elements, self._others, clock)
            revert.revert(ops)
            done = bool(transaction.journal.ops)
            if done:
                self._reverting = source, target
            else:
                source.pop()
        return Undone(done, tuple(revert.left))


def _values(ops: list[Op]) -> int:
    """Return about how many values are kept alive by ops."""
    total = 0
    for op in ops:
        total += 1
        match op:
            case Put() | Assign():
                total += _size(op.old)
            case Splice():
                total += len(op.new) + sum(map(_size, op.old))
            case Reorder():
                total += len(op.order) if op.around is None else sum(map(len, op.around))
        if not isinstance(op, Reorder):
            total += sum(len(entry.content) + sum(map(_size, entry.content)) for entry in op.removed)
    return total


def _size(value: Any) -> int:
    return 1 + len(value) // _TEXT_UNIT if isinstance(value, (str, bytes)) else 1
