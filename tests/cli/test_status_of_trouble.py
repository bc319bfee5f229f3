"""``status`` of devices that refuse a structure, and of addresses where nobody was ever met."""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager

import pytest

from tests.devices.processes import DeviceProcess
from tests.peer.devices import wait_until
from tinysync import Limits, Peer, track, tracker

from .processes import printed

KINDS = "'todo' cannot be shared with laptop: it is a dict here and a list there"
NOBODY = "nobody answers there"


def told():
    """What ``status`` says of each other device."""
    (line,) = printed("status", "--json", "todo").splitlines()
    return json.loads(line)["devices"]


def said():
    return [(each["name"] or each["address"], each["state"], each["reason"]) for each in told()]


def live(structure):
    """The same, as the structure itself says it."""
    return [(each.name or each.address, each.state, each.reason) for each in tracker(structure).status().devices]


def says_nobody_at(name):
    """Tell whether there is only this one, and nobody answers."""
    return [(each, state, reason[:20]) for each, state, reason in said()] == [(name, "offline", NOBODY)]


@contextmanager
def another(folder):
    """Another process that has the structure open in a folder."""
    process = DeviceProcess(folder)
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture
def phone(place):
    """The folder of the device that is asked."""
    (place / "phone").mkdir()
    os.chdir(place / "phone")
    return place / "phone"


@pytest.fixture
def free_address():
    """An address where nobody is."""
    with Peer(listen="127.0.0.1:0") as peer:
        return peer.url


def test_a_device_that_refuses_is_told_of_with_the_reason_until_it_shares(place, phone):
    with Peer(listen="127.0.0.1:0", device="laptop") as laptop:
        theirs = track([], "todo", folder=place / "laptop", sync=laptop)
        with Peer(connect=[laptop.url], device="phone") as peer:
            todo = track({}, "todo", sync=peer)
            wait_until(lambda: said() == [("laptop", "refused", KINDS)])
            assert live(todo) == said()
            (device,) = told()
            assert (device["refused"], device["connected"], device["synced"]) == (True, False, False)
            assert device["id"] == tracker(theirs)._replica.known.here
            assert device["address"] == laptop.url
            assert printed("status").splitlines()[2].split()[:3] == ["laptop", "refused", "now"]
        # What it was refused for is still so.
        wait_until(lambda: said() == [("laptop", "offline", KINDS)])
        assert live(todo) == said()
        tracker(todo).close()
        assert said() == [("laptop", "offline", KINDS)]
        todo = track({}, "todo")
        assert live(todo) == said()
        tracker(theirs).close()
        for path in [place / "laptop/todo.yaml", *(place / "laptop/.tinysync/todo").iterdir()]:
            if path.name != "device":
                path.unlink()
        theirs = track({}, "todo", folder=place / "laptop", sync=laptop)
        with Peer(connect=[laptop.url], device="phone") as peer:
            assert track({}, "todo", sync=peer) is todo
            tracker(todo).wait_synced(20)
            wait_until(lambda: said() == [("laptop", "in step", "")])
        wait_until(lambda: said() == [("laptop", "offline", "it is not connected")])
        tracker(todo).close()
        tracker(theirs).close()


def test_the_device_that_was_refused_knows_it_too(place, phone):
    with Peer(listen="127.0.0.1:0", device="phone") as peer:
        todo = track({}, "todo", sync=peer)
        with Peer(connect=[peer.url], device="laptop") as laptop:
            theirs = track([], "todo", folder=place / "laptop", sync=laptop)
            wait_until(lambda: said() == [("laptop", "refused", KINDS)])
            tracker(theirs).close()
        tracker(todo).close()


def test_a_device_that_takes_no_more_refuses_what_it_had(place, phone):
    limits = Limits(max_frame=100_000)
    with Peer(listen="127.0.0.1:0", device="laptop", limits=limits) as laptop, Peer(connect=[laptop.url]) as peer:
        theirs = track({}, "todo", folder=place / "laptop", sync=laptop)
        todo = track({}, "todo", sync=peer)
        wait_until(lambda: said() == [("laptop", "in step", "")])
        todo.large = "x" * 200_000
        wait_until(lambda: [state for _, state, _ in said()] == ["refused"])
        wait_until(lambda: live(todo) == said())
        assert "its receiver accepts frames of 100,000" in said()[0][2]
        assert told()[0]["pending"] == 1
        tracker(todo).close()
        tracker(theirs).close()


def test_a_device_that_takes_no_more_structures(place, phone):
    limits = Limits(max_documents=1)
    with Peer(listen="127.0.0.1:0", device="laptop", limits=limits) as laptop, Peer() as peer:
        pairs = [
            track({}, name, folder=folder, sync=each)
            for name in ("first", "todo")
            for folder, each in ((place / "laptop", laptop), (phone, peer))
        ]
        peer.connect(laptop.url)
        wait_until(lambda: [state for _, state, _ in said()] == ["refused"])
        assert live(pairs[3]) == said()
        assert "takes 1 documents on one link" in said()[0][2]
        for each in pairs:
            tracker(each).close()


def test_a_device_that_refuses_and_keeps_nothing_is_not_remembered(phone):
    with Peer(listen="127.0.0.1:0", device="laptop") as laptop, Peer(connect=[laptop.url]) as peer:
        theirs = track([], "todo", persist=False, sync=laptop)
        todo = track({}, "todo", sync=peer)
        wait_until(lambda: live(todo) == [("laptop", "refused", KINDS)])
        assert told() == []
        tracker(todo).close()
        tracker(theirs).close()


def test_an_address_where_nobody_was_met_is_told_of_until_somebody_is(place, phone, free_address):
    with Peer(connect=[free_address], device="phone") as peer:
        todo = track({}, "todo", sync=peer)
        wait_until(lambda: says_nobody_at(free_address))
        assert live(todo) == said()
        (device,) = told()
        assert (device["name"], device["id"], device["last_seen"]) == ("", None, None)
        assert printed("status").splitlines()[2].split()[1:3] == ["offline", "never"]
        with Peer(listen=free_address.removeprefix("ws://"), device="laptop") as laptop:
            theirs = track({}, "todo", folder=place / "laptop", sync=laptop)
            peer.reconnect()
            wait_until(lambda: said() == [("laptop", "in step", "")])
            tracker(theirs).close()
        wait_until(lambda: says_nobody_at("laptop"))
        assert live(todo) == said()
    # A peer that is closed connects to nothing.
    wait_until(lambda: said() == [("laptop", "offline", "it is not connected")])
    tracker(todo).close()


def test_an_address_is_told_of_as_long_as_somebody_connects_to_it(phone, free_address):
    with Peer(connect=[free_address]) as peer:
        todo = track({}, "todo", sync=peer)
        wait_until(lambda: [each["address"] for each in told()] == [free_address])
        tracker(todo).close()
        assert told() == []
        todo = track({}, "todo", sync=peer)
        wait_until(lambda: [each["address"] for each in told()] == [free_address])
    wait_until(lambda: told() == [])
    note = json.loads((phone / ".tinysync/todo/peers").read_text())
    assert note == {"version": 1, "devices": {}, "unreached": {}}
    tracker(todo).close()


def test_each_process_of_a_folder_has_its_addresses(phone, free_address):
    with Peer(connect=[free_address], device="phone") as peer, another(phone) as other:
        todo = track({}, "todo", sync=peer)
        other.track("{}", connect=["ws://127.0.0.1:9"], device="again")
        addresses = sorted([free_address, "ws://127.0.0.1:9"])
        wait_until(lambda: sorted(each["address"] for each in told()) == addresses)
        other.kill()
        wait_until(lambda: [each["address"] for each in told()] == [free_address])
        tracker(todo).close()


def test_a_process_of_the_folder_that_shares_it_takes_the_refusal_away(place, phone):
    with Peer(listen="127.0.0.1:0", device="laptop") as laptop, Peer(connect=[laptop.url]) as peer:
        theirs = track([], "todo", folder=place / "laptop", sync=laptop)
        todo = track({}, "todo", sync=peer)
        with another(phone) as other:
            other.track("{}", connect=[laptop.url], device="again")
            wait_until(lambda: len(note(phone)["devices"].popitem()[1]["sessions"]) == 2)
            peer.close()
            wait_until(lambda: len(note(phone)["devices"].popitem()[1]["sessions"]) == 1)
            assert said() == [("laptop", "refused", KINDS)]
            other.kill()
        assert said() == [("laptop", "offline", KINDS)]
        tracker(todo).close()
        tracker(theirs).close()


def note(folder):
    return json.loads((folder / ".tinysync/todo/peers").read_text())


def written(file):
    """Return which file this is, and when it was written; others may read it meanwhile."""
    told = file.stat()
    return told.st_ino, told.st_mtime_ns


def test_nothing_is_written_while_nothing_changes(phone, free_address, caplog):
    caplog.set_level(logging.DEBUG, "tinysync")
    with Peer(connect=[free_address], device="phone") as peer:
        todo = track({}, "todo", sync=peer)
        file = phone / ".tinysync/todo/peers"
        wait_until(file.exists)
        before = written(file)
        for _ in range(20):
            attempts = caplog.text.count(NOBODY)
            peer.reconnect()
            wait_until(lambda known=attempts: caplog.text.count(NOBODY) > known)
        todo.a = 1
        assert peer._saving.waiting == set()
        assert written(file) == before
        tracker(todo).close()


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_file_that_is_not_taken_in_is_told_of(place, suffix):
    """Whoever edits it by hand sees it there, also if the program that has it open runs in the background."""
    file = place / f"conf{suffix}"
    with another(place) as program:
        formats = {".yaml": "YAML", ".json": "JSON"}
        program.run(f"from tinysync import {formats[suffix]}")
        program.run(f"x = track({{'a': 1}}, 'conf', persist={formats[suffix]})")
        assert problem_of("conf") is None
        for broken, why in [("a: 1\n  b: 2\n", "line "), ("[1]\n", "holds a list, and the structure is a dict")]:
            file.write_text(broken)
            assert why in problem_of("conf")
            shown = " ".join(printed("status", "conf").split())
            assert f"What the file says is not taken in: {file}" in shown
        file.write_text('{"a": 2}')
        assert problem_of("conf") is None
        wait_until(lambda: program.get("x['a']") == 2)
        assert "not taken in" not in printed("status", "conf")


def problem_of(name):
    (line,) = printed("status", "--json", name).splitlines()
    return json.loads(line)["problem"]
