"""The primitive edits that a transaction's journal consists of.

An op is written down when the live structure has been changed, and replayed into the document when the
transaction ends. Values are live values: a plain value, or a live container whose node may have no id yet.

While it is replayed, an op of a list gets to know the elements that it is about, as slots: what indices mean
changes when others edit the list, and an element stays the one it is. A list that was made in the same transaction
is written with the content it has at the end, and ops in it have no slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysync.crdt.node import Node
    from tinysync.crdt.sequence import Slot


class _Absent:
    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""Stands for 'no entry' where None is a value."""


@dataclass(slots=True)
class Removed:
    """A container that an op took out of the structure, with a shallow copy of what it held then."""

    node: Node
    content: Any
    slots: list[Slot] | None = None
    """The elements of a list."""


@dataclass(slots=True)
class Put:
    """A dict entry or set element (then ``key`` is it) was written; ``new`` ABSENT: removed."""

    node: Node
    key: Any
    old: Any
    new: Any
    default: bool = False
    """Written by ``setdefault``: goes to the default layer instead of the chosen one."""
    removed: Sequence[Removed] = ()
    rank: int = 0
    """Of a removal from a dict: where the key was, among others that were removed in the same transaction."""


@dataclass(slots=True)
class Assign:
    """A list element was replaced in place: ``l[index] = new``."""

    node: Node
    index: int
    old: Any
    new: Any
    removed: Sequence[Removed] = ()
    slot: Slot | None = None


@dataclass(slots=True)
class Splice:
    """``old`` elements at ``index`` were removed and ``new`` ones inserted there."""

    node: Node
    index: int
    old: list[Any]
    new: list[Any]
    removed: Sequence[Removed] = ()
    slots: list[Slot] | None = None
    """The elements that were inserted; given beforehand, if they were there before and come back."""
    gone: list[Slot] | None = None
    """The elements that were removed."""
    left: Slot | None = None
    right: Slot | None = None
    """The elements on both sides, if there are any."""


@dataclass(slots=True)
class Reorder:
    """A list's elements were permuted: the element now at i was at ``order[i]``."""

    node: Node
    order: list[int]
    moved: list[Slot] | None = None
    """The elements that were moved to get all into the new order."""
    around: list[list[Slot]] | None = None
    """Runs of the elements in the order they had: those that were moved, and some beside them."""
    from_start: bool = False
    """Whether the first run begins with the list."""


Op = Put | Assign | Splice | Reorder
