"""A list whose changes are recorded."""

from __future__ import annotations

from operator import index as to_index
from typing import TYPE_CHECKING, Any

from tinysync.tracked.base import Tracked, editing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self, SupportsIndex


class ListWrapper(Tracked, list[Any]):
    """A list that is, while attached, part of a tracked structure.

    What is inserted or assigned is copied in. A plain dict, list or set that is assigned over one of the same
    kind makes that one equal to itself, in place; elements that a slice assignment leaves the same are not
    touched.
    """

    __slots__ = ("__weakref__", "_node", "_recorder")

    def __setitem__(self, index: Any, value: Any, /) -> None:
        with editing(self, "__setitem__", (index, value)) as edit:
            if isinstance(index, slice):
                positions = range(len(self))[index]
                if positions.step == 1:
                    edit.replace(self, positions.start, len(positions), _assigned(value))
                else:
                    values = _assigned_extended(value, len(positions))
                    edit.assign_all(self, dict(zip(positions, values, strict=True)))
            elif (position := self._position(index)) is None:
                list(self)[index] = value
            else:
                edit.assign(self, position, value)

    def __delitem__(self, index: Any, /) -> None:
        with editing(self, "__delitem__", (index,)) as edit:
            if isinstance(index, slice):
                positions = range(len(self))[index]
                if abs(positions.step) == 1:
                    edit.splice(self, min(positions, default=0), len(positions), [])
                else:
                    for one in sorted(positions, reverse=True):
                        edit.splice(self, one, 1, [])
            elif (position := self._position(index)) is None:
                del list(self)[index]
            else:
                edit.splice(self, position, 1, [])

    def __iadd__(self, other: Iterable[Any], /) -> Self:  # type: ignore[misc]
        values: list[Any] = []
        values += other
        with editing(self, "__iadd__", (other,)) as edit:
            edit.splice(self, len(self), 0, values)
        return self

    def __imul__(self, times: SupportsIndex, /) -> Self:
        if not hasattr(times, "__index__"):
            return NotImplemented
        with editing(self, "__imul__", (times,)) as edit:
            repeated = list(self) * times
            kept = min(len(self), len(repeated))
            edit.splice(self, kept, len(self) - kept, repeated[kept:])
        return self

    def append(self, value: Any, /) -> None:
        """Add an element at the end."""
        with editing(self, "append", (value,)) as edit:
            edit.splice(self, len(self), 0, [value])

    def extend(self, values: Iterable[Any], /) -> None:
        """Add the elements of an iterable at the end; all or none of them."""
        added: list[Any] = []
        added.extend(values)
        with editing(self, "extend", (values,)) as edit:
            edit.splice(self, len(self), 0, added)

    def insert(self, index: SupportsIndex, value: Any, /) -> None:
        """Insert an element before an index."""
        [].insert(index, value)
        position = to_index(index)
        with editing(self, "insert", (index, value)) as edit:
            if position < 0:
                position += len(self)
            edit.splice(self, min(max(position, 0), len(self)), 0, [value])

    def remove(self, value: Any, /) -> None:
        """Remove the first element that is equal to a value; ValueError if there is none."""
        with editing(self, "remove", (value,)) as edit:
            if value in self:
                edit.splice(self, self.index(value), 1, [])
            else:
                [].remove(value)

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        """Remove the element at an index, and return it; IndexError if there is none."""
        with editing(self, "pop", () if index == -1 else (index,)) as edit:
            position = self._position(index)
            if position is None:
                return list(self).pop(index)
            value = self[position]
            edit.splice(self, position, 1, [])
            return value

    def clear(self) -> None:
        """Remove all elements."""
        with editing(self, "clear", ()) as edit:
            edit.splice(self, 0, len(self), [])

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Sort in place, stably. If the key or a comparison raises, the list is as it was before."""
        kwargs = {"key": key} if key is not None else {}
        with editing(self, "sort", (), kwargs | ({"reverse": reverse} if reverse else {})) as edit:
            items = list(self)
            key_of = items.__getitem__ if key is None else lambda index: key(items[index])
            order = sorted(range(len(items)), key=key_of, reverse=reverse)
            if len(self) != len(items) or any(a is not b for a, b in zip(self, items, strict=True)):
                raise ValueError("list modified during sort")
            edit.reorder(self, order)

    def reverse(self) -> None:
        """Reverse in place."""
        with editing(self, "reverse", ()) as edit:
            edit.reorder(self, list(range(len(self) - 1, -1, -1)))

    def move(self, index: SupportsIndex, to: SupportsIndex, /) -> None:
        """Move the element at an index so that it ends up at another; IndexError if there is no such index.

        Unlike removing and inserting it, this keeps an edit that somebody else makes of the element meanwhile.
        """
        with editing(self, "move", (index, to)) as edit:
            source, target = self._position(to_index(index)), self._position(to_index(to))
            if source is None or target is None:
                raise IndexError("move index out of range")
            order = list(range(len(self)))
            order.insert(target, order.pop(source))
            edit.reorder(self, order)

    def _position(self, index: Any) -> int | None:
        """Return an index counted from the beginning, or None if the builtin would not accept it."""
        try:
            position = range(len(self))[index]
        except (IndexError, TypeError):
            return None
        return position if isinstance(position, int) else None

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        elements: Iterator[Any] = iter(self)
        return list, (), None, elements


def _assigned(values: Any) -> list[Any]:
    """Return what is assigned to a slice; raises what the builtin raises."""
    assigned: list[Any] = []
    assigned[:] = values
    return assigned


def _assigned_extended(values: Any, size: int) -> list[Any]:
    """Return what is assigned to a slice with a step; raises what the builtin raises."""
    assigned = [None] * (2 * size)
    assigned[::2] = values
    return assigned[::2]
