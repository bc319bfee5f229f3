"""What a peer sends that it should not: its link is closed with the reason, and nothing else happens."""

from __future__ import annotations

import contextlib
import logging

import pycrdt
import pytest
from websockets.exceptions import ConnectionClosed

from tests.peer.devices import wait_until
from tinysync import tracker
from tinysync.protocol.messages import VERSION, Ack, Awareness, Hello, Open, Sync1, Update

from .by_hand import ByHand
from .device import assert_equal, synced


@pytest.fixture
def victims(pair):
    """Two devices in step, the first of them listening; at the end they still are, whatever was done to them."""
    laptop, phone = pair()
    ours, theirs = laptop.track({"a": [1, {"b": 2}]}), phone.track({"a": [1, {"b": 2}]})
    synced(theirs)
    before = tracker(ours).snapshot()
    link = next(iter(phone.peer._connections))
    yield laptop
    assert ours == before
    theirs["after"] = [3]
    ours["a"][1]["b"] = 4
    synced(theirs)
    assert ours["after"] == [3]
    assert_equal(ours, theirs)
    # It is the same link all the time.
    assert list(phone.peer._connections) == [link]


def update_of(kind, name, write):
    """An update of a document that nobody here would make."""
    doc = pycrdt.Doc()
    shared = doc.get(name, type=kind)
    with doc.transaction():
        write(shared)
    return doc.get_update()


HOSTILE_UPDATES = {
    "empty": b"",
    "garbage": b"\xff" * 100,
    "cut short": update_of(pycrdt.Map, "c", lambda shared: shared.update({"x": 1}))[:-3],
    "followed by more": update_of(pycrdt.Map, "c", lambda shared: shared.update({"x": 1})) + b"\x00",
    "unknown root": update_of(pycrdt.Map, "other", lambda shared: shared.update({"x": 1})),
    "another kind of root": update_of(pycrdt.Array, "c", lambda shared: shared.append(1)),
    "a map as list": update_of(pycrdt.Map, "l:AAAAAAAAAAA", lambda shared: shared.update({"x": 1})),
    "nested type": update_of(pycrdt.Map, "c", lambda shared: shared.update({"x": pycrdt.Map({"y": 1})})),
    "a value that is none": update_of(pycrdt.Map, "c", lambda shared: shared.update({"x": {"y": 1}})),
    "endless length": b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("update", HOSTILE_UPDATES.values(), ids=HOSTILE_UPDATES.keys())
def test_an_update_that_is_none(victims, update, caplog):
    with ByHand(victims.peer.url, start={"a": [1, {"b": 2}]}) as client, caplog.at_level(logging.WARNING):
        client.join()
        good = client.write("good", True)
        client.publish([update, *good])
        told = client.last_word()
        assert told is not None
        assert (told.code, told.document) == ("bad-update", None)
    assert [r.levelname for r in caplog.records if "by hand" in r.getMessage()] == ["WARNING"]


def test_a_state_vector_that_is_none(victims):
    with ByHand(victims.peer.url, start={"a": [1, {"b": 2}]}) as client:
        client.join()
        client.send(Sync1("todo", b"\xff" * 9))
        told = client.last_word()
        assert told is not None
        assert told.code == "bad-update"


HELLO = Hello(VERSION, "x", "stranger", {})

BROKEN_RULES = {
    "no hello": ([Open("todo", "dict", 0, "")], "out-of-order"),
    "two hellos": ([HELLO, HELLO], "out-of-order"),
    "another version": ([Hello(99, "x", "stranger", {})], "version"),
    "tiny frames": ([Hello(VERSION, "x", "stranger", {"max_frame": 1})], "malformed"),
    "not open": ([HELLO, Update("diary", 1, [])], "not-open"),
    "frames out of order": ([HELLO, Open("todo", "dict", 0, ""), Update("todo", 2, [])], "out-of-order"),
    "acknowledging the future": ([HELLO, Open("todo", "dict", 0, ""), Ack("todo", 99)], "out-of-order"),
    "too many documents": ([HELLO, *[Open(f"document {n}", "dict", 0, "") for n in range(1001)]], "too-much"),
    "asking and asking": ([HELLO, Open("todo", "dict", 0, ""), *[Sync1("todo", b"\x00")] * 5], "out-of-order"),
    "awareness of nothing": ([HELLO, Awareness("diary", b"")], "not-open"),
    "a name without end": ([HELLO, Open("x" * 1000, "dict", 0, "")], "malformed"),
}


@pytest.mark.parametrize(("messages", "code"), BROKEN_RULES.values(), ids=BROKEN_RULES.keys())
def test_a_broken_rule(victims, messages, code):
    with ByHand(victims.peer.url) as client:
        with contextlib.suppress(ConnectionClosed):
            client.send(*messages)
        told = client.last_word()
        assert told is not None
        assert told.document is None
        assert told.code == code


def test_a_stranger_leaves_in_the_middle_of_a_frame(victims):
    with ByHand(victims.peer.url, start={"a": [1, {"b": 2}]}) as client:
        client.join()

        def fragments():
            yield b"\x94\x05"
            client.socket.socket.shutdown(2)
            yield b"todo"

        with contextlib.suppress(ConnectionClosed, OSError):
            client.socket.send(fragments())
    wait_until(lambda: victims.peer.connected_devices() == ["phone"])


def test_many_strangers_at_once(victims):
    with contextlib.ExitStack() as stack:
        for number in range(20):
            client = stack.enter_context(ByHand(victims.peer.url, f"document {number}"))
            client.flush()
            client.socket.send(b"\xff" * 10)
    wait_until(lambda: victims.peer.connected_devices() == ["phone"])
