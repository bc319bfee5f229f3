"""What is assigned is copied in: aliases, exchanges, and containers assigned to themselves."""

from __future__ import annotations

import random
from array import array
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many

from .structure import check_links, track


def test_what_is_assigned_is_copied():
    inner = [1]
    live = track({})
    live["a"] = live["b"] = {"inner": inner}
    inner.append(2)
    live.a.inner.append(3)
    assert live == {"a": {"inner": [1, 3]}, "b": {"inner": [1]}}
    assert inner == [1, 2]
    check_links(live)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda live: live.__setitem__("x", live.x), {"x": {"y": {"n": 1}}, "l": [1, [2]]}),
        (lambda live: live.__setitem__("x", live.x.y), {"x": {"n": 1}, "l": [1, [2]]}),
        (lambda live: live.x.__setitem__("y", live.x), {"x": {"y": {"y": {"n": 1}}}, "l": [1, [2]]}),
        (lambda live: live.__setitem__("l", live.l[1]), {"x": {"y": {"n": 1}}, "l": [2]}),
        (lambda live: live.l.__setitem__(slice(None), live.l), {"x": {"y": {"n": 1}}, "l": [1, [2]]}),
        (lambda live: live.l.__setitem__(slice(1), live.l), {"x": {"y": {"n": 1}}, "l": [1, [2], [2]]}),
        (lambda live: live.l.extend(live.l), {"x": {"y": {"n": 1}}, "l": [1, [2], 1, [2]]}),
        (lambda live: live.l.append(live.l), {"x": {"y": {"n": 1}}, "l": [1, [2], [1, [2]]]}),
        (lambda live: live.l.__imul__(2), {"x": {"y": {"n": 1}}, "l": [1, [2], 1, [2]]}),
        (lambda live: live.update(live), {"x": {"y": {"n": 1}}, "l": [1, [2]]}),
        (lambda live: live.update(x=live.x.y), {"x": {"n": 1}, "l": [1, [2]]}),
        (
            lambda live: live.__setitem__("all", live),
            {"x": {"y": {"n": 1}}, "l": [1, [2]], "all": {"x": {"y": {"n": 1}}, "l": [1, [2]]}},
        ),
    ],
)
def test_a_container_may_be_assigned_to_itself_or_a_part_of_itself(call, expected):
    live = track({"x": {"y": {"n": 1}}, "l": [1, [2]]})
    call(live)
    assert live == expected
    check_links(live)


def test_a_container_assigned_to_where_it_is_changes_nothing():
    live = track({"d": {"n": 1}, "l": [[1]], "s": {1}})
    d, first = live.d, live.l[0]
    live.d = live.d
    live["l"][0] = live["l"][0]
    live.l[::2] = live.l[::2]
    live.update(d=live.d)
    assert live._recorder.commits == []
    assert live.d is d
    assert live.l[0] is first


def test_augmented_assignment_of_an_entry_is_one_edit():
    live = track({"l": [1], "s": {1}, "d": {"a": 1}, "n": 1, "nested": [[1]]})
    live["l"] += [2]
    live.l += [3]
    live.l *= 2
    live.s |= {2}
    live.d |= {"b": 2}
    live.nested[0] += [2]
    assert [len(ops) for ops in live._recorder.commits] == [1] * 6
    live.n += 1
    assert live == {"l": [1, 2, 3] * 2, "s": {1, 2}, "d": {"a": 1, "b": 2}, "n": 2, "nested": [[1, 2]]}


def test_entries_exchange_their_containers():
    live = track({"a": {"n": 1}, "b": {"n": 2}})
    live["a"], live["b"] = live["b"], live["a"]
    assert live == {"a": {"n": 2}, "b": {"n": 1}}
    live.update(a=live.b, b=live.a)
    assert live == {"a": {"n": 1}, "b": {"n": 2}}
    live.update(a=[live.b], b=[live.a])
    live.update(a=[live.b], b=[live.a])
    assert live == {"a": [[{"n": 1}]], "b": [[{"n": 2}]]}
    check_links(live)


@settings(max_examples=many(60))
@given(order=st.permutations(range(6)), data=st.data())
def test_elements_can_be_rearranged_in_every_usual_way(order, data):
    start = [{"n": n} for n in range(6)]
    expected = [start[n] for n in order]
    one_by_one, slices, extended, sliced_twice = (track(start) for _ in range(4))
    for index, item in enumerate([one_by_one[n] for n in order]):
        one_by_one[index] = item
    slices[:] = [slices[n] for n in order]
    extended[::-1] = [extended[n] for n in reversed(order)]
    sliced_twice[:3], sliced_twice[3:] = (
        [sliced_twice[n] for n in order[:3]],
        [sliced_twice[n] for n in order[3:]],
    )
    assert one_by_one == slices == extended == expected
    for live in (one_by_one, slices, extended):
        check_links(live)
    shuffled = track(start)
    random.Random(data.draw(st.integers())).shuffle(shuffled)
    assert sorted(item["n"] for item in shuffled) == list(range(6))
    check_links(shuffled)


def test_filtering_in_place_keeps_the_elements_that_stay():
    live = track([{"n": n} for n in range(5)])
    kept = [live[1], live[3]]
    live[:] = [item for item in live if item.n % 2]
    assert live == [{"n": 1}, {"n": 3}]
    assert live[0] is kept[0]
    assert live[1] is kept[1]


def test_every_kind_of_container_comes_in_as_one_of_the_three():
    live = track({})
    live.update(
        ordered=OrderedDict(a=1),
        default=defaultdict(list, a=[1]),
        chain=ChainMap({"a": 1}),
        user=UserDict(a=UserList([1])),
        deque=deque([1, 2]),
        frozen=frozenset({1}),
    )
    assert live == {
        "ordered": {"a": 1},
        "default": {"a": [1]},
        "chain": {"a": 1},
        "user": {"a": [1]},
        "deque": [1, 2],
        "frozen": frozenset({1}),
    }
    check_links(live)
    assert type(live.frozen) is frozenset
    with pytest.raises(TypeError, match="array"):
        live.numbers = array("i", [1])


def test_a_container_of_another_structure_is_copied():
    one, other = track({"x": {"n": 1}}), track({"x": {"n": 2}})
    other.x = one.x
    one.x.n = 3
    assert other == {"x": {"n": 1}}
    check_links(other)


def test_a_removed_container_can_be_put_back():
    live = track({"x": {"y": {"n": 1}}})
    gone = live.pop("x")
    gone.y.n = 2
    live.z = gone
    gone.y.n = 3
    assert live == {"z": {"y": {"n": 2}}}
    check_links(live)
