"""Devices that lose each other, are edited apart, and meet again."""

from __future__ import annotations

import random

import pytest
import yaml

from tests.peer.devices import wait_until
from tinysync import SyncTimeout, tracker

from .device import assert_equal, synced


def edit_apart(ours, theirs):
    """Edit every kind of part on both sides."""
    ours.settings.colour = "blue"
    theirs.settings.size = 3
    ours.settings["new"] = {"by": {"us": 1}}
    theirs.settings["new"] = {"by": {"them": 2}}
    ours.log.append("ours")
    theirs.log.insert(0, "theirs")
    ours.tags.add("ours")
    theirs.tags.remove("start")
    del ours["old"]
    theirs["number"] = 2**70


START = {"settings": {"colour": "red"}, "log": ["start"], "tags": {"start"}, "old": True}

MERGED = {
    "settings": {"colour": "blue", "size": 3, "new": {"by": {"us": 1, "them": 2}}},
    "log": ["theirs", "start", "ours"],
    "tags": {"ours"},
    "number": 2**70,
}


def test_edits_made_on_both_sides_of_a_cut_link_meet(device, cable):
    laptop = device(listen="127.0.0.1:0")
    wire = cable(laptop.peer.url)
    phone = device(connect=[wire.url])
    ours, theirs = laptop.track(START), phone.track(START)
    synced(theirs)
    wire.cut()
    wait_until(lambda: not laptop.peer.connected_devices() and not phone.peer.connected_devices())
    edit_apart(ours, theirs)
    with pytest.raises(SyncTimeout, match=wire.url):
        tracker(theirs).wait_synced(0.01)
    assert "size" not in ours.settings
    wire.plug_in()
    synced(theirs)
    assert ours == MERGED
    assert_equal(ours, theirs)


def test_a_cut_in_the_middle_of_everything_loses_nothing(device, cable):
    chance = random.Random(7)
    laptop = device(listen="127.0.0.1:0")
    wire = cable(laptop.peer.url)
    phone = device(connect=[wire.url])
    copies = [laptop.track({"log": []}), phone.track({"log": []})]
    for round_number in range(3):
        before = len(copies[0]["log"])
        for number in range(200):
            copy = chance.choice(copies)
            copy["log"].append(f"{round_number} {number}")
            copy[f"key {number}"] = round_number
            if number == 150:
                # Some of it is on its way, some is not sent, some is not acknowledged.
                wait_until(lambda before=before: len(copies[0]["log"]) > before)
                wire.cut()
        wire.plug_in()
        synced(copies[1])
        assert_equal(*copies)
    assert sorted(copies[0]["log"]) == sorted(f"{r} {n}" for r in range(3) for n in range(200))
    assert copies[0]["key 199"] == 2


def test_a_device_that_closes_its_peer_is_offline_until_it_has_another(device):
    laptop = device(listen="127.0.0.1:0")
    phone = device(connect=[laptop.peer.url])
    ours, theirs = laptop.track(START), phone.track(START)
    synced(theirs)
    phone.peer.close()
    edit_apart(ours, theirs)
    phone.peer = device(connect=[laptop.peer.url]).peer
    # Tracking it again would give another structure, as nothing is on disk: the open one joins the new peer.
    tracker(theirs)._replica.sharing.add(phone.peer)
    synced(theirs)
    assert ours == MERGED
    assert_equal(ours, theirs)


def test_a_device_that_starts_again_is_found_at_its_port(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0")
    url = laptop.peer.url
    phone = device(tmp_path / "phone", connect=[url])
    ours, theirs = laptop.track(START), phone.track(START)
    synced(theirs)
    laptop.peer.close()
    ours["while alone"] = 1
    tracker(ours).close()
    theirs["while alone, too"] = 2
    laptop = device(tmp_path / "laptop", listen=url)
    ours = laptop.track(START)
    assert ours["while alone"] == 1
    synced(theirs)
    assert (ours["while alone, too"], theirs["while alone"]) == (2, 1)
    assert_equal(ours, theirs)


def test_both_start_again_from_disk(device, tmp_path):
    expected = None
    for session in range(3):
        laptop = device(tmp_path / "laptop", listen="127.0.0.1:0")
        ours, theirs = laptop.track(START), device(tmp_path / "phone").track(START)
        if expected is not None:
            assert ours == theirs == expected
        # Edited before the link is up.
        ours.log.append(f"ours {session}")
        theirs.log.append(f"theirs {session}")
        theirs.settings.size = session
        phone = device(tmp_path / "phone", connect=[laptop.peer.url])
        theirs = phone.track(START)
        synced(theirs)
        assert_equal(ours, theirs)
        expected = tracker(ours).snapshot()
        for structure in (ours, theirs):
            tracker(structure).close()
        texts = [(tmp_path / folder / "todo.yaml").read_text("utf-8") for folder in ("laptop", "phone")]
        assert texts[0] == texts[1]
        assert yaml.safe_load(texts[0]) == expected
    assert len(expected["log"]) == 7


def test_a_fresh_device_takes_on_what_the_group_has_chosen(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0")
    ours = laptop.track({"colour": "red", "sizes": [1, 2], "old": True})
    ours.colour = "blue"
    ours.sizes.append(3)
    del ours["old"]
    # Another version of the app, whose defaults differ.
    phone = device(tmp_path / "phone", connect=[laptop.peer.url])
    theirs = phone.track({"colour": "green", "old": True, "new": 1}, version=1)
    synced(theirs)
    assert ours == {"colour": "blue", "sizes": [1, 2, 3], "new": 1}
    assert_equal(ours, theirs)


def test_a_device_in_the_middle_carries_what_two_others_never_tell_each_other(device, tmp_path):
    """One hears of the other's edit only after that one has left for good."""
    hub = device(tmp_path / "hub", listen="127.0.0.1:0")
    url = hub.peer.url
    middle = hub.track(START)
    first = device(connect=[url])
    theirs = first.track(START)
    theirs["from the first"] = [1]
    synced(theirs)
    first.peer.close()
    hub.peer.close()
    tracker(middle).close()

    hub = device(tmp_path / "hub", listen=url)
    middle = hub.track(START)
    last = device(connect=[url]).track(START)
    synced(last)
    assert last["from the first"] == [1]
    assert_equal(middle, last)
