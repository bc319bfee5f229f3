"""Containers that are not, or no longer, part of a structure."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import DetachedWarning
from tinysync.tracked.plain import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from tinysync.tracked.base import Tracked


class DetachedEdit:
    """The edits of a call on a detached container: those of ``Edit``, done as the builtin does them.

    Values are stored as they were given, and nothing is recorded.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def put(self, container: Any, key: Any, value: Any) -> None:
        """Write a dict entry."""
        dict.__setitem__(container, key, value)

    def put_all(self, container: Any, entries: Mapping[Any, Any]) -> None:
        """Write several dict entries."""
        dict.update(container, entries)

    def seed(self, container: Any, key: Any, value: Any) -> None:
        """Write a dict entry that is not there yet."""
        dict.__setitem__(container, key, value)

    def remove(self, container: Any, key: Any) -> None:
        """Remove a dict entry."""
        dict.__delitem__(container, key)

    def assign(self, container: Any, index: int, value: Any) -> None:
        """Replace a list element."""
        list.__setitem__(container, index, value)

    def assign_all(self, container: Any, values: Mapping[int, Any]) -> None:
        """Replace several list elements, given by their indices."""
        for index, value in values.items():
            list.__setitem__(container, index, value)

    def splice(self, container: Any, index: int, count: int, values: list[Any]) -> None:
        """Replace ``count`` list elements at ``index`` by any number of others."""
        list.__setitem__(container, slice(index, index + count), values)

    replace = splice

    def reorder(self, container: Any, order: list[int]) -> None:
        """Permute a list: the element that comes to i was at ``order[i]``."""
        list.__setitem__(container, slice(None), [container[index] for index in order])

    def add(self, container: Any, element: Any) -> None:
        """Add a set element."""
        set.add(container, element)

    def discard(self, container: Any, element: Any) -> None:
        """Remove a set element."""
        set.discard(container, element)

    def clear(self, container: Any) -> None:
        """Remove all entries of a dict or elements of a set."""
        (dict if isinstance(container, dict) else set).clear(container)


_DETACHED_EDIT: Final = DetachedEdit()


def detached_edit(container: Tracked) -> DetachedEdit:
    """Return the context for a call on a detached container; warns if somebody else removed it."""
    node = container._node
    if node is not None and node.removed_by_other:
        message = (
            f"this {node.kind} was removed from the structure by another device or a hand edit: what is written "
            "to it now is neither saved nor synced; look it up again from the root, or assign it to a place in "
            "the structure to put it back"
        )
        warnings.warn(message, DetachedWarning, stacklevel=4)
    return _DETACHED_EDIT


def detach(container: Tracked, *, by_other: bool) -> None:
    """Mark a container, and all that are in it, as no longer part of the structure.

    ``by_other``: another device or a hand edit removed it, so that the program is warned if it writes to it.
    """
    node = container._node
    assert node is not None
    node.attached = False
    node.removed_by_other = by_other
    for child in children(container):
        detach(child, by_other=by_other)


def children(container: Any) -> list[Any]:
    """Return the live containers that are directly in a container."""
    if isinstance(container, set):
        return []
    values = container.values() if isinstance(container, dict) else container
    return [value for value in values if type(value) in CONTAINERS]
