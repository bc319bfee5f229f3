"""Assigning over a container of the same kind changes what differs, and nothing else."""

from __future__ import annotations

import datetime as dt
from copy import deepcopy
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.crdt.ops import Assign, Put, Splice
from tinysync.shortest_edit import Hunk, hunks
from tinysync.tracked.sameness import same, token

from .calls import values
from .structure import check_links, track


@settings(max_examples=many(200))
@given(old=values, new=values)
def test_the_result_is_exactly_what_was_assigned(old, new):
    live = track({"x": old})
    held = live.x
    live["x"] = deepcopy(new)
    assert same(live.x, new)
    assert type(live.x) is type(track({"x": new}).x)
    check_links(live)
    if isinstance(new, (dict, list, set)) and type(old) is type(new):
        assert live.x is held
        if same(old, new):
            assert live._recorder.commits == []


def test_dict_keys_are_removed_added_and_changed():
    live = track({"x": {"same": {"n": [1]}, "changed": {"n": 1, "m": 2}, "gone": {}, "typed": 1}})
    x, inner, changed = live.x, live.x.same, live.x.changed
    live.x = {"same": {"n": [1]}, "changed": {"n": 1, "m": 3}, "new": {"k": 1}, "typed": 1.0}
    assert live.x is x
    assert x.same is inner
    assert x.changed is changed
    written = {(op.key, type(op)) for op in live._recorder.last_ops()}
    assert written == {("gone", Put), ("m", Put), ("new", Put), ("typed", Put)}
    assert type(x.typed) is float


def test_a_key_of_another_type_takes_the_place_of_an_equal_one():
    live = track({"x": {1: "a"}, "s": {1}})
    live.x = {True: "a"}
    live.s = {1.0}
    assert repr(live.x) == "{True: 'a'}"
    assert repr(live.s) == "{1.0}"


def test_a_container_of_another_kind_is_replaced():
    live = track({"x": {"n": 1}})
    x = live.x
    live.x = [1]
    assert not x._node.attached
    live.x = "scalar"
    live.x = {1}
    assert live == {"x": {1}}
    assert [len(ops) for ops in live._recorder.commits] == [1, 1, 1]


def test_assigning_an_equal_scalar_is_a_choice():
    live = track({"n": 1, "l": ["a"]})
    live.n = 1
    live.l[0] = "a"
    assert len(live._recorder.commits) == 2


def test_an_element_that_is_assigned_is_reconciled():
    live = track([{"n": 1, "m": {"k": 1}}, 2])
    first, m = live[0], live[0].m
    live[0] = {"n": 2, "m": {"k": 1}}
    live[::2] = [{"n": 3, "m": {"k": 1}}]
    assert live[0] is first
    assert first.m is m
    assert [op.key for ops in live._recorder.commits for op in ops] == ["n", "n"]


@pytest.mark.parametrize(
    ("old", "new", "ops"),
    [
        ([1, 2, 3], [1, 2, 3, 4], [Splice]),
        ([1, 2, 3], [0, 1, 2, 3], [Splice]),
        ([1, 2, 3], [1, 3], [Splice]),
        ([1, 2, 3], [1, 5, 3], [Assign]),
        ([1, 2, 3, 4], [0, 1, 2, 4], [Splice, Splice]),
        ([1, 2, 3], [], [Splice]),
        ([], [1, 2], [Splice]),
        ([1, 2, 3], [1, True, 3], [Assign]),
        ([[1], [2], [3]], [[1], [2, 2], [3]], [Splice]),
        ([{"n": 1}, {"n": 2}], [{"n": 1}, {"n": 3}], [Put]),
        ([{"n": 1}, {"n": 2}], [{"n": 0}, {"n": 1}, {"n": 2}], [Splice]),
        ([1, 2], [{"n": 1}, 2], [Assign]),
    ],
)
def test_lists_change_by_few_ops(old, new, ops):
    live = track({"l": old})
    live["l"] = new
    assert list(map(type, live._recorder.last_ops())) == ops
    assert same(live["l"], new)


def test_elements_that_stay_keep_their_identity():
    live = track({"l": [{"n": n} for n in range(5)]})
    items = list(live.l)
    live.l = [{"n": 9}, {"n": 0}, {"n": 2}, {"n": 3, "m": 1}, {"n": 4}]
    assert live.l[1] is items[0]
    assert live.l[2] is items[2]
    assert live.l[3] is items[3]
    assert live.l[4] is items[4]


def test_a_long_list_with_a_change_at_each_end_changes_there_only():
    live = track({"l": list(range(20_000))})
    live.l = [-1, *range(19_000)]
    assert [(op.index, len(op.old), len(op.new)) for op in live._recorder.last_ops()] == [
        (19_000, 1000, 0),
        (0, 0, 1),
    ]


def test_long_lists_with_nothing_in_common_are_paired_up():
    live = track({"l": list(range(3000))})
    live.l = list(range(2999, -1, -1))
    assert live.l == list(range(2999, -1, -1))
    assert {type(op) for op in live._recorder.last_ops()} == {Assign}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ((1,), (1.0,)),
        (frozenset({1}), frozenset({True})),
        (Decimal("1.0"), Decimal("1.00")),
        ({"a": 1}, {"a": 1.0}),
        ({1: "a"}, {True: "a"}),
        ([1], (1,)),
        ({1}, frozenset({1})),
        ("a", b"a"),
        (
            dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC),
            dt.datetime(2026, 1, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        ),
    ],
)
def test_equal_is_not_the_same(one, other):
    assert not same(one, other)
    assert same(one, deepcopy(one))


def test_nan_is_the_same_as_nan():
    assert same([float("nan")], [float("nan")])


def test_the_order_of_dicts_does_not_matter():
    assert same({"a": 1, "b": {1, 2}}, {"b": {2, 1}, "a": 1})


@settings(max_examples=many(300))
@given(old=st.lists(st.integers(0, 4), max_size=12), new=st.lists(st.integers(0, 4), max_size=12))
def test_hunks_lead_from_the_old_to_the_new_by_the_fewest_steps(old, new):
    found = hunks(old, new)
    result = list(old)
    for hunk in reversed(found):
        result[hunk.old_start : hunk.old_stop] = new[hunk.new_start : hunk.new_stop]
    assert result == new
    steps = sum(h.old_stop - h.old_start + h.new_stop - h.new_start for h in found)
    assert steps == len(old) + len(new) - 2 * longest_common(old, new)
    assert all(a.old_stop < b.old_start for a, b in pairwise(found))


def longest_common(old, new):
    lengths = [0] * (len(new) + 1)
    for item in old:
        before = list(lengths)
        for j, other in enumerate(new):
            lengths[j + 1] = before[j] + 1 if item == other else max(before[j + 1], lengths[j])
    return lengths[-1]


def test_sequences_that_would_take_too_long_are_one_hunk():
    old = list(range(5000))
    new = [0, *range(4998, 0, -1), 4999]
    assert hunks(old, new) == [Hunk(1, 4999, 1, 4999)]


def test_tokens_of_live_and_plain_content_are_equal():
    content = {"a": [1, {2}, (3,)], None: {}}
    assert token(track(content)) == token(content)
