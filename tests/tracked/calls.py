"""Random calls of the mutating methods, valid and not."""

from __future__ import annotations

import operator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

MUTATORS = {
    "dict": ["__setitem__", "__delitem__", "__ior__", "update", "setdefault", "pop", "popitem", "clear"],
    "list": [
        *("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "extend", "insert", "remove"),
        *("pop", "clear", "sort", "reverse"),
    ],
    "set": [
        *("__ior__", "__isub__", "__iand__", "__ixor__", "add", "discard", "remove", "pop", "clear", "update"),
        *("difference_update", "intersection_update", "symmetric_difference_update"),
    ],
}
OPERATORS = {
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__ior__": operator.ior,
    "__isub__": operator.isub,
    "__iand__": operator.iand,
    "__ixor__": operator.ixor,
    "__iadd__": operator.iadd,
    "__imul__": operator.imul,
}


@dataclass(frozen=True)
class Once:
    """An argument that is an iterator, made anew for each call."""

    items: list[Any]


@dataclass(frozen=True)
class WithKeys:
    """An argument that is no Mapping, but has keys()."""

    entries: dict[Any, Any]


class _HasKeys:
    def __init__(self, entries: dict[Any, Any]) -> None:
        self.entries = entries

    def keys(self) -> Any:
        return self.entries.keys()

    def __getitem__(self, key: Any) -> Any:
        return self.entries[key]


@dataclass(frozen=True)
class Call:
    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def on(self, container: Any) -> Any:
        """Make the call on a container, with fresh copies of the arguments."""
        args = [_argument(argument) for argument in self.args]
        if self.name in OPERATORS:
            return OPERATORS[self.name](container, *args)
        return getattr(container, self.name)(*args, **self.kwargs)


def _argument(argument: Any) -> Any:
    if isinstance(argument, Once):
        return iter(deepcopy(argument.items))
    if isinstance(argument, WithKeys):
        return _HasKeys(deepcopy(argument.entries))
    return deepcopy(argument)


numbers = st.sampled_from([0, 1, 2, True, False, 1.0, -0.0, 2.5, Decimal(1), 3])
texts = st.sampled_from(["a", "b", "c", "items", "ä"])
scalars = numbers | texts | st.sampled_from([None, b"x", (1, "a"), (1.0, "a"), frozenset({1}), date(2026, 1, 2)])
keys = texts | numbers | st.sampled_from([None, (1, 2), frozenset({"a"})])
elements = keys
values = st.recursive(
    scalars | st.builds(dict) | st.builds(list) | st.builds(set),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3) | st.sets(elements, max_size=3)
    ),
    max_leaves=6,
)
unhashable = st.sampled_from([[], {}, {"a"}])
odd = st.sampled_from([None, 5, "ab", 1.5, [1], [[1, 2, 3]], object])
key_arguments = keys | keys | unhashable
indices = st.integers(-7, 7) | st.sampled_from([True, 10**100, -(10**100), "1", None, 1.0])
bounds = st.none() | st.integers(-7, 7)
slices = st.builds(slice, bounds, bounds, st.sampled_from([None, None, 1, 2, -1, -2, 3])) | st.sampled_from(
    [slice(0, 1, 0), slice("a"), slice(None, None, 1.5)]
)
lists_of_values = st.lists(values, max_size=5)
iterables = (
    lists_of_values
    | st.builds(Once, lists_of_values)
    | st.builds(tuple, lists_of_values)
    | st.sampled_from(["ab", 5, None])
)
entries = st.dictionaries(keys, values, max_size=4)
pairs = st.lists(st.tuples(keys, values), max_size=4)
mappings = entries | pairs | st.builds(Once, pairs) | st.builds(WithKeys, entries) | odd
sets = st.sets(elements, max_size=5)
set_arguments = sets | st.builds(frozenset, sets)
others = (
    set_arguments
    | st.builds(Once, st.lists(elements, max_size=5))
    | entries
    | st.sampled_from([5, None, "ab", [[]]])
)


def _calls(name: str, *args: Any, **kwargs: Any) -> st.SearchStrategy[Call]:
    return st.builds(Call, st.just(name), st.tuples(*args), st.fixed_dictionaries({}, optional=kwargs))


def _one_of_counts(name: str, argument: Any, most: int) -> st.SearchStrategy[Call]:
    return st.builds(Call, st.just(name), st.lists(argument, max_size=most).map(tuple))


DICT_CALLS = {
    "__setitem__": _calls("__setitem__", key_arguments, values),
    "__delitem__": _calls("__delitem__", key_arguments),
    "__ior__": _calls("__ior__", mappings),
    "update": _calls("update", mappings) | _calls("update", a=values, self=values, items=values),
    "setdefault": _calls("setdefault", key_arguments, values) | _calls("setdefault", key_arguments),
    "pop": _calls("pop", key_arguments) | _calls("pop", key_arguments, values),
    "popitem": _calls("popitem"),
    "clear": _calls("clear"),
}
SORT_KEYS = st.sampled_from([None, repr, str, len, 5])
LIST_CALLS = {
    "__setitem__": _calls("__setitem__", indices, values) | _calls("__setitem__", slices, iterables),
    "__delitem__": _calls("__delitem__", indices | slices),
    "__iadd__": _calls("__iadd__", iterables),
    "__imul__": _calls("__imul__", st.integers(-1, 3) | st.sampled_from([True, 1.0, "a", [], 2**63])),
    "append": _calls("append", values),
    "extend": _calls("extend", iterables),
    "insert": _calls("insert", indices, values),
    "remove": _calls("remove", values),
    "pop": _calls("pop") | _calls("pop", indices),
    "clear": _calls("clear"),
    "sort": _calls("sort", key=SORT_KEYS, reverse=st.booleans() | st.just("x")),
    "reverse": _calls("reverse"),
}
SET_CALLS = {
    **{name: _calls(name, set_arguments | odd) for name in ("__ior__", "__isub__", "__iand__", "__ixor__")},
    **{name: _calls(name, elements | unhashable) for name in ("add", "discard", "remove")},
    **{name: _one_of_counts(name, others, 3) for name in ("update", "difference_update", "intersection_update")},
    "symmetric_difference_update": _calls("symmetric_difference_update", others),
    "pop": _calls("pop"),
    "clear": _calls("clear"),
}
CALLS = {"dict": DICT_CALLS, "list": LIST_CALLS, "set": SET_CALLS}
STARTS = {"dict": entries, "list": lists_of_values | st.lists(numbers, max_size=6), "set": sets}


def any_call(kind: str) -> st.SearchStrategy[Call]:
    return st.one_of(*CALLS[kind].values())
