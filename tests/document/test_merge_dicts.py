"""What becomes of dicts, sets and plain values that two devices change offline."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest

from tests.document.replicas import same


def test_new_keys_on_both_are_all_there(pair):
    a, b = pair.start({})
    a.x = 1
    b.y = 2
    pair.finish({"x": 1, "y": 2})


def test_a_key_written_on_both_has_one_value(pair):
    a, b = pair.start({"x": 0})
    a.x = "a"
    b.x = "b"
    pair.finish({"x": "a" if pair.winner is pair.a else "b"})


def test_the_same_new_key_with_different_dicts_merges_their_contents(pair):
    a, b = pair.start({})
    a.lamp = {"color": "red", "room": {"name": "hall"}}
    b.lamp = {"power": 5, "room": {"floor": 1}}
    pair.finish({"lamp": {"color": "red", "power": 5, "room": {"name": "hall", "floor": 1}}})


def test_the_same_new_key_with_different_sets_merges_them(pair):
    a, b = pair.start({})
    a.tags = {"x", 1}
    b.tags = {"y", 1}
    pair.finish({"tags": {"x", "y", 1}})


def test_the_same_new_key_with_different_kinds_has_one_of_them(pair):
    a, b = pair.start({})
    a.it = {"x": 1}
    b.it = [1]
    pair.finish({"it": {"x": 1} if pair.winner is pair.a else [1]})


def test_a_container_created_against_a_plain_value(pair):
    a, b = pair.start({})
    a.it = {"x": 1}
    b.it = 5
    pair.finish({"it": {"x": 1} if pair.winner is pair.a else 5})


def test_a_reconciling_assignment_leaves_a_concurrent_edit_elsewhere_in_it(pair):
    a, b = pair.start({"x": {"y": 1, "z": 2}})
    a.x = {"y": 1, "z": 3}
    b.x.y = 5
    pair.finish({"x": {"y": 5, "z": 3}})


def test_a_reconciling_assignment_that_removes_a_key_against_edits_of_it_and_others(pair):
    a, b = pair.start({"x": {"y": 1, "z": {"q": 1}}})
    a.x = {"y": 1}
    b.x.y = 2
    b.x.z.q = 2
    pair.finish({"x": {"y": 2}})


def test_reconciling_assignments_on_both_merge_deep_inside(pair):
    a, b = pair.start({"x": {"y": {"k": 1}, "l": [1, 2, 3]}})
    a.x = {"y": {"k": 1, "a": 1}, "l": [0, 1, 2, 3]}
    b.x = {"y": {"k": 2}, "l": [1, 2, 3, 4]}
    pair.finish({"x": {"y": {"k": 2, "a": 1}, "l": [0, 1, 2, 3, 4]}})


def test_assigning_another_kind_hides_a_concurrent_edit_inside(pair):
    a, b = pair.start({"x": {"y": 1}})
    a.x = [1]
    b.x.y = 2
    pair.finish({"x": [1]})


def test_a_delete_wins_over_an_edit_inside(pair):
    a, b = pair.start({})
    a.x = {"y": {"z": 1}}
    pair.exchange()
    pair.begin_sessions()
    del a["x"]
    b.x.y.z = 2
    b.x.new = 3
    pair.finish({})


def test_a_delete_wins_over_a_reconciling_assignment(pair):
    a, b = pair.start({"x": {"y": 1}})
    del a["x"]
    b.x = {"y": 1, "z": 2}
    pair.finish({})


def test_what_was_deleted_and_created_again_does_not_show_edits_of_the_old(pair):
    a, b = pair.start({})
    a.x = {"y": 1, "s": {1}}
    pair.exchange()
    pair.begin_sessions()
    del a["x"]
    a.x = {"new": 1}
    b.x.y = 2
    b.x.s.add(5)
    pair.finish({"x": {"new": 1}})


@pytest.mark.parametrize("content", [{}, [], set()], ids=["dict", "list", "set"])
def test_an_empty_container_that_was_created_again_is_really_empty(pair, content):
    a, b = pair.start({"x": {"it": {"dict": {"y": 1}, "list": [1], "set": {1}}[type(content).__name__]}})
    del a.x["it"]
    a.x["it"] = content
    {"dict": lambda it: it.update(z=2), "list": lambda it: it.append(2), "set": lambda it: it.add(2)}[
        type(content).__name__
    ](b.x["it"])
    pair.finish({"x": {"it": content}})


def test_deleted_and_created_again_in_one_transaction(pair):
    a, b = pair.start({})
    a.x = {"y": 1}
    pair.exchange()
    pair.begin_sessions()
    with a:
        del a["x"]
        a.x = {"new": 1}
    b.x.y = 2
    pair.finish({"x": {"new": 1}})


def test_deleted_on_both_and_created_again_on_both_merges(pair):
    a, b = pair.start({})
    a.x = {"y": 1}
    pair.exchange()
    pair.begin_sessions()
    for root, key in ((a, "a"), (b, "b")):
        del root["x"]
        root.x = {key: 1}
    pair.finish({"x": {"a": 1, "b": 1}})


def test_a_delete_against_a_write_of_the_same_plain_value(pair):
    a, b = pair.start({})
    a.x = 1
    pair.exchange()
    pair.begin_sessions()
    del a["x"]
    b.x = 2
    result = pair.exchange()
    assert result in ({}, {"x": 2})
    pair.finish(result.__subject__)


def test_set_elements_added_and_discarded(pair):
    a, b = pair.start({"s": {1, 2, 3}})
    a.s.add(4)
    a.s.discard(1)
    b.s.add(5)
    b.s.discard(2)
    pair.finish({"s": {3, 4, 5}})


def test_the_same_set_element_added_on_both_is_one(pair):
    a, b = pair.start(set())
    a.add((1, "x"))
    b.add((1, "x"))
    pair.finish({(1, "x")})


def test_the_same_set_element_discarded_on_both_stays_away(pair):
    a, b = pair.start({"s": {1, 2}})
    a.s.discard(1)
    b.s.discard(1)
    pair.finish({"s": {2}})


def test_a_set_that_was_deleted_hides_what_was_added_to_it(pair):
    a, b = pair.start({"s": {1}})
    del a["s"]
    b.s.add(2)
    pair.finish({})


def test_equal_keys_of_other_types_are_one_key(pair):
    a, b = pair.start({})
    a[1] = {"a": 1}
    b[1.0] = {"b": 2}
    result = pair.exchange()
    assert same(result, {1 if pair.winner is pair.a else 1.0: {"a": 1, "b": 2}})
    pair.finish(result.__subject__)


def test_setdefault_of_a_list_on_both_is_one_list(pair):
    a, b = pair.start({})
    a.setdefault("l", [1, {"k": [2]}])
    b.setdefault("l", [1, {"k": [2]}])
    pair.begin_sessions()
    a.l.append("a")
    b.l[1].k.append("b")
    pair.finish({"l": [1, {"k": [2, "b"]}, "a"]})


def test_setdefault_of_different_lists_is_one_of_them(pair):
    a, b = pair.start({})
    a.setdefault("l", [1])
    b.setdefault("l", [2])
    result = pair.exchange()
    assert result in ({"l": [1]}, {"l": [2]})
    pair.finish(result.__subject__)


def test_setdefault_of_a_dict_with_lists_on_both_merges(pair):
    a, b = pair.start({})
    a.setdefault("d", {"l": [1], "a": 1})
    b.setdefault("d", {"l": [1], "b": 2})
    pair.finish({"d": {"l": [1], "a": 1, "b": 2}})


def test_what_was_assigned_wins_over_setdefault(pair):
    a, b = pair.start({})
    a.setdefault("x", "default")
    b.x = "chosen"
    pair.finish({"x": "chosen"})


def test_setdefault_after_a_delete_is_there_again(pair):
    a, b = pair.start({"x": 1})
    del a["x"]
    a.setdefault("x", 2)
    b.y = 1
    pair.finish({"x": 2, "y": 1})


VALUES = [
    1, 1.0, True, 0, -0.0, 2**53, 2**53 + 1, -(2**100), 0.5, float("inf"), float("nan"), None, "", "text",
    "\U0001f44d", b"", b"\x00\xff", (), (1, (1.0, True, "x")), frozenset({(1.0, "a")}), dt.date(2026, 1, 2),
    dt.time(3, 4, 5, 6), dt.datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001
    dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
    dt.timedelta(-1, 2, 3), Decimal("1.10"), Decimal("NaN"), UUID(int=5), 1 - 0.0j,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_every_type_arrives_as_it_is(pair, value):
    a, b = pair.start({"l": [0], "d": {}})
    a.value = value
    a.l[0] = value
    a.l.append(value)
    b.other = {"in": [value, {"it": value}]}
    b.setdefault("default", value)
    pair.finish(
        {"l": [value, value], "d": {}, "value": value, "other": {"in": [value, {"it": value}]}, "default": value}
    )


@pytest.mark.parametrize("key", [key for key in VALUES if key == key], ids=repr)
def test_every_type_of_key_arrives_as_it_is(pair, key):
    a, b = pair.start({"d": {}, "s": set()})
    a.d[key] = {"x": 1}
    a.s.add(key)
    b.d[key] = {"y": 2}
    pair.finish({"d": {key: {"x": 1, "y": 2}}, "s": {key}})


@pytest.mark.parametrize("key", ["", "~", "~~", "/", "a/b", "~MQ", "\n", "\U0001f44d", "c", "meta"])
def test_odd_text_keys_are_keys_like_others(pair, key):
    a, b = pair.start({"d": {"seeded" + key: 1}})
    a.d[key] = [1]
    b[key] = {key: key}
    pair.finish({"d": {"seeded" + key: 1, key: [1]}, key: {key: key}})


def test_a_value_that_becomes_another_type_of_the_same_value_arrives(pair):
    a, b = pair.start({"x": 1, "l": [1]})
    a.x = True
    a.l[0] = 1.0
    pair.exchange()
    assert same(b, {"x": True, "l": [1.0]})
    pair.finish({"x": True, "l": [1.0]})


def test_equal_elements_of_other_types_are_one_element(pair):
    a, b = pair.start({"s": set()})
    a.s.update({1, (1, 2)})
    b.s.update({True, (1.0, 2)})
    pair.finish({"s": {1, (1, 2)} if pair.winner is pair.a else {True, (1.0, 2)}})
