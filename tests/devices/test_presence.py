"""Who is there: over real links, in every topology."""

from __future__ import annotations

import threading

import pytest

from tests.peer.devices import DEADLINE, wait_until
from tinysync import InvalidValue, StructureClosed, UnsupportedValue, UsageError, track, tracker

from .device import synced


def present(structure):
    return {one.device: one.state for one in tracker(structure).presence.others}


def test_it_reaches_all_devices_and_goes_with_them(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    hub = device(listen="127.0.0.1:0", connect=[laptop.peer.url], device="hub")
    phone = device(connect=[hub.peer.url], device="phone")
    ours, between, theirs = laptop.track({}), hub.track({}), phone.track({})
    tracker(ours).presence["cursor"] = [1, {"x": None}]
    wait_until(lambda: present(theirs) == {"laptop": {"cursor": [1, {"x": None}]}})
    assert present(between) == present(theirs)
    tracker(theirs).presence.update(cursor=2, colour="red")
    wait_until(lambda: present(ours) == {"phone": {"cursor": 2, "colour": "red"}})
    assert present(between) == {**present(ours), **present(theirs)}
    del tracker(theirs).presence["colour"]
    wait_until(lambda: present(ours) == {"phone": {"cursor": 2}})
    tracker(ours).presence.clear()
    wait_until(lambda: present(theirs) == {})
    # Not a word of goodbye over this link: it is the link that goes.
    phone.peer.close()
    wait_until(lambda: present(ours) == present(between) == {})
    assert (ours, between, theirs) == ({}, {}, {})


def test_in_a_ring_a_broken_link_takes_nobody_away_for_long(device):
    ring = [device(listen="127.0.0.1:0", device=f"d{n}") for n in range(3)]
    for n in (0, 1):
        ring[n].peer.connect(ring[n + 1].peer.url)
    last = device(connect=[ring[0].peer.url, ring[2].peer.url], device="last")
    copies = [one.track({}) for one in (*ring, last)]
    for n, copy in enumerate(copies):
        tracker(copy).presence["n"] = n
    synced(*copies)
    wait_until(lambda: all(len(present(copy)) == 3 for copy in copies))
    tracker(copies[1]).close()
    wait_until(lambda: all(len(present(copy)) == 2 for copy in (copies[0], copies[2], copies[3])))


def test_who_closes_the_structure_is_gone_and_who_comes_later_sees_those_who_are_there(pair):
    laptop, phone = pair()
    ours = laptop.track({})
    tracker(ours).presence["at"] = 1
    theirs = phone.track({})
    wait_until(lambda: present(theirs) == {"laptop": {"at": 1}})
    tracker(ours).close()
    wait_until(lambda: present(theirs) == {})
    with pytest.raises(StructureClosed):
        tracker(ours).presence["at"] = 2


def test_events(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    heard: list = []
    arrived = threading.Condition()

    def hear(change):
        with arrived:
            heard.append(change)
            arrived.notify_all()

    def until(condition):
        with arrived:
            assert arrived.wait_for(lambda: heard and condition(heard[-1]), DEADLINE), heard

    with tracker(theirs).presence.on(hear):
        tracker(ours).presence["at"] = 1
        until(lambda change: [(one.device, one.state) for one in change.added] == [("laptop", {"at": 1})])
        tracker(ours).presence["at"] = 2
        until(lambda change: [one.state for one in change.updated] == [{"at": 2}])
        tracker(ours).presence.clear()
        until(lambda change: [one.state for one in change.removed] == [{"at": 2}])
    tracker(ours).presence["at"] = 3
    wait_until(lambda: present(theirs) == {"laptop": {"at": 3}})
    assert len(heard) == 3


def test_what_cannot_be_shown_is_refused_and_changes_nothing():
    presence = tracker(track({}, persist=False)).presence
    presence["at"] = [1]
    for wrong in (object(), {1, 2}, (1,), float("nan"), b"x", {1: 2}, "\ud800", [[(1,)]]):
        with pytest.raises(UnsupportedValue, match=r"presence\['x'\]") as caught:
            presence["x"] = wrong
        assert "'at'" not in str(caught.value)
    with pytest.raises(UnsupportedValue, match=r"presence\['wrong'\] .*set"):
        presence.update(right=1, wrong=set())
    with pytest.raises(UnsupportedValue, match="1 cannot be a key of presence, whose keys are str"):
        presence[1] = 2
    with pytest.raises(UnsupportedValue) as caught:
        presence["x"] = (1,) * 10_000
    assert len(str(caught.value)) < 300
    with pytest.raises(InvalidValue, match="bytes"):
        presence["x"] = "x" * 3000
    with pytest.raises(KeyError):
        del presence["x"]
    presence["at"].append(2)
    assert dict(presence) == {"at": [1]}
    assert presence.others == ()


def test_it_is_updated_in_place_as_a_dict_is():
    structure = track({}, persist=False)
    presence = shown = tracker(structure).presence
    presence["at"] = 1
    presence |= {"at": 2, "colour": "red"}
    assert presence is shown
    tracker(structure).presence |= [("at", 3)]
    assert dict(shown) == {"at": 3, "colour": "red"}
    with pytest.raises(UsageError, match="update"):
        tracker(structure).presence = {"at": 4}
    assert dict(shown) == {"at": 3, "colour": "red"}


def test_nothing_of_it_is_stored(tmp_path):
    alone = track({}, "todo", folder=tmp_path)
    tracker(alone).presence["secret"] = "x" * 50
    tracker(alone).close()
    assert all(b"xxxx" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
