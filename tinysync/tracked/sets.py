"""A set whose changes are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.tracked.base import Tracked, editing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet
    from typing import Self, SupportsIndex

    from tinysync.tracked.detached import DetachedEdit
    from tinysync.tracked.edit import Edit


class SetWrapper(Tracked, set[Any]):
    """A set that is, while attached, part of a tracked structure."""

    __slots__ = ("_node", "_recorder")

    def add(self, element: Any, /) -> None:
        """Add an element, if it is not there."""
        with editing(self, "add", (element,)) as edit:
            edit.add(self, element)

    def discard(self, element: Any, /) -> None:
        """Remove an element, if it is there."""
        with editing(self, "discard", (element,)) as edit:
            if element in self:
                edit.discard(self, element)

    def remove(self, element: Any, /) -> None:
        """Remove an element; KeyError if it is not there."""
        with editing(self, "remove", (element,)) as edit:
            if element not in self:
                set().remove(element)
            edit.discard(self, element)

    def pop(self) -> Any:
        """Remove any element, and return it; KeyError if there is none."""
        with editing(self, "pop", ()) as edit:
            # The builtin finds an element fast; then it is back where it was, to be removed with a record.
            element = set.pop(self)
            set.add(self, element)
            edit.discard(self, element)
            return element

    def clear(self) -> None:
        """Remove all elements."""
        with editing(self, "clear", ()) as edit:
            edit.clear(self)

    def update(self, /, *others: Iterable[Any]) -> None:
        """Add the elements of all others."""
        added = set().union(*others)
        with editing(self, "update", others) as edit:
            _change(edit, self, added - self, set())

    def difference_update(self, /, *others: Iterable[Any]) -> None:
        """Remove the elements of all others."""
        removed = set().union(*others)
        with editing(self, "difference_update", others) as edit:
            _change(edit, self, set(), removed & self)

    def intersection_update(self, /, *others: Iterable[Any]) -> None:
        """Keep the elements that are in every other one."""
        with editing(self, "intersection_update", others) as edit:
            _change(edit, self, set(), self - self.intersection(*others))

    def symmetric_difference_update(self, other: Iterable[Any], /) -> None:
        """Remove the elements that are in the other, and add those of it that are not here."""
        toggled = set(other)
        with editing(self, "symmetric_difference_update", (other,)) as edit:
            _change(edit, self, toggled - self, toggled & self)

    def __ior__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        with editing(self, "__ior__", (other,)) as edit:
            _change(edit, self, other - self, set())
        return self

    def __isub__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        with editing(self, "__isub__", (other,)) as edit:
            _change(edit, self, set(), other & self)
        return self

    def __iand__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        with editing(self, "__iand__", (other,)) as edit:
            _change(edit, self, set(), self - other)
        return self

    def __ixor__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        with editing(self, "__ixor__", (other,)) as edit:
            _change(edit, self, other - self, other & self)
        return self

    def __repr__(self) -> str:
        return repr(set(self))

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        return set, (list(self),)


def _change(
    edit: Edit | DetachedEdit, container: SetWrapper, added: Iterable[Any], removed: Iterable[Any]
) -> None:
    for element in removed:
        edit.discard(container, element)
    for element in added:
        edit.add(container, element)
