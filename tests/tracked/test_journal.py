"""The journal says exactly what was done, and takes it back exactly."""

from __future__ import annotations

from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.crdt.ops import ABSENT, Assign, Put, Reorder, Splice
from tinysync.errors import TinySyncError
from tinysync.tracked.adopt import build, copy_in
from tinysync.tracked.base import Tracked
from tinysync.tracked.journal import Journal

from .calls import STARTS, any_call
from .structure import Structure, check_links, containers, plain, state, track


class Undone(Exception):
    pass


@contextmanager
def undone(live):
    """A transaction that fails at its end."""
    with suppress(Undone), live:
        yield
        raise Undone


def key_orders(live):
    """The keys of all dicts as they stand; sets have no order to bring back."""
    return [list(container) for container in containers(live) if isinstance(container, dict)]


def edit_somewhere(data, live):
    """Make a random call on a random container; errors of the builtins are part of it."""
    place = data.draw(st.integers(0, len(containers(live)) - 1))
    target = containers(live)[place]
    call = data.draw(any_call(target._node.kind))
    before = plain(live)
    try:
        call.on(target)
    except Exception as error:
        if isinstance(error, TinySyncError):
            raise
        assert plain(live) == before


@settings(max_examples=many(150))
@given(start=st.one_of(*STARTS.values()), data=st.data())
def test_replaying_the_ops_gives_the_live_content(start, data):
    # The structure replays the ops of every call and compares, type-exactly.
    live = track(start)
    for _ in range(8):
        edit_somewhere(data, live)
    check_links(live)


@settings(max_examples=many(200))
@given(start=st.one_of(*STARTS.values()), data=st.data())
def test_a_rollback_brings_back_content_order_and_identity(start, data):
    live = track(start)
    edit_somewhere(data, live)
    before, order = state(live), key_orders(live)
    held = containers(live)
    with undone(live):
        for _ in range(data.draw(st.integers(1, 6))):
            edit_somewhere(data, live)
            vandalise(data, held)
    assert state(live) == before
    assert key_orders(live) == order
    check_links(live)
    assert all(container._node.attached for container in held)


@settings(max_examples=many(100))
@given(start=STARTS["dict"], data=st.data())
def test_a_rollback_to_a_mark_keeps_what_was_before_it(start, data):
    live = track(start)
    with live:
        for _ in range(data.draw(st.integers(0, 4))):
            edit_somewhere(data, live)
        before = state(live)
        with undone(live):
            for _ in range(data.draw(st.integers(1, 4))):
                edit_somewhere(data, live)
        assert state(live) == before
        check_links(live)


def vandalise(data, held):
    """Write to a container that was removed: whoever still holds it may."""
    gone = [container for container in held if not container._node.attached]
    if gone:
        victim = data.draw(st.sampled_from(gone))
        victim.clear()
        if isinstance(victim, list):
            victim.append(object())


def test_key_order_survives_any_number_of_rollbacks():
    live = track(dict.fromkeys("abcd", 0))
    with undone(live):
        del live["b"]
        live["e"] = live["b"] = 1
        with undone(live):
            del live["a"]
            live["a"] = 2
            live["f"] = 3
        assert list(live) == ["a", "c", "d", "e", "b"]
        live.popitem()
        live.clear()
        live["z"] = 0
    assert list(live) == ["a", "b", "c", "d"]


def test_without_key_order_restored_keys_are_last():
    live = track(dict.fromkeys("abc", 0))
    live._recorder.journal = Journal(keep_key_order=False)
    with undone(live):
        del live["a"]
    assert list(live) == ["b", "c", "a"]


def test_what_came_in_is_detached_by_a_rollback():
    live = track({})
    with undone(live):
        live.x = {"y": [1]}
        x, y = live.x, live.x.y
        y.append(2)
    assert live == {}
    assert not x._node.attached
    assert not y._node.attached
    assert x == {"y": [1]}
    y.append(3)
    assert live._recorder.commits == []


def test_a_call_that_fails_midway_undoes_its_ops_only():
    live = track({"s": {1}})
    with live:
        live.s.add(2)
        with pytest.raises(TinySyncError):
            live.s.update([3, 4, 5, float("nan")])
    assert live == {"s": {1, 2}}
    assert [(op.key, op.new) for op in live._recorder.last_ops()] == [(2, True)]


def test_removed_containers_are_noted_with_their_content_and_marked():
    live = track({"x": {"y": [1, {2}]}, "z": 0})
    x, y, s = live.x, live.x.y, live.x.y[1]
    assert live.pop("x") is x
    (op,) = live._recorder.last_ops()
    assert isinstance(op, Put)
    assert op.new is ABSENT
    assert [(removed.node, type(removed.content)) for removed in op.removed] == [
        (x._node, dict),
        (y._node, list),
        (s._node, set),
    ]
    assert op.removed[1].content == [1, {2}]
    assert not any(container._node.attached for container in (x, y, s))
    assert x == {"y": [1, {2}]}


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        (lambda live: live.update(a=1, b=2), [Put, Put]),
        (lambda live: live.l.append(1), [Splice]),
        (lambda live: live.l.extend(range(100)), [Splice]),
        (lambda live: live.l.__setitem__(0, 5), [Assign]),
        (lambda live: live.l.__delitem__(slice(None)), [Splice]),
        (lambda live: live.l.__delitem__(slice(None, None, -1)), [Splice]),
        (lambda live: live.l.__delitem__(slice(None, None, 2)), [Splice, Splice]),
        (lambda live: live.l.reverse(), [Reorder]),
        (lambda live: live.l.move(0, 2), [Reorder]),
        (lambda live: live.s.update({1, 2, 3}), [Put]),
        (lambda live: live.setdefault("new", []), [Put]),
        (lambda live: live.__setitem__("n", 0), [Put]),
    ],
)
def test_each_call_writes_the_ops_it_needs(call, kinds):
    live = track({"l": [1, 2, 3], "s": {1, 2}, "n": 0})
    call(live)
    assert list(map(type, live._recorder.last_ops())) == kinds


@pytest.mark.parametrize(
    "call",
    [
        lambda live: live.update({}),
        lambda live: live.setdefault("n", 5),
        lambda live: live.pop("none", None),
        lambda live: live.l.extend([]),
        lambda live: live.l.sort(),
        lambda live: live.l.move(1, 1),
        lambda live: live.l.__setitem__(slice(0, 2), [1, 2]),
        lambda live: live.l.__delitem__(slice(2, 1)),
        lambda live: live.l.__imul__(1),
        lambda live: live.s.discard(7),
        lambda live: live.s.add(1),
        lambda live: live.s.update([1], [2]),
        lambda live: live.s.__iand__({1, 2, 3}),
        lambda live: live.__setitem__("l", [1, 2, 3]),
        lambda live: live.empty.clear(),
    ],
)
def test_what_changes_nothing_commits_nothing(call):
    live = track({"l": [1, 2, 3], "s": {1, 2}, "n": 0, "empty": {}})
    call(live)
    assert live._recorder.commits == []


def test_setdefault_is_a_default():
    live = track({})
    assert live.setdefault("l", [1]) is live["l"]
    (op,) = live._recorder.last_ops()
    assert op.default
    assert live == {"l": [1]}


def test_keys_are_written_down_as_they_are_stored():
    live = track({1: "a", "s": {1}})
    live[True] = "b"
    assert repr(live._recorder.last_ops()[0].key) == "1"
    live.update({1.0: "c"})
    assert repr(live._recorder.last_ops()[0].key) == "1"
    live.s.discard(True)
    assert repr(live._recorder.last_ops()[0].key) == "1"
    del live[1.0]
    assert repr(live._recorder.last_ops()[0].key) == "1"
    assert live == {"s": set()}


def test_sets_find_a_set_as_the_frozenset_that_it_equals():
    live = track({frozenset({1})})
    assert {1} in live
    live.discard({1})
    assert live == set()
    assert live._recorder.last_ops()[0].key == frozenset({1})


def test_build_gives_nodes_without_ids():
    root = build(copy_in({"a": [{}]}), None, None, Structure())
    check_links(root)
    assert all(container._node.id == "" and isinstance(container, Tracked) for container in containers(root))
