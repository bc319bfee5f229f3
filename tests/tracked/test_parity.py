"""Every mutating method does what the builtin's does: results, errors and content."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import TinySyncError
from tinysync.tracked.base import Tracked
from tinysync.tracked.dicts import DictWrapper
from tinysync.tracked.lists import ListWrapper
from tinysync.tracked.sets import SetWrapper

from .calls import CALLS, MUTATORS, STARTS, Call, any_call
from .structure import check_links, containers, plain, track

WRAPPERS = {"dict": DictWrapper, "list": ListWrapper, "set": SetWrapper}
BUILTINS = {"dict": dict, "list": list, "set": set}
CASES = [(kind, name) for kind, names in MUTATORS.items() for name in names]

# What the builtins have that changes nothing. A new mutator of a new Python is in none of the lists.
READS = {
    "dict": {
        *("__class_getitem__", "__contains__", "__getitem__", "__iter__", "__len__", "__or__", "__reversed__"),
        *("__ror__", "copy", "fromkeys", "get", "items", "keys", "values"),
    },
    "list": {
        *("__add__", "__class_getitem__", "__contains__", "__getitem__", "__iter__", "__len__", "__mul__"),
        *("__reversed__", "__rmul__", "copy", "count", "index"),
    },
    "set": {
        *(
            "__and__",
            "__class_getitem__",
            "__contains__",
            "__iter__",
            "__len__",
            "__or__",
            "__rand__",
            "__reduce__",
        ),
        *("__ror__", "__rsub__", "__rxor__", "__sub__", "__xor__", "copy", "difference", "intersection"),
        *("isdisjoint", "issubset", "issuperset", "symmetric_difference", "union"),
    },
}


@dataclass
class Outcome:
    result: Any = None
    error: str = ""


def outcome(call: Call, container: Any) -> Outcome:
    try:
        result = call.on(container)
    except Exception as error:
        if isinstance(error, TinySyncError):
            raise
        text = f"{type(error).__name__}: {error}"
        for kind, wrapper in WRAPPERS.items():
            text = text.replace(wrapper.__name__, kind)
        return Outcome(error=text)
    return Outcome(result="itself" if result is container else result)


def check_same(kind: str, call: Call, start: Any, tracked: Any) -> None:
    builtin = deepcopy(start)
    before = plain(tracked)
    if kind == "set" and call.name == "pop" and start:
        element = tracked.pop()
        assert tracked == start - {element}
        return
    expected, got = outcome(call, builtin), outcome(call, tracked)
    assert got == expected
    if expected.error:
        # The builtin may have done its work by half; a tracked one does all or nothing.
        assert tracked == before
    else:
        assert tracked == builtin
    if kind == "dict" and not expected.error:
        assert list(tracked) == list(builtin)


@pytest.mark.parametrize(("kind", "name"), CASES)
@settings(max_examples=many(60))
@given(data=st.data())
def test_attached_does_as_the_builtin(kind, name, data):
    start, call = data.draw(STARTS[kind]), data.draw(CALLS[kind][name])
    live = track(start)
    check_same(kind, call, start, live)
    check_links(live)


@pytest.mark.parametrize(("kind", "name"), CASES)
@settings(max_examples=many(20))
@given(data=st.data())
def test_detached_does_as_the_builtin(kind, name, data):
    start, call = data.draw(STARTS[kind]), data.draw(CALLS[kind][name])
    check_same(kind, call, start, WRAPPERS[kind](deepcopy(start)))


@settings(max_examples=many(60))
@given(start=STARTS["dict"], data=st.data())
def test_nested_edits_one_after_the_other(start, data):
    live, model = track(start), deepcopy(start)
    for _ in range(8):
        place = data.draw(st.integers(0, len(containers(live)) - 1))
        target, twin = containers(live)[place], containers(model)[place]
        if target != twin or (isinstance(target, set) and len(target) > 0):
            continue  # the order of sets, which decides what pop() gives, is not the same
        call = data.draw(any_call(target._node.kind))
        before = plain(live)
        expected, got = outcome(call, twin), outcome(call, target)
        assert got.error == expected.error
        if expected.error:
            model = before
        assert live == model
        check_links(live)
        model = plain(live)


@pytest.mark.parametrize("kind", list(WRAPPERS))
def test_every_mutator_of_the_builtin_is_overridden(kind):
    wrapper, builtin = WRAPPERS[kind], BUILTINS[kind]
    own = {name for base in wrapper.__mro__[: wrapper.__mro__.index(builtin)] for name in vars(base)}
    beyond_object = {name for name in dir(builtin) if getattr(builtin, name) is not getattr(object, name, None)}
    common = {
        "__doc__",
        "__eq__",
        "__ge__",
        "__getattribute__",
        "__gt__",
        "__hash__",
        "__le__",
        "__lt__",
        "__ne__",
    }
    common |= {"__init_subclass__", "__subclasshook__", "__sizeof__", "__repr__", "__dir__", "__reduce_ex__"}
    assert beyond_object - common - READS[kind] <= own
    assert set(MUTATORS[kind]) <= own
    assert set(MUTATORS[kind]) == set(CALLS[kind])


@pytest.mark.parametrize("wrapper", WRAPPERS.values())
def test_reads_are_those_of_the_builtin(wrapper):
    for name in ("__getitem__", "__iter__", "__len__", "__contains__", "__eq__"):
        assert name not in vars(wrapper)
        assert name not in vars(Tracked)


def test_a_wrong_number_of_arguments_is_a_type_error():
    live = track({"l": [], "s": set()})
    for call in (live.clear, live.l.append, live.l.insert, live.s.add, live.popitem, live.update, live.pop):
        with pytest.raises(TypeError):
            call(1, 2, 3)
    assert live == {"l": [], "s": set()}


@settings(max_examples=many(100))
@given(values=st.lists(st.integers(0, 9), max_size=8), data=st.data())
def test_move_is_a_pop_and_an_insert(values, data):
    live = track(values)
    i, j = data.draw(st.integers(-9, 8)), data.draw(st.integers(-9, 8))
    if not all(-len(values) <= index < len(values) for index in (i, j)):
        with pytest.raises(IndexError, match="move index out of range"):
            live.move(i, j)
        assert live == values
        return
    live.move(i, j)
    element = values.pop(i)
    values.insert(j if j >= 0 else j + len(values) + 1, element)
    assert live == values


def test_move_wants_integers():
    live = track([1, 2])
    for arguments in (("a", 0), (0, 1.0), (slice(1), 0)):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            live.move(*arguments)


@pytest.mark.parametrize(
    "combine",
    [
        lambda live: live.d | {"z": 1},
        lambda live: {"z": 1} | live.d,
        lambda live: live.d.copy(),
        lambda live: live.l + live.l,
        lambda live: live.l * 2,
        lambda live: 2 * live.l,
        lambda live: live.l[:1],
        lambda live: live.l.copy(),
        lambda live: live.s | {1},
        lambda live: {1} | live.s,
        lambda live: live.s & {1},
        lambda live: live.s - {1},
        lambda live: live.s ^ {1},
        lambda live: live.s.union([1]),
        lambda live: live.s.copy(),
    ],
)
def test_operators_give_plain_containers(combine):
    live = track({"d": {"a": 1}, "l": [1, 2], "s": {1, 2}})
    assert type(combine(live)) in (dict, list, set)
    assert live._recorder.commits == []


def test_fromkeys_and_the_class_give_detached_ones():
    for made in (DictWrapper.fromkeys("ab", 1), DictWrapper(a=1, b=1), DictWrapper([("a", 1), ("b", 1)])):
        assert made == {"a": 1, "b": 1}
        assert type(made) is DictWrapper
        assert made._node is None
        assert made._recorder is None
    assert ListWrapper("ab") == ["a", "b"]
    assert SetWrapper("ab") == {"a", "b"}


def test_sort_that_raises_leaves_all_as_it_was():
    live = track([{"n": 2}, {"n": 1}, {}])
    with pytest.raises(KeyError):
        live.sort(key=lambda item: item["n"])
    assert live == [{"n": 2}, {"n": 1}, {}]


def test_sort_whose_key_changes_the_list_is_refused():
    live = track([2, 1])

    def key(item: int) -> int:
        live.append(item)
        return item

    with pytest.raises(ValueError, match="list modified during sort"):
        live.sort(key=key)
    assert live == [2, 1]


def test_sort_is_stable_both_ways():
    live = track([(1, "a"), (0, "b"), (1, "c"), (0, "d")])
    live.sort(key=lambda item: item[0], reverse=True)
    assert live == [(1, "a"), (1, "c"), (0, "b"), (0, "d")]


def test_an_attached_container_is_not_initialised_again():
    live = track({"l": [1], "s": {1}})
    for container in (live, live.l, live.s):
        with pytest.raises(TinySyncError, match="initialise"):
            container.__init__([])
    assert live == {"l": [1], "s": {1}}


@pytest.mark.parametrize(
    ("call", "recorded"),
    [
        (lambda live: live.__setitem__("a", 1), ("__setitem__", ("a", 1), None)),
        (lambda live: setattr(live, "a", 1), ("__setitem__", ("a", 1), None)),
        (lambda live: live.update({"a": 1}, b=2), ("update", ({"a": 1},), {"b": 2})),
        (lambda live: live.setdefault("k"), ("setdefault", ("k",), None)),
        (lambda live: live.pop("a", 3), ("pop", ("a", 3), None)),
        (lambda live: live.l.append(3), ("append", (3,), None)),
        (lambda live: live.l.pop(), ("pop", (), None)),
        (lambda live: live.l.sort(reverse=True), ("sort", (), {"reverse": True})),
        (lambda live: live.l.sort(), ("sort", (), {})),
        (lambda live: live.l.move(0, 1), ("move", (0, 1), None)),
        (lambda live: live.s.update([1], [2]), ("update", ([1], [2]), None)),
        (lambda live: live.s.__ior__({1}), ("__ior__", ({1},), None)),
    ],
)
def test_the_tracker_is_told_the_call_as_it_was_made(call, recorded):
    live = track({"l": [1, 2], "s": set()})
    call(live)
    assert live._recorder.calls[-1] == recorded
