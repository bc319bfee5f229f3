"""Diff, patch and revert, and the marks they go by."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import dictdiffer

from tinysync.crdt.ops import ABSENT
from tinysync.crdt.stored_key import stored_key
from tinysync.errors import KindMismatch, UsageError, named
from tinysync.tracked.adopt import copy_anything, copy_in
from tinysync.tracked.base import Tracked, editing
from tinysync.tracked.plain import CONTAINERS, kind_of, plain
from tinysync.tracked.sameness import same
from tinysync.tracker.changed import Changed
from tinysync.tracker.exact import exact_diff
from tinysync.tracker.past import Past

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinysync.model import Path
    from tinysync.tracker.exact import Item
    from tinysync.tracker.past import Difference
    from tinysync.tracker.replica import Replica


class Mark:
    """A moment of a structure, from ``Tracker.mark``: what changed since then is known.

    As long as it is kept, so are the old values of what changed since, each once.
    """

    __slots__ = ("_changed", "_replica")

    def __init__(self, replica: Replica, changed: Changed) -> None:
        self._replica = replica
        self._changed = changed

    def __repr__(self) -> str:
        return f"<Mark in {self._replica.handle!r}>"

    @property
    def changed_paths(self) -> list[Path]:
        """The paths of what changed since the mark: see ``Tracker.changed_paths``."""
        with self._replica.reading():
            differences = past_at(self).differences(self._replica.root._node)
            return [path for difference in differences for path in _paths(difference)]


def set_mark(replica: Replica) -> Mark:
    """Begin to note what changes from now on."""
    with replica.reading():
        replica.check_open()
        if replica.lock.blocks:
            raise UsageError("a mark cannot be set inside a transaction, which may be undone; set it before")
        fresh = Changed()
        if replica.changed is not None:
            replica.changed.next = fresh
        replica.changed = fresh
        replica.last_mark = Mark(replica, fresh)
        return replica.last_mark


def mark_of(replica: Replica, mark: Mark | None) -> Mark:
    """Return the given mark, or the last one; raises UsageError if there is none, or it is another structure's."""
    if mark is None:
        mark = replica.last_mark
    if mark is None:
        raise UsageError("there is no mark that changes are counted from; set one with tracker(x).mark()")
    if mark._replica is not replica:
        raise UsageError(f"{mark!r} is not of {replica.handle!r}")
    return mark


def past_at(mark: Mark) -> Past:
    """Return the structure as it was at a mark; the lock is held."""
    noted: list[Changed] = []
    changed: Changed | None = mark._changed
    while changed is not None:
        noted.append(changed)
        changed = changed.next
    ops = mark._replica.transaction.journal.ops
    if ops:
        # A transaction is open: what it did so far counts.
        now = Changed()
        now.note(ops)
        noted.append(now)
    return Past(noted)


# --- diff --------------------------------------------------------------------------------------------------------


def diff_since(mark: Mark) -> list[Item]:
    """Return what changed since a mark."""
    with mark._replica.reading():
        past = past_at(mark)
        differences = past.differences(mark._replica.root._node)
        return [item for difference in differences for item in _compared(past, difference)]


def diff_to(replica: Replica, other: Any) -> list[Item]:
    """Return what would have to change to make the structure equal to another one."""
    if isinstance(other, Tracked) and other._tracker is not None:
        with other._tracker._replica.reading():
            target = plain(other)
    else:
        target = copy_anything(other) if replica.holds_anything else copy_in(other)
    if kind_of(target) != replica.kind:
        raise KindMismatch(f"a {replica.kind} cannot be compared with {named(other)}")
    return list(exact_diff(replica.snapshot(), target, []))


def _compared(past: Past, difference: Difference) -> Iterator[Item]:
    container, path = difference.node.container, difference.path
    if difference.items is not None:
        yield from _compared_lists(past, difference.items, container, path)
    elif difference.node.kind == "set":
        present = {element for element, was_there in difference.entries.items() if was_there is not ABSENT}
        yield from exact_diff(present, {element for element in difference.entries if element in container}, path)
    else:
        before, now = {}, {}
        for key, old in difference.entries.items():
            new = container.get(key, ABSENT)
            # A container that stayed, under a key of another type, is compared for itself.
            if old is not new or not isinstance(old, Tracked):
                before[key], now[key] = past.plain(old), new
        yield from exact_diff(_present(before), _present(now), path)


def _present(entries: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in entries.items() if value is not ABSENT}


def _compared_lists(past: Past, before: list[Any], now: list[Any], path: Path) -> Iterator[Item]:
    """Compare two lists index by index, as dictdiffer does; containers that stayed are compared for themselves."""
    common = min(len(before), len(now))
    for index in range(common):
        if before[index] is not now[index]:
            yield from exact_diff(past.plain(before[index]), now[index], [*path, index])
    if len(now) > common:
        yield "add", path, [(index, plain(now[index])) for index in range(common, len(now))]
    elif len(before) > common:
        yield (
            "remove",
            path,
            [(index, past.plain(before[index])) for index in range(len(before) - 1, common - 1, -1)],
        )


def _paths(difference: Difference) -> Iterator[Path]:
    """Return the paths of what changed in one container itself."""
    container, path = difference.node.container, difference.path
    if difference.node.kind == "set":
        if any(_is_other(container, element, old) for element, old in difference.entries.items()):
            yield path
    elif difference.items is not None:
        if len(difference.items) != len(container):
            yield path
        else:
            pairs = enumerate(zip(difference.items, container, strict=True))
            yield from ([*path, index] for index, (old, new) in pairs if not _is_same(old, new))
    else:
        for key, old in difference.entries.items():
            new = container.get(key, ABSENT)
            if not _is_same(old, new) or (new is not ABSENT and not same(stored_key(container, key), key)):
                yield [*path, key]


def _is_other(container: Any, element: Any, old: Any) -> bool:
    """Tell whether a set element came, went, or is now another one that is equal."""
    if old is ABSENT or element not in container:
        return bool((element in container) != (old is not ABSENT))
    return not same(stored_key(container, element), element)


def _is_same(old: Any, new: Any) -> bool:
    if old is new:
        return True
    if old is ABSENT or new is ABSENT or isinstance(old, Tracked) or isinstance(new, Tracked):
        return False
    return same(old, new)


# --- revert ------------------------------------------------------------------------------------------------------


def revert_to(mark: Mark) -> None:
    """Bring the structure back to what it was at a mark, as one transaction."""
    with mark._replica:
        past = past_at(mark)
        plan = [
            (difference, _old_values(past, difference))
            for difference in past.differences(mark._replica.root._node)
        ]
        for difference, values in plan:
            if difference.items is not None:
                _revert_list(difference.node.container, difference.items, values)
            elif difference.node.kind == "set":
                _revert_set(difference.node.container, values)
            else:
                _revert_dict(difference.node.container, difference.entries, values)


def _old_values(past: Past, difference: Difference) -> Any:
    """Return the old values as plain ones, before anything is written."""
    if difference.items is not None:
        return [past.plain(item) for item in difference.items]
    if difference.node.kind == "set":
        return difference.entries
    return {key: past.plain(old) for key, old in difference.entries.items()}


def _revert_list(container: Any, before: list[Any], values: list[Any]) -> None:
    # Containers that are in both keep their identity also where they have to change places.
    wanted = {id(item): place for place, item in enumerate(before) if isinstance(item, Tracked)}
    shared = [index for index, item in enumerate(container) if id(item) in wanted]
    order = list(range(len(container)))
    for index, source in zip(shared, sorted(shared, key=lambda i: wanted[id(container[i])]), strict=True):
        order[index] = source
    with editing(container, "__setitem__", (slice(None), values)) as edit:
        edit.reorder(container, order)
        edit.assign_all(container, {index: values[wanted[id(container[index])]] for index in shared})
        edit.replace(container, 0, len(container), values)


def _revert_set(container: Any, entries: dict[Any, Any]) -> None:
    for element, old in entries.items():
        if old is ABSENT:
            container.discard(element)
        elif element not in container or not same(element, stored_key(container, element)):
            container.discard(element)
            container.add(element)


def _revert_dict(container: Any, before: dict[Any, Any], values: dict[Any, Any]) -> None:
    for key, value in values.items():
        if key in container and (value is ABSENT or not same(stored_key(container, key), key)):
            del container[key]
        if value is not ABSENT and not _is_same(before[key], container.get(key, ABSENT)):
            container[key] = value


# --- patch -------------------------------------------------------------------------------------------------------


def apply_diff(replica: Replica, diff: Iterable[Any]) -> None:
    """Apply a dictdiffer diff as one transaction."""
    items = [_checked(item) for item in _listed(diff)]
    with replica:
        patching = _Patching(replica.root)
        for item in items:
            try:
                patching.apply(*item)
            except UsageError:
                raise
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise UsageError(
                    f"the diff does not fit the structure: {_in_words(error)}, for {item!r}. Nothing was changed;"
                    " it fits what it was made from, once"
                ) from error
        patching.finish()


def _in_words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]!r}"
    if isinstance(error, IndexError):
        return "a list is shorter"
    return f"it does not go with what is there ({error})"


def undo_diff(replica: Replica, diff: Iterable[Any]) -> None:
    """Take a dictdiffer diff back as one transaction."""
    swapped = dictdiffer.swap(_checked(item) for item in _listed(diff))
    # dictdiffer leaves the order in which list elements come back as that in which they were removed.
    inverse = [(action, path, changes[::-1] if action == "add" else changes) for action, path, changes in swapped]
    apply_diff(replica, reversed(inverse))


def _listed(diff: Iterable[Any]) -> list[Any]:
    try:
        return list(diff)
    except TypeError:
        raise UsageError(f"a diff is the list of items that dictdiffer.diff returns, not {diff!r}") from None


def _checked(item: Any) -> Item:
    """Return an item with its path as a list; raises UsageError if it is none of dictdiffer's."""
    match item:
        case ["change", str() | list() | tuple() as node, [_, _] as changes]:
            return "change", _steps(node), tuple(changes)
        case ["add" | "remove" as action, str() | list() | tuple() as node, list() | tuple() as changes]:
            if all(isinstance(change, (list, tuple)) and len(change) == 2 for change in changes):
                return str(action), _steps(node), [tuple(change) for change in changes]
    raise UsageError(f"this is no item of a diff as dictdiffer makes them: {item!r}")


def _steps(node: Any) -> Path:
    """Return a path; dictdiffer writes one of simple keys as 'a.b'."""
    if isinstance(node, str):
        return node.split(".") if node else []
    return list(node)


class _Patching:
    """Applies items to a live structure.

    A diff goes through lists by index, so that an element inserted at the front changes all others. So items are
    applied to a plain copy of a list, and the live one then gets as few changes as it takes to be like it.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._list: Any = None
        """The outermost live list on the way to the present item."""
        self._copy: list[Any] = []

    def apply(self, action: str, path: Path, changes: Any) -> None:
        """Apply one item, now or with the others of its list."""
        if action == "change" and not path:
            raise UsageError("a diff cannot put another structure in the place of the root")
        container, rest = self._root, path
        while CONTAINERS.get(type(container)) == "dict" and len(rest) > (action == "change"):
            container, rest = container[rest[0]], rest[1:]
        if container is not self._list:
            self.finish()
        if not isinstance(container, list):
            dictdiffer.patch([(action, rest, changes)], container, in_place=True)
            return
        if self._list is None:
            self._list, self._copy = container, plain(container)
        # A copy: a later item may go on inside what this one puts in, and the diff is the caller's.
        dictdiffer.patch([(action, rest, deepcopy(changes))], self._copy, in_place=True)

    def finish(self) -> None:
        """Bring the live list up to its copy."""
        if self._list is not None:
            self._list[:] = self._copy
            self._list = None
