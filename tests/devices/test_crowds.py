"""Many that link at once, and say nothing or too much: they take little, and keep nobody out."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.peer.devices import DEADLINE, wait_until
from tinysync import Limits, PeerRefused, SyncTimeout, tracker
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.messages import VERSION, Hello, Open

from .by_hand import ByHand
from .device import assert_equal, synced

LIMITS = Limits()


def is_open(stranger):
    with contextlib.suppress(TimeoutError):
        try:
            while stranger.recv(timeout=0):
                pass
        except ConnectionClosed:
            return False
    return True


@pytest.mark.parametrize("size", [LIMITS.max_first_frame + 1, 1 << 20])
@pytest.mark.parametrize("pieces", [1, 4])
def test_a_stranger_cannot_send_much_before_a_hello(device, size, pieces):
    laptop = device(listen="127.0.0.1:0")
    with connect(laptop.peer.url, compression=None) as stranger:
        with contextlib.suppress(ConnectionClosed):
            stranger.send(bytes(size) if pieces == 1 else iter([bytes(size // 4 + 1)] * 4))
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                stranger.recv(DEADLINE)
        assert caught.value.rcvd.code == 1009


def test_after_a_hello_frames_can_be_large(device):
    laptop = device(listen="127.0.0.1:0")
    ours = laptop.track({})
    with ByHand(laptop.peer.url, start={}) as client:
        client.join()
        client.publish(client.write("long", "x" * (4 << 20)))
        client.read_until(lambda: client.session.documents.is_acknowledged("todo", 1))
    assert len(ours["long"]) == 4 << 20


def test_those_who_say_nothing_make_room(device, caplog):
    laptop, phone = device(listen="127.0.0.1:0"), device()
    ours, theirs = laptop.track({}), phone.track({})
    with contextlib.ExitStack() as stack:
        strangers = []
        for _ in range(LIMITS.max_greeting + 8):
            strangers.append(stack.enter_context(connect(laptop.peer.url)))
            strangers[-1].recv(DEADLINE)  # its hello: it is served
        wait_until(lambda: not any(map(is_open, strangers[:8])))
        wait_until(lambda: len(laptop.peer._connections) <= LIMITS.max_greeting)
        assert "Refused the link from 127.0.0.1: too many links come in at the same time" in caplog.text
        phone.peer.connect(laptop.peer.url)
        theirs["x"] = 1
        synced(theirs)
    assert_equal(ours, theirs)


def test_those_who_do_not_even_begin_make_room(device):
    laptop, phone = device(listen="127.0.0.1:0"), device()
    ours, theirs = laptop.track({}), phone.track({})
    place = urlsplit(laptop.peer.url)
    with contextlib.ExitStack() as stack:
        strangers = []
        for _ in range(LIMITS.max_handshakes + 8):
            strangers.append(stack.enter_context(socket.create_connection((place.hostname, place.port), DEADLINE)))
            strangers[-1].send(b"GET / HTTP/1.1\r\n")
        for stranger in strangers[:8]:
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""
        phone.peer.connect(laptop.peer.url)
        theirs["x"] = 1
        synced(theirs)
    assert_equal(ours, theirs)


def test_a_peer_takes_so_many_links(device):
    laptop = device(listen="127.0.0.1:0", device="laptop", limits=Limits(max_links=2))
    ours = laptop.track({})
    phone, tablet = (device(connect=[laptop.peer.url], device=name) for name in ("phone", "tablet"))
    first = phone.track({}), tablet.track({})
    synced(*first)
    watch = device(connect=[laptop.peer.url], device="watch")
    late = watch.track({})
    with pytest.raises((SyncTimeout, PeerRefused)):
        tracker(late).wait_synced(0.2)
    ours["x"] = 1
    synced(ours)
    assert_equal(ours, *first)
    phone.peer.close()
    watch.peer.reconnect()
    synced(late)
    assert_equal(ours, late)


def test_who_is_one_too_many_is_told(device):
    laptop = device(listen="127.0.0.1:0", device="laptop", limits=Limits(max_links=1))
    laptop.track({})
    with ByHand(laptop.peer.url, start={}) as client:
        client.join()
        with connect(laptop.peer.url) as another:
            with contextlib.suppress(ConnectionClosed):
                another.send(encode(Hello(VERSION, "x", "one too many", {})))
                another.send(encode(Open("todo", "dict", 0, "")))
            told = [decode(another.recv(DEADLINE), LIMITS) for _ in range(2)]
    assert (told[-1].code, told[-1].document) == ("too-much", None)
    assert "takes no more" in told[-1].text
