"""Random edits of a structure through its public face, as data that can be shown and repeated."""

from __future__ import annotations

import datetime as dt
import operator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

MOST_ELEMENTS = 25
"""A container over this size is cleared instead of edited: long structures teach nothing and take time."""

SCALARS = [
    1, 1.0, True, False, 0, -0.0, None, "", "s", "~", "ä\n", 0.5, 2**53, -(2**53) - 1, 2**80, float("inf"),
    float("nan"), b"", b"\xff", (1, (1.0, "x")), frozenset({1, "a"}), dt.date(2026, 1, 2),
    dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), dt.datetime(2026, 1, 2),  # noqa: DTZ001
    dt.time(1, 2), dt.timedelta(3, 4, 5),
    Decimal("1.10"), UUID(int=7), 1 + 2j,
]  # fmt: skip
KEYS = ["a", "b", "c", "a/b", "~", "", 1, 1.0, True, (1, 2), None, 2.5]
NAMES = ["a", "b", "c"]
CONTAINERS = [
    {}, [], set(), {"a": 1}, {"a": {"b": 2}}, {"b": []}, {"c": [1]}, {"a": {1}, "b": {"c": {}}},
    {1: "x", "~": [[]]},
    [1], [1, 2, 3], [[1], [2]], [{"a": 1}, 2], [{}, {}], ["x", {"a": [0, {"b": 1}]}, {3}], list(range(30)),
    {1}, {1.0, "a", (1, 2)}, {None, b"x"}, {"a": {"a": {"a": {"a": [1, [2, [3]]]}}}},
]  # fmt: skip
SORT_KEYS = [repr, lambda value: len(repr(value)), lambda value: isinstance(value, (dict, list, set))]

scalars = st.sampled_from(SCALARS)
containers = st.sampled_from(CONTAINERS)
values = scalars | containers
keys = st.sampled_from(NAMES) | st.sampled_from(KEYS)
indices = st.integers(-4, 8)
slices = st.builds(slice, indices, indices, st.sampled_from([None, None, None, 1, 2, -1]))
few_values = st.lists(values, max_size=3)
entries = st.dictionaries(keys, values, max_size=3)
elements = st.sampled_from([value for value in SCALARS if value == value])
sets = st.sets(elements, max_size=3)


@dataclass(frozen=True)
class Edit:
    """A mutating call on the container of a kind that comes to a number."""

    kind: str
    number: int
    method: str
    args: tuple[Any, ...] = ()

    def on(self, root: Any) -> None:
        """Make the call; errors that the builtin would raise too are part of the game."""
        target = _pick(root, self.kind, self.number)
        if target is None:
            return
        if len(target) > MOST_ELEMENTS:
            target.clear()
            return
        try:
            _METHODS.get(self.method, operator.methodcaller(self.method, *self.args))(target, *self._more())
        except (LookupError, TypeError, ValueError, ArithmeticError):
            return

    def _more(self) -> tuple[Any, ...]:
        return self.args if self.method in _METHODS else ()


def _sort(target: Any, key: int, reverse: bool) -> None:
    target.sort(key=SORT_KEYS[key], reverse=reverse)


def _rewrite(target: Any, key: Any, change: Any) -> None:
    """Assign over a container what differs a little from it: the reconciling assignment."""
    content = target[key]
    if not isinstance(content, (dict, list, set)):
        raise TypeError("nothing to reconcile with")
    content = content.__subject__
    if isinstance(content, dict):
        content[change[0]] = change[1]
    elif isinstance(content, list):
        content.insert(len(content) // 2, change[1])
    else:
        content.add(change[0])
    target[key] = content


_METHODS = {
    "[]=": operator.setitem,
    "del": operator.delitem,
    ".=": setattr,
    "|=": operator.ior,
    "&=": operator.iand,
    "-=": operator.isub,
    "^=": operator.ixor,
    "+=": operator.iadd,
    "*=": operator.imul,
    "sort": _sort,
    "rewrite": _rewrite,
}


def walk(root: Any) -> list[Any]:
    """Return a container and all that are in it, in an order that is the same on all devices."""
    found = [root]
    for item in found:
        if isinstance(item, dict):
            found.extend(item[key] for key in sorted(item, key=repr) if isinstance(item[key], (dict, list, set)))
        elif isinstance(item, list):
            found.extend(value for value in item if isinstance(value, (dict, list, set)))
    return found


def _pick(root: Any, kind: str, number: int) -> Any:
    found = [item for item in walk(root) if isinstance(item, _TYPES[kind])]
    return found[number % len(found)] if found else None


_TYPES = {"dict": dict, "list": list, "set": set}
CALLS = {
    "dict": [
        ("[]=", keys, values),
        ("[]=", st.sampled_from(NAMES), containers),
        (".=", st.sampled_from(NAMES), values),
        ("del", keys),
        ("pop", keys),
        ("update", entries),
        ("|=", entries),
        ("setdefault", keys, values),
        ("setdefault", st.sampled_from(NAMES), containers),
        ("popitem",),
        ("clear",),
        ("rewrite", keys, st.tuples(keys, values)),
    ],
    "list": [
        ("append", values),
        ("append", containers),
        ("insert", indices, values),
        ("extend", few_values),
        ("+=", few_values),
        ("[]=", indices, values),
        ("[]=", slices, few_values),
        ("del", indices),
        ("del", slices),
        ("pop",),
        ("pop", indices),
        ("remove", scalars),
        ("*=", st.integers(0, 2)),
        ("sort", st.integers(0, 2), st.booleans()),
        ("reverse",),
        ("move", indices, indices),
        ("move", indices, indices),
        ("clear",),
        ("rewrite", indices, st.tuples(keys, values)),
    ],
    "set": [
        ("add", elements),
        ("discard", elements),
        ("remove", elements),
        ("pop",),
        ("|=", sets),
        ("&=", sets),
        ("-=", sets),
        ("^=", sets),
        ("update", sets, sets),
        ("clear",),
    ],
}


def edits_of(kind):
    return st.one_of(
        st.builds(Edit, st.just(kind), st.integers(0, 30), st.just(method), st.tuples(*args))
        for method, *args in CALLS[kind]
    )


edits = edits_of("dict") | edits_of("list") | edits_of("set")
