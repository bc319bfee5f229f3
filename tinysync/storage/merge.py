"""Carrying a hand edit over into the live structure, and nothing but the edit.

Three values take part: *base*, what the file said when the program last wrote it; *edited*, what it says now;
and *live*, the structure, which may have moved on since, and holds what the file cannot say. Base and edited are
readable values of the file's format (see :mod:`tinysync.storage.plain`). Where a format has no sets, a list in the
file is a set if it stands where the structure has one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinysync.errors import KindMismatch
from tinysync.shortest_edit import equal_pairs
from tinysync.storage.alignment import same_element_pairs
from tinysync.storage.plain import SAFE_YAML, identity, in_order

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable

    from tinysync.model import Kind
    from tinysync.storage.plain import Vocabulary


def apply_edits(
    live: Any,
    base: Any | None,
    edited: Any,
    vocabulary: Vocabulary = SAFE_YAML,
    place: object = "The readable file",
) -> None:
    """Change ``live``, a dict, list or set, by the difference between ``base`` and ``edited``.

    What differs is written by ``d[key] = value``, ``del d[key]``, ``s.add``, ``s.discard``, ``l[i] = value``,
    ``del l[i:j]`` and ``l[i:i] = values``, as deep inside as possible; what does not is not touched, and keeps
    the type that the file cannot say. If live is as base says, it is as edited says afterwards. Otherwise the
    edit wins where both changed the same; the rest of both stays. ``base=None``: the file counts as an edit of
    live as it is. Raise KindMismatch, about the file at ``place``, before any change, if ``edited`` is another
    kind of container than live.
    """
    merge = _Merge(vocabulary)
    if kind_in_file(live) is None or not merge.may_be(live, edited):
        raise KindMismatch(
            f"{place} holds a {kind_in_file(edited) or type(edited).__name__} where the structure is a"
            f" {kind_in_file(live)}; give the file that form, or move it away to have it written anew."
        )
    merge.apply(live, base if merge.may_be(live, base) else vocabulary.readable(live), edited)


def kind_in_file(value: Any) -> Kind | None:
    """Return as which kind of container a value stands in a file."""
    if isinstance(value, dict):
        return "dict"
    if isinstance(value, list):
        return "list"
    return "set" if isinstance(value, set) else None


class _Merge:
    """Merging with what one format can say."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def may_be(self, live: Any, readable: Any) -> bool:
        """Tell whether a readable value can stand for a container of the kind of a live one."""
        kind = kind_in_file(live)
        if kind == "set" and not self._vocabulary.sets:
            return isinstance(readable, list) and all(map(_can_be_element, readable))
        return kind is not None and kind == kind_in_file(readable)

    def apply(self, live: Any, base: Any, edited: Any) -> None:
        """Apply an edit to a container; base and edited can stand for one of its kind."""
        if isinstance(live, dict):
            self._apply_to_dict(live, base, edited)
        elif isinstance(live, list):
            self._apply_to_list(live, base, edited)
        else:
            self._apply_to_set(live, base, edited)

    def _apply_to_dict(self, live: dict[Any, Any], base: dict[Any, Any], edited: dict[Any, Any]) -> None:
        keys = _by_identity(self._vocabulary.names(live))
        before = dict.fromkeys(map(identity, base))
        after = {identity(name): name for name in edited}
        # Deletions first: a key that only changed its type, 1 to True, is the same key for a dict.
        for mark in before:
            if mark not in after and mark in keys:
                del live[keys.pop(mark)]
        for mark, name in after.items():
            value, old = edited[name], base.get(name) if mark in before else None
            if mark in before and identity(value) == identity(old):
                continue
            if mark in keys:
                key = keys[mark]
                if self._differs(live[key], value) and not self._apply_inside(live[key], old, value):
                    live[key] = self._vocabulary.in_type_of(live[key], value)
            else:
                live[self._vocabulary.key_like(live, name)] = value

    def _apply_to_set(self, live: set[Any], base: Iterable[Any], edited: Iterable[Any]) -> None:
        elements = _by_identity(self._vocabulary.element_names(live))
        before = dict.fromkeys(map(identity, base))
        after = {identity(name): name for name in edited}
        for mark in before:
            if mark not in after and mark in elements:
                live.discard(elements[mark])
        for mark, name in after.items():
            if mark not in before and mark not in elements:
                live.add(self._vocabulary.element_like(live, name))

    def _apply_to_list(self, live: list[Any], base: list[Any], edited: list[Any]) -> None:
        plan = _Plan(self._vocabulary.readable(live), base, edited)
        # From the end, so that the indices before stay what they are.
        index = len(live)
        while index >= 0:
            values = plan.insertions.get(index)
            if values:
                live[index:index] = values
            stop = index
            while index and index - 1 in plan.deletions:
                index -= 1
            if index < stop:
                del live[index:stop]
                continue
            index -= 1
            change = plan.changes.get(index)
            if change and self._differs(live[index], change[1]) and not self._apply_inside(live[index], *change):
                live[index] = self._vocabulary.in_type_of(live[index], change[1])

    def _apply_inside(self, live: Any, base: Any, edited: Any) -> bool:
        """Apply an edit inside a container; return False if it is no container, or becomes another kind."""
        if not self.may_be(live, edited):
            return False
        if not self.may_be(live, base):
            # Both made the container: dicts and sets are united; of two lists that would double what is in both.
            base = self._vocabulary.readable(live) if isinstance(live, list) else type(edited)()
        self.apply(live, base, edited)
        return True

    def _differs(self, live: Any, readable: Any) -> bool:
        said = self._vocabulary.readable(live)
        if isinstance(live, frozenset) and isinstance(said, list) and isinstance(readable, list):
            readable = in_order(readable)
        return identity(said) != identity(readable)


def _can_be_element(readable: Any) -> bool:
    if isinstance(readable, list):
        return all(map(_can_be_element, readable))
    return not isinstance(readable, dict)


def _by_identity(names: dict[Any, Any]) -> dict[Hashable, Any]:
    return {identity(name): key for name, key in names.items()}


class _Plan:
    """What an edit of a list means for the live list, at the indices that it has before.

    ``insertions``: values to insert before an index; ``deletions``: indices; ``changes``: the readable value of
    the element at an index before and after the edit.
    """

    def __init__(self, live: list[Any], base: list[Any], edited: list[Any]) -> None:
        in_live = dict(same_element_pairs(base, live))
        in_edited = dict(same_element_pairs(base, edited))
        self.deletions = {in_live[i] for i in in_live if i not in in_edited}
        self.insertions: dict[int, list[Any]] = {}
        self.changes: dict[int, tuple[Any, Any]] = {}

        before = {j: base[i] for i, j in in_edited.items()}
        place = {j: in_live[i] for i, j in in_edited.items() if i in in_live}
        place |= _inserted_by_both(live, edited, place, set(in_live.values()), before)
        at = 0
        for j, value in enumerate(edited):
            changed = j in before and identity(before[j]) != identity(value)
            if j in place:
                at = place[j] + 1
                if changed:
                    self.changes[place[j]] = before[j], value
            elif changed or j not in before:
                # New, or deleted in the live list and edited in the file, which brings it back.
                self.insertions.setdefault(at, []).append(value)


def _inserted_by_both(
    live: list[Any], edited: list[Any], place: dict[int, int], of_base: Container[int], before: Container[int]
) -> dict[int, int]:
    """Return which new elements of the edited list are also new, and equal, at the same place of the live one.

    So an edit of a file that was written, but not noted as written when the process died, doubles nothing.
    """
    found: dict[int, int] = {}
    for (j, k), (next_j, next_k) in pairwise([(-1, -1), *place.items(), (len(edited), len(live))]):
        new = [n for n in range(j + 1, next_j) if n not in before]
        new_live = [n for n in range(k + 1, next_k) if n not in of_base]
        if new and new_live:
            pairs = equal_pairs([identity(edited[n]) for n in new], [identity(live[n]) for n in new_live])
            found.update((new[a], new_live[b]) for a, b in pairs)
    return found
