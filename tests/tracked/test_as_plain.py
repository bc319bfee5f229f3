"""Tracked containers pass for plain ones, and copies of them are plain."""

from __future__ import annotations

import copy
import json
import pickle
import weakref

import pytest

from tinysync.tracked.dicts import DictWrapper
from tinysync.tracked.plain import kind_of, plain

from .structure import containers, track

CONTENT = {"d": {"l": [1, {"x": (1, 2)}], "s": {1, 2}}, 3: None}


def is_plain(value):
    return all(type(container) in (dict, list, set) for container in containers(value))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_plain(protocol):
    live = track(CONTENT)
    loaded = pickle.loads(pickle.dumps(live, protocol))
    assert loaded == CONTENT
    assert is_plain(loaded)
    assert b"tinysync" not in pickle.dumps(live, protocol)


def test_deep_copies_and_the_subject_are_plain():
    live = track(CONTENT)
    for copied in (copy.deepcopy(live), live.__subject__, plain(live)):
        assert copied == CONTENT
        assert is_plain(copied)
    copy.deepcopy(live.d)["l"].append(1)
    live.__subject__["d"]["l"].append(1)
    assert live == CONTENT
    assert copy.deepcopy(live.d.s) == live.d.s.__subject__ == {1, 2}


def test_shallow_copies_are_plain_with_the_same_content():
    live = track(CONTENT)
    for container in (live, live.d, live.d.l, live.d.s):
        copied = copy.copy(container)
        assert copied == container
        assert type(copied) in (dict, list, set)
    assert copy.copy(live)["d"] is live.d


def test_deep_copies_of_detached_ones_may_have_cycles():
    made = DictWrapper()
    made["me"] = made
    copied = copy.deepcopy(made)
    assert type(copied) is dict
    assert copied["me"] is copied


def test_reading_works_as_with_the_builtin():
    live = track(CONTENT)
    assert json.loads(json.dumps(live.d.l)) == [1, {"x": [1, 2]}]
    assert dict(**live.d) == CONTENT["d"]
    assert repr(live) == repr(CONTENT)
    assert repr(live.d.s) == "{1, 2}"
    assert repr(track(set())) == "set()"
    assert isinstance(live.d.l, list)
    match live:
        case {"d": {"l": [1, {"x": x}]}}:
            assert x == (1, 2)
        case _:
            pytest.fail("no match")


def test_they_can_be_referred_to_weakly():
    live = track(CONTENT)
    for container in (live, live.d.l, live.d.s):
        assert weakref.ref(container)() is container


def test_no_attributes_beyond_those_of_the_builtin_but_a_few():
    for container in containers(track(CONTENT)):
        own = {name for name in set(dir(container)) - set(dir(object)) if not name.startswith("_")}
        builtin = next(base for base in (dict, list, set) if isinstance(container, base))
        assert own - set(dir(builtin)) <= {"move", "d", "l", "s", "x"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({}, "dict"),
        ([], "list"),
        (set(), "set"),
        ((), None),
        (frozenset(), None),
        ("a", None),
        (bytearray(), None),
    ],
)
def test_kinds(value, kind):
    assert kind_of(value) == kind
