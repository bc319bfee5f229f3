"""Tracked structures on devices that are linked: what one writes, all have."""

from __future__ import annotations

import itertools
import logging
import threading

import pytest

from tests.peer.devices import DEADLINE, wait_until
from tinysync import KindMismatch, SyncTimeout, UsageError, track, tracker

from .device import assert_equal, synced


def pair_of(device):
    hub = device(listen="127.0.0.1:0")
    return [hub, device(connect=[hub.peer.url])]


def chain_of(device):
    first = device(listen="127.0.0.1:0")
    middle = device(listen="127.0.0.1:0", connect=[first.peer.url])
    return [first, middle, device(connect=[middle.peer.url])]


def star_of(device):
    hub = device(listen="127.0.0.1:0")
    return [hub, *[device(connect=[hub.peer.url]) for _ in range(3)]]


def ring_of(device):
    ring = [device(listen="127.0.0.1:0") for _ in range(3)]
    for one, following in itertools.pairwise([*ring, ring[0]]):
        one.peer.connect(following.peer.url)
    return ring


def full_of(device):
    """Each connects to each: of the two links between two devices, one stays."""
    devices = [device(listen="127.0.0.1:0") for _ in range(4)]
    for one, other in itertools.permutations(devices, 2):
        one.peer.connect(other.peer.url)
    return devices


@pytest.mark.parametrize("topology", [pair_of, chain_of, star_of, ring_of, full_of])
def test_every_topology_converges(device, topology):
    start = {"settings": {"colour": "red"}, "log": ["start"], "tags": {"start"}}
    copies = [one.track(start) for one in topology(device)]
    for number, copy in enumerate(copies):
        copy[f"from {number}"] = {"nested": [number]}
        copy.settings[f"key {number}"] = number
        copy.log.append(f"entry {number}")
        copy.tags.add(number)
        with copy:
            copy.log.insert(0, f"first {number}")
            copy.tags.discard("start")
    synced(*copies)
    assert_equal(*copies)
    count = len(copies)
    everything = tracker(copies[0]).snapshot()
    assert everything["settings"] == {"colour": "red", **{f"key {n}": n for n in range(count)}}
    assert sorted(everything["log"]) == sorted(
        ["start", *[f"entry {n}" for n in range(count)], *[f"first {n}" for n in range(count)]],
    )
    assert everything["tags"] == set(range(count))
    assert [everything[f"from {n}"] for n in range(count)] == [{"nested": [n]} for n in range(count)]


@pytest.mark.parametrize(
    ("start", "edit", "result"),
    [
        ([], lambda structure: structure.append({"done": False}), [{"done": False}]),
        (set(), lambda structure: structure.add((1, 2.0)), {(1, 2.0)}),
        ({}, lambda structure: structure.update({1: b"x", (1, 2): 2**70}), {1: b"x", (1, 2): 2**70}),
    ],
    ids=["list", "set", "dict"],
)
def test_every_kind_of_root(pair, start, edit, result):
    laptop, phone = pair()
    ours, theirs = laptop.track(start), phone.track(start)
    edit(theirs)
    synced(theirs)
    assert ours == result
    assert_equal(ours, theirs)


def test_several_structures_share_one_link(pair):
    laptop, phone = pair()
    names = [f"home/room {number}" for number in range(10)]
    ours = {name: laptop.track({}, name) for name in names}
    theirs = {name: phone.track({}, name) for name in names}
    for name in names:
        ours[name]["laptop"] = name
        theirs[name]["phone"] = name
    synced(*theirs.values())
    for name in names:
        assert_equal(ours[name], theirs[name])
        assert ours[name] == {"laptop": name, "phone": name}


def test_a_structure_that_is_tracked_later_joins_then(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}, "first"), phone.track({}, "first")
    synced(theirs)
    early = laptop.track({"begun": True}, "second")
    early["more"] = [1]
    theirs["first goes on"] = True
    late = phone.track({}, "second")
    synced(late, theirs)
    assert late == {"begun": True, "more": [1]}
    assert ours == {"first goes on": True}


def test_a_structure_that_only_one_side_has_waits(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    alone = phone.track({}, "diary")
    alone["secret"] = True
    theirs["x"] = 1
    synced(theirs)
    assert ours == {"x": 1}
    with pytest.raises(SyncTimeout, match=f"{laptop.peer.url}.*does not share 'diary'"):
        tracker(alone).wait_synced(0.01)


def test_another_kind_is_refused_on_both_sides_and_nothing_else(pair, caplog):
    laptop, phone = pair()
    ours, theirs = laptop.track({}, "good"), phone.track({}, "good")
    a_dict = laptop.track({"a": 1}, "bad")
    a_list = phone.track([1], "bad")
    with caplog.at_level(logging.WARNING, "tinysync"):
        with pytest.raises(
            KindMismatch, match="'bad' cannot be shared with laptop: .* list here and a dict there"
        ):
            tracker(a_list).wait_synced(DEADLINE)
        # Each side finds it out by itself.
        wait_until(lambda: tracker(a_dict).status().devices)
        with pytest.raises(KindMismatch, match="'bad' cannot be shared with phone"):
            tracker(a_dict).wait_synced(DEADLINE)
    assert len([record for record in caplog.records if "'bad'" in record.getMessage()]) == 2
    a_dict["b"] = 2
    a_list.append(2)
    theirs["x"] = 1
    synced(theirs)
    assert ours == {"x": 1}
    assert (a_dict, a_list) == ({"a": 1, "b": 2}, [1, 2])


def test_a_peer_shares_one_structure_of_a_name(pair):
    laptop, phone = pair()
    first, theirs = laptop.track({}), phone.track({})
    with pytest.raises(UsageError, match="shares a structure named 'todo' already"):
        track({"second": True}, "todo", persist=False, sync=laptop.peer)
    first["x"] = 1
    synced(theirs)
    assert theirs == {"x": 1}
    tracker(first).close()
    again = laptop.track({})
    synced(theirs)
    assert again == {"x": 1}


def test_an_address_is_enough_to_join(pair):
    laptop, _ = pair()
    ours = laptop.track({})
    ours["x"] = 1
    theirs = track({}, "todo", persist=False, sync=laptop.peer.url)
    synced(theirs)
    assert theirs == {"x": 1}
    theirs["y"] = 2
    synced(theirs)
    assert ours == {"x": 1, "y": 2}
    tracker(theirs).close()
    wait_until(lambda: not laptop.peer.connected_devices() or laptop.peer.connected_devices() == ["phone"])


def test_joining_an_address_again_is_the_same_link(pair, tmp_path):
    laptop, _ = pair()
    ours = laptop.track({})
    for address in (laptop.peer.url, laptop.peer.url.removeprefix("ws://"), laptop.peer.url):
        theirs = track({}, "todo", folder=tmp_path, sync=address)
        synced(theirs)
    wait_until(lambda: len(laptop.peer.connected_devices()) == 2)
    theirs["x"] = 1
    synced(theirs)
    assert ours == {"x": 1}
    tracker(theirs).close()
    wait_until(lambda: laptop.peer.connected_devices() == ["phone"])


def test_a_transaction_keeps_the_others_out_until_its_end(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({"items": [1, 2, 3]}), phone.track({"items": [1, 2, 3]})
    synced(theirs)
    with ours:
        theirs["items"].append(4)
        theirs["sent"] = True
        with pytest.raises(SyncTimeout, match="has not confirmed everything"):
            tracker(theirs).wait_synced(0.2)
        assert ours == {"items": [1, 2, 3]}
        ours["items"].insert(0, 0)
    synced(theirs)
    assert ours == theirs == {"items": [0, 1, 2, 3, 4], "sent": True}


def test_an_undone_transaction_sends_nothing_and_lets_the_others_in(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    with pytest.raises(KeyError), ours:
        ours["never"] = True
        theirs["x"] = 1
        raise KeyError
    synced(theirs, ours)
    assert ours == theirs == {"x": 1}


def test_waiting_inside_a_transaction_is_refused(pair):
    laptop, _ = pair()
    ours = laptop.track({})
    with ours, pytest.raises(UsageError, match="inside a transaction"):
        tracker(ours).wait_synced(1)


def test_waiting_without_a_peer_is_refused():
    alone = track({}, "todo", persist=False)
    with pytest.raises(UsageError, match="no open peer"):
        tracker(alone).wait_synced(1)


def test_who_does_not_answer_is_named(device):
    probe = device(listen="127.0.0.1:0")
    url = probe.peer.url
    probe.peer.close()
    alone = device(connect=[url]).track({})
    alone["x"] = 1
    with pytest.raises(SyncTimeout, match=rf"{url} \(not connected\)") as caught:
        tracker(alone).wait_synced(0.05)
    assert isinstance(caught.value, TimeoutError)


def test_a_structure_with_two_peers_carries_from_one_to_the_other(device):
    left, right = device(listen="127.0.0.1:0"), device(listen="127.0.0.1:0")
    ends = [left.track({}), right.track({})]
    bridge = device(connect=[left.peer.url])
    middle = bridge.track({})
    second = device(connect=[right.peer.url])
    tracker(middle)._replica.sharing.add(second.peer)
    ends[0]["from left"] = 1
    ends[1]["from right"] = 2
    wait_until(lambda: len(ends[0]) == len(ends[1]) == 2)
    assert_equal(*ends, middle)


def test_threads_of_both_sides_write_at_once(pair):
    laptop, phone = pair()
    copies = [laptop.track({"log": []}), phone.track({"log": []})]

    def write(copy, who):
        for number in range(50):
            copy[f"{who} {number % 5}"] = number
            with copy:
                copy["log"].append(f"{who} {number}")
                copy["log"].append(f"{who} {number} again")

    threads = [
        threading.Thread(target=write, args=(copy, f"{side}{thread}"))
        for side, copy in enumerate(copies)
        for thread in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    synced(*copies)
    assert_equal(*copies)
    log = copies[0]["log"]
    assert len(log) == len(set(log)) == 600
    for position, entry in enumerate(log):
        if not entry.endswith("again"):
            assert log.index(entry + " again") > position


def test_a_file_that_does_not_parse_is_reported_once_whatever_arrives(device, tmp_path, caplog):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0")
    phone = device(tmp_path / "phone", connect=[laptop.peer.url])
    ours, theirs = laptop.track({}), phone.track({})
    synced(ours, theirs)
    file = tmp_path / "laptop" / "todo.yaml"
    file.write_text("a: [1\n")
    wait_until(lambda: "todo.yaml, line 2" in caplog.text)
    for number in range(3):
        theirs.b = number
        synced(theirs)
        wait_until(lambda number=number: ours.get("b") == number)
    assert caplog.text.count("todo.yaml, line 2") == 1
    file.write_text("a: [1]\n")
    assert_equal(ours, theirs)


def test_that_two_kinds_cannot_be_shared_is_said_once_on_each_side(device, caplog):
    """Also where the two connect to each other, and make two links."""
    laptop = device(listen="127.0.0.1:0", device="laptop")
    phone = device(listen="127.0.0.1:0", connect=[laptop.peer.url], device="phone")
    laptop.track({})
    theirs = phone.track([])
    with pytest.raises(KindMismatch):
        tracker(theirs).wait_synced(DEADLINE)
    laptop.peer.connect(phone.peer.url)
    wait_until(lambda: phone.peer.url in laptop.peer._links._identities)
    wait_until(lambda: len(laptop.peer._links.connections) == 1)
    said = [record.getMessage() for record in caplog.records if "cannot be shared" in record.getMessage()]
    assert sorted(text.partition(": ")[0] for text in said) == [
        "'todo' cannot be shared with laptop",
        "'todo' cannot be shared with phone",
    ]
