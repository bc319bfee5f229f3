"""Every limit that can be set, by going over it: the rest goes on. Links and greetings are in test_crowds."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.peer.devices import DEADLINE, wait_until
from tinysync import Limits, Peer, PeerRefused, UsageError, tracker
from tinysync.transport.rates import BURST_SECONDS, MAX_ADDRESSES, Rates

from .by_hand import ByHand
from .device import assert_equal, synced


@pytest.mark.parametrize(
    "limits",
    [{"max_links": 0}, {"max_frame": 1000}, {"window": 1.5}, {"max_queued": -1}, {"handshakes_per_second": True}],
)
def test_a_limit_with_which_nothing_could_be_done_is_refused(limits):
    with pytest.raises(UsageError, match=next(iter(limits))):
        Peer(limits=Limits(**limits))


def test_what_is_larger_than_a_frame_refuses_its_document_only(device):
    small = Limits(max_frame=100_000)
    laptop, phone = device(listen="127.0.0.1:0", device="laptop", limits=small), device(device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    other, there = laptop.track({}, "other"), phone.track({}, "other")
    phone.peer.connect(laptop.peer.url)
    synced(theirs, there)
    theirs["large"] = "x" * 200_000
    with pytest.raises(PeerRefused, match="a change takes 200,"):
        tracker(theirs).wait_synced(DEADLINE)
    there["x"] = 1
    synced(there)
    assert_equal(other, there)
    assert ours == {}
    # Any other change does not help.
    theirs["small"] = 1
    wait_until(lambda: [device.refused for device in tracker(theirs).status().devices] == [True])
    assert ours == {}
    del theirs["large"]
    synced(theirs)
    assert ours == {"small": 1}
    assert_equal(ours, theirs)
    # It is told again.
    ours["back"] = 2
    synced(ours)
    assert_equal(ours, theirs)


def test_what_was_too_large_and_is_so_no_more_when_it_would_be_sent_refuses_nothing(device):
    laptop, phone = device(listen="127.0.0.1:0", limits=Limits(max_frame=100_000)), device()
    ours, theirs = laptop.track({}), phone.track({})
    phone.peer.connect(laptop.peer.url)
    synced(theirs)
    for number in range(20):
        theirs["large"] = "x" * 200_000
        theirs["large"] = number
    synced(theirs)
    assert_equal(ours, theirs)


def test_a_device_that_links_with_what_is_too_large_shares_it_once_it_is_smaller(device):
    laptop, phone = device(listen="127.0.0.1:0", limits=Limits(max_frame=100_000)), device()
    ours, theirs = laptop.track({}), phone.track({"kept": 1})
    theirs["large"] = "x" * 200_000
    phone.peer.connect(laptop.peer.url)
    with pytest.raises(PeerRefused, match="accepts frames of 100,000"):
        tracker(theirs).wait_synced(DEADLINE)
    # What the other side changes does not come meanwhile, and nothing is lost of it.
    ours["here"] = 2
    theirs["large"] = "smaller"
    synced(theirs, ours)
    assert theirs == {"kept": 1, "large": "smaller", "here": 2}
    assert_equal(ours, theirs)


def test_a_frame_over_the_limit_closes_the_link(device):
    laptop = device(listen="127.0.0.1:0", limits=Limits(max_frame=100_000))
    laptop.track({})
    with ByHand(laptop.peer.url, start={}) as client:
        client.join()
        with contextlib.suppress(ConnectionClosed):
            client.socket.send(bytes(100_001))
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                client.socket.recv(DEADLINE)
    assert caught.value.rcvd.code == 1009


def test_more_documents_than_a_link_takes_are_refused(device):
    laptop, phone = device(listen="127.0.0.1:0", limits=Limits(max_documents=2)), device(device="phone")
    pairs = [(laptop.track({}, name), phone.track({}, name)) for name in "abc"]
    phone.peer.connect(laptop.peer.url)
    for ours, theirs in pairs[:2]:
        theirs["x"] = 1
        synced(theirs)
        assert_equal(ours, theirs)
    with pytest.raises(PeerRefused, match="takes 2 documents on one link"):
        tracker(pairs[2][1]).wait_synced(DEADLINE)


def test_no_more_is_queued_for_a_slow_link(device):
    limits = Limits(max_queued=200_000, window=100_000)
    laptop = device(listen="127.0.0.1:0", limits=limits)
    phone = device(connect=[laptop.peer.url])
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    with ByHand(laptop.peer.url) as slow:
        slow.join()
        (link,) = (one for one in laptop.peer._connections if one.device_name == "by hand")
        for number in range(60):
            ours[f"key {number}"] = str(number) * 5000
            synced(theirs)
            assert link.session.documents._budget.used <= limits.max_queued
        slow.read_until(lambda: slow.copy == ours)
    assert_equal(ours, theirs)


def test_who_links_too_often_waits_and_keeps_nobody_else_out(device):
    laptop = device(listen="127.0.0.1:0", limits=Limits(handshakes_per_second=2))
    ours = laptop.track({})
    phone = device()
    theirs = phone.track({})
    place = urlsplit(laptop.peer.url)

    def comes_in():
        stranger = socket.create_connection((place.hostname, place.port), DEADLINE, ("127.0.0.2", 0))
        with stranger, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            stranger.send(b"GET / HTTP/1.1\r\n\r\n")
            return bool(stranger.recv(1))
        return False

    answered = [comes_in() for _ in range(50)]
    assert answered[:5] == [True] * 5
    assert not all(answered)
    phone.peer.connect(laptop.peer.url)
    theirs["x"] = 1
    synced(theirs)
    assert_equal(ours, theirs)
    wait_until(comes_in)


def test_rates_count_each_address_apart_and_forget():
    now = [0.0]
    rates = Rates(10, lambda: now[0])
    burst = int(10 * BURST_SECONDS)
    assert [rates.admits("a") for _ in range(burst + 2)] == [True] * burst + [False, False]
    assert rates.admits("b")
    now[0] = 0.25
    assert [rates.admits("a") for _ in range(3)] == [True, True, False]
    now[0] = 1000.0
    assert [rates.admits("a") for _ in range(burst + 1)] == [True] * burst + [False]
    for number in range(2 * MAX_ADDRESSES):
        assert rates.admits(f"address {number}")
    assert len(rates._known) == MAX_ADDRESSES


def test_so_many_handshakes_go_on_at_once(device):
    laptop = device(listen="127.0.0.1:0", limits=Limits(max_handshakes=3))
    laptop.track({})
    place = urlsplit(laptop.peer.url)
    with contextlib.ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection((place.hostname, place.port), DEADLINE)) for _ in range(5)
        ]
        for stranger in strangers[:2]:
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""
        with connect(laptop.peer.url) as another:
            assert another.recv(DEADLINE)
