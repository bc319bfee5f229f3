"""The commonest update is found by its pattern, and then taken in by a shorter way."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.document.encoding import beside, deletions, string, update, values
from tests.document.replicas import Replica, settle
from tests.lengths import many
from tinysync import tracker
from tinysync.crdt import check
from tinysync.crdt import document as documents
from tinysync.crdt.check import check_any_update, check_update
from tinysync.crdt.ids import MAX_CLIENT, SEED_CLIENTS
from tinysync.crdt.lone import find_lone_write

SESSION = 60_000 << 33
"""A client id as sessions have them."""

clients = st.sampled_from([1, 2**42, 2**49 - 1, SESSION, SESSION + 1, SEED_CLIENTS, MAX_CLIENT, MAX_CLIENT + 1])
clocks = st.sampled_from([0, 1, 2, 127, 128, 2**27, 2**28 - 1, 2**28, 2**31 - 3])
contents = st.sampled_from(
    [
        values(b"\x7e"),
        values(b"\x78"),
        values(b"\x7c\x40\xc0\x00\x00"),
        values(b"\x7b" + b"\x01" * 8),
        values(b"\x7d\x01"),
        values(b"\x78", b"\x79"),
        values(string("")),
        values(string("\u00e4\U0001f600")),
        values(string("x" * 127)),
        values(string("x" * 128)),
        values(b"\x77\x01\xff"),
        values(b"\x77\x05ab"),
        b"\x03\x01\xc0",
        b"\x01\x01",
    ]
)


@st.composite
def updates(draw):
    client, left = draw(clients), (draw(clients), draw(clocks))
    block = beside(draw(contents), left=left)
    block = bytes([block[0] | draw(st.sampled_from([0x20, 0]))]) + block[1:]
    ends = [deletions(), deletions((*left, 1)), deletions((*left, 2)), deletions((client, 1, 1)), b""]
    whole = update(block, client=client, clock=draw(clocks), deleted=draw(st.sampled_from(ends)))
    at = draw(st.integers(0, len(whole) - 1))
    damaged = [whole, whole[:at], whole[:at] + bytes([draw(st.integers(0, 255))]) + whole[at + 1 :], whole + b"\0"]
    return draw(st.sampled_from([whole, whole, *damaged]))


@settings(max_examples=many(1000))
@given(updates())
def test_what_is_found_is_what_the_whole_check_finds(one):
    found = find_lone_write(one)
    if found is not None:
        lone, found.lone = found.lone, None
        assert found == check_any_update(one)
        [(client, clock, end)] = found.blocks
        assert (lone.client, lone.clock, lone.block_end) == (client, clock, end)
        assert found.needs == {lone.left[0]: lone.left[1] + 1}


@pytest.mark.parametrize("value", [0, 6, 1.5, -1, True, None, "", "x" * 100, "\u00e4"], ids=repr)
def test_it_is_what_an_edit_of_a_value_makes(value):
    here = Replica({})
    here.root["a"] = 7
    here.root["a"] = value
    *_, edit = here.updates()
    assert check_update(edit).lone is not None


def test_a_new_entry_and_a_container_take_the_long_way():
    here = Replica({})
    for value in (1, {"x": 1}, [1]):
        here.root["a"] = value
        assert check_update(here.updates()[-1]).lone is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 2), st.sampled_from(["a", "b", "d"])),
        st.tuples(st.just("write"), st.integers(0, 2), st.sampled_from(["a", "b", "d"])),
        st.tuples(st.just("delete"), st.integers(0, 2), st.sampled_from(["a", "d"])),
        st.tuples(st.just("undo"), st.integers(0, 2), st.none()),
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 2)),
    ),
    max_size=40,
)


def play(schedule):
    """Let three devices write, and send each other all their updates one by one; return what each says then."""
    ids = itertools.count(SESSION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "new_client_id", lambda _: next(ids))
        devices = [Replica({"a": 0, "d": {"x": 0}}) for _ in range(3)]
        settle(*devices)
        for number, (step, who, what) in enumerate(schedule):
            root = devices[who].root
            if step == "send":
                for one in devices[who].updates():
                    devices[what].receive([one])
            elif step == "undo":
                if tracker(root).can_undo:
                    tracker(root).undo()
            elif step == "delete":
                root.pop(what, None)
            elif what == "d":
                root.setdefault("d", {})["x"] = number
            else:
                root[what] = number
    told = [
        (
            tracker(device.root).snapshot(),
            [(one.path, one.lost, one.kept, one.lost_here) for one in tracker(device.root).conflicts()],
        )
        for device in devices
    ]
    settle(*devices)
    for device in devices:
        device.check()
    return told


@settings(max_examples=many(200))
@given(steps)
def test_the_short_way_comes_to_the_same_as_the_long_one(schedule):
    short = play(schedule)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "find_lone_write", lambda _: None)
        assert play(schedule) == short


def warmed_up():
    """Two devices of which each knows the other's writes of an entry, and where it lies."""
    here, there = Replica({}), Replica({})
    settle(here, there)
    for number in range(4):
        one, other = (here, there) if number % 2 else (there, here)
        one.root["a"] = number
        other.receive(one.outbox.published[-1:])
    assert all((root == "c") for one in (here, there) for root, _ in one.document._parents.names.values())
    assert here.document._parents.names
    assert there.document._parents.names
    return here, there


def swap(here, there):
    """Let each of two devices get what the other one has written last."""
    mine, theirs = here.outbox.published[-1:], there.outbox.published[-1:]
    here.receive(theirs)
    there.receive(mine)


def check_equal(here, there):
    assert here.root == there.root
    here.check()
    there.check()
    assert here.document.digest(1000) == there.document.digest(1000)


def test_an_edit_shows():
    here, there = warmed_up()
    here.root["a"] = "new"
    there.receive(here.outbox.published[-1:])
    assert there.root == {"a": "new"}
    check_equal(here, there)


def test_of_two_at_once_one_shows_on_both_sides():
    here, there = warmed_up()
    here.root["a"], there.root["a"] = "here", "there"
    swap(here, there)
    check_equal(here, there)
    here.root["a"] = "later"
    there.receive(here.outbox.published[-1:])
    check_equal(here, there)


def test_an_edit_of_what_was_deleted_meanwhile_shows():
    here, there = warmed_up()
    del here.root["a"]
    there.root["a"] = "kept"
    swap(here, there)
    check_equal(here, there)
    assert here.root == {"a": "kept"}


def test_one_that_is_known_changes_nothing():
    here, there = warmed_up()
    here.root["a"] = "new"
    for _ in range(2):
        there.receive(here.outbox.published[-1:])
    check_equal(here, there)


def test_one_that_comes_before_what_it_is_made_upon_waits():
    here, there = warmed_up()
    here.root["a"] = "first"
    here.root["a"] = "second"
    first, second = here.outbox.published[-2:]
    there.receive([second])
    assert there.root == {"a": 3}
    there.receive([first])
    assert there.root == {"a": "second"}
    check_equal(here, there)


def test_an_edit_inside_what_was_removed_here_does_not_show():
    here, there = Replica({"d": {"x": 0}}), Replica({"d": {"x": 0}})
    settle(here, there)
    for number in range(4):
        one, other = (here, there) if number % 2 else (there, here)
        one.root["d"]["x"] = number
        other.receive(one.outbox.published[-1:])
    del here.root["d"]
    there.root["d"]["x"] = "new"
    swap(here, there)
    check_equal(here, there)


def test_a_write_that_loses_does_not_keep_the_one_that_holds_from_being_undone():
    here, there = warmed_up()
    here.root["a"], there.root["a"] = "here", "there"
    swap(here, there)
    winner = here if here.root["a"] == "here" else there
    tracker(winner.root).undo()
    assert winner.root == {"a": 3}
