"""Peers and structures that are closed in any order, from anywhere, leave nothing behind."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.peer.devices import DEADLINE, wait_until
from tinysync import InvalidAddress, Peer, StructureClosed, UsageError, track, tracker

from .device import assert_equal, synced


def is_free(url: str) -> bool:
    try:
        socket.create_server(("127.0.0.1", urlsplit(url).port)).close()
    except OSError:
        return False
    return True


def threads_of_peers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tinysync")]


def test_what_was_written_last_arrives_although_all_is_closed_at_once(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    for number in range(100):
        theirs[f"key {number}"] = "x" * 1000
    phone.peer.close()
    wait_until(lambda: len(ours) == 100)
    theirs["offline"] = True
    assert "offline" not in ours


def test_what_was_written_last_arrives_although_the_structure_is_closed(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    theirs["last"] = True
    tracker(theirs).close()
    wait_until(lambda: ours == {"last": True})
    with pytest.raises(StructureClosed):
        theirs["too late"] = True
    ours["meanwhile"] = 1
    assert theirs == {"last": True}


def test_a_structure_that_joined_by_address_takes_its_peer_with_it(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    before = threads_of_peers()
    theirs = track({}, "todo", persist=False, sync=laptop.peer.url)
    synced(theirs)
    theirs["last"] = True
    tracker(theirs).close()
    wait_until(lambda: ours == {"last": True} and not laptop.peer.connected_devices())
    wait_until(lambda: threads_of_peers() == before)
    tracker(theirs).close()


def test_an_address_that_is_none_leaves_nothing(tmp_path):
    before = threads_of_peers()
    for address in ("ws://192.168.0.1:8765", "wss://127.0.0.1:8765", "nonsense"):
        with pytest.raises(InvalidAddress):
            track({}, "todo", folder=tmp_path, sync=address)
    with pytest.raises(UsageError, match="sync= must be"):
        track({}, "todo", folder=tmp_path, sync=8765)
    assert threads_of_peers() == before
    assert list(tmp_path.iterdir()) == []


def test_a_structure_that_cannot_be_shared_is_not_left_open(device, tmp_path):
    laptop = device(listen="127.0.0.1:0")
    laptop.track({})
    with pytest.raises(UsageError, match="shares a structure named 'todo' already"):
        track({"x": 1}, "todo", folder=tmp_path, sync=laptop.peer)
    laptop.peer.close()
    with pytest.raises(UsageError, match="this peer is closed"):
        track({"x": 1}, "todo", folder=tmp_path, sync=laptop.peer)
    alone = track({"x": 1}, "todo", folder=tmp_path)
    with pytest.raises(UsageError, match="this peer is closed"):
        track({"x": 1}, "todo", folder=tmp_path, sync=laptop.peer)
    # It was open before.
    alone["x"] = 2
    tracker(alone).close()


def test_closing_from_a_callback_of_a_remote_change(pair):
    laptop, phone = pair()

    def leave(change):
        if "leave" in change.root:
            tracker(change.root).close()
            laptop.peer.close()

    url = laptop.peer.url
    ours, theirs = laptop.track({}, callback=leave), phone.track({})
    synced(theirs)
    theirs["leave"] = True
    wait_until(lambda: laptop.peer.closed and not phone.peer.connected_devices())
    wait_until(lambda: is_free(url))
    assert ours == {"leave": True}
    with pytest.raises(StructureClosed):
        ours["x"] = 1
    laptop.peer.close()


def test_closing_from_a_callback_of_a_change_made_here(pair):
    laptop, phone = pair()
    ours = laptop.track(
        {}, callback=lambda change: tracker(change.root).close() if "leave" in change.args else None
    )
    theirs = phone.track({})
    synced(theirs)
    ours["x"] = 1
    ours["leave"] = True
    assert ours == {"x": 1, "leave": True}
    with pytest.raises(StructureClosed):
        ours["y"] = 1


def test_closing_and_closing_again(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    url = laptop.peer.url
    for _ in range(2):
        laptop.peer.close()
        assert laptop.peer.closed
        assert laptop.peer.connected_devices() == []
        tracker(theirs).close()
    assert is_free(url)
    ours["goes on"] = True
    with pytest.raises(UsageError, match="no open peer"):
        tracker(ours).wait_synced(1)
    with pytest.raises(UsageError, match="closed"):
        laptop.track({}, "another")


def test_leaving_in_the_middle_of_everything_is_no_reason_to_warn(device, caplog):
    caplog.set_level(logging.WARNING)
    laptop = device(listen="127.0.0.1:0")
    ours = laptop.track({})
    for _ in range(20):
        with Peer(connect=[laptop.peer.url]) as peer:
            theirs = track({}, "todo", persist=False, sync=peer)
            synced(theirs)
            for number in range(20):
                ours[f"key {number}"] = theirs[f"key {number}"] = number
        tracker(theirs).close()
    hub = device(listen="127.0.0.1:0")
    for _ in range(5):
        ours = hub.track({})
        leaves = device(connect=[hub.peer.url])
        theirs = leaves.track({})
        synced(theirs)
        for number in range(20):
            ours[f"key {number}"] = theirs[f"key {number}"] = number
        tracker(ours).close()
    assert [record.getMessage() for record in caplog.records] == []


def test_closing_ends_a_wait(device):
    probe = device(listen="127.0.0.1:0")
    url = probe.peer.url
    probe.peer.close()
    alone = device(connect=[url])
    structure = alone.track({})
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(tracker(structure).wait_synced, DEADLINE)
        wait_until(lambda: alone.peer._watchers)
        alone.peer.close()
        with pytest.raises(UsageError, match="closed meanwhile"):
            waiting.result(DEADLINE)


def test_many_threads_close_at_once(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    closers = [laptop.peer.close, phone.peer.close, tracker(ours).close, tracker(theirs).close] * 2
    with ThreadPoolExecutor(len(closers)) as executor:
        for closing in [executor.submit(close) for close in closers]:
            closing.result(DEADLINE)


def test_closing_is_not_kept_by_what_others_go_on_sending(device, tmp_path):
    others = [device(listen="127.0.0.1:0", device=name) for name in ("laptop", "tablet")]
    sources = [one.track({}) for one in others]
    phones = [device(tmp_path, connect=[one.peer.url], device="phone") for one in others]
    told, closed = [], threading.Event()

    def write(source, name):
        while not closed.is_set():
            source[last := f"{name} {len(source)}"] = True
            # The next one as soon as this one was taken, so that there is always more to come.
            wait_until(lambda last=last: closed.is_set() or last in theirs)

    def listen(change):
        told.append(change)
        # The other link, which another thread serves, has brought the next one.
        wait_until(lambda: tracker(theirs)._replica.inbox._jobs or closed.is_set())

    theirs = phones[0].track({}, callback=listen)
    assert phones[1].track({}) is theirs
    with ThreadPoolExecutor(2) as executor:
        writing = [executor.submit(write, *one) for one in zip(sources, ("laptop", "tablet"), strict=True)]
        try:
            wait_until(lambda: len(told) > 10)
            before = len(told)
            tracker(theirs).close()
            after, kept = len(told), len(theirs)
        finally:
            closed.set()
        for one in writing:
            one.result(DEADLINE)
    # The one that was being applied, and one that may have come before the closing.
    assert after <= before + 2
    assert len(theirs) == kept < sum(map(len, sources))
    again = phones[0].track({})
    assert phones[1].track({}) is again
    assert_equal(again, *sources)


def test_an_exception_in_a_block_closes_the_peer(device):
    other = device(listen="127.0.0.1:0")
    with pytest.raises(KeyError), Peer(listen="127.0.0.1:0", connect=[other.peer.url]) as peer:
        url = peer.url
        raise KeyError
    assert peer.closed
    assert is_free(url)
