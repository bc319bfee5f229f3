"""Taking back an op that was done to the live containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from tinysync.crdt.ops import ABSENT, Assign, Put, Reorder, Splice
from tinysync.tracked.base import Tracked
from tinysync.tracked.detached import detach
from tinysync.tracked.lazy import write_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysync.crdt.ops import Op, Removed


def undo(op: Op) -> None:
    """Set the containers that the op changed back to what they were before it.

    What it removed is restored, content and all; what it brought in is detached.
    """
    match op:
        case Put():
            _undo_put(op)
        case Assign():
            list.__setitem__(op.node.container, op.index, op.old)
            _exchange([op.new], op.removed)
        case Splice():
            list.__setitem__(op.node.container, slice(op.index, op.index + len(op.new)), op.old)
            _exchange(op.new, op.removed)
        case Reorder():
            items = list(op.node.container)
            for index, before in enumerate(op.order):
                list.__setitem__(op.node.container, before, items[index])
        case _:
            assert_never(op)


def _undo_put(op: Put) -> None:
    container = op.node.container
    if op.node.kind == "set":
        (set.discard if op.old is ABSENT else set.add)(container, op.key)
    elif not isinstance(container, dict):
        write_entry(container, op.key, op.new, op.old)
    elif op.old is ABSENT:
        dict.pop(container, op.key, None)
    else:
        dict.__setitem__(container, op.key, op.old)
    _exchange([op.new], op.removed)


def _exchange(brought_in: list[Any], taken_out: Sequence[Removed]) -> None:
    for value in brought_in:
        if isinstance(value, Tracked):
            detach(value, by_other=False)
    for removed in taken_out:
        removed.node.attached = True
        removed.node.removed_by_other = False
        refill(removed.node.container, removed.content)


def refill(container: Any, content: Any) -> None:
    """Make a live container hold what it held before, past its methods."""
    if isinstance(container, list):
        list.__setitem__(container, slice(None), content)
        return
    builtin = dict if isinstance(container, dict) else set
    builtin.clear(container)
    builtin.update(container, content)
