"""One link for each other device: links made by both sides, on several ways, half open, and after a sleep."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysync.peer import links
from tinysync.peer.waking import LOOK_SECONDS, Waking
from tinysync.transport import websocket

from .devices import DEADLINE, Blobs, wait_until


def test_peers_that_connect_to_each_other_keep_one_link_and_lose_nothing(peers):
    """While the links are made and one of them goes, both write all the time."""
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    b = peers(other, listen="127.0.0.1:0")
    is_over = threading.Event()

    def write(peer, document, who):
        number = 0
        while not is_over.is_set():
            peer.publish("todo", document.add(b"%s %d" % (who, number)))
            number += 1
            is_over.wait(0.002)

    writers = [threading.Thread(target=write, args=args) for args in ((a, one, b"a"), (b, other, b"b"))]
    for writer in writers:
        writer.start()
    a.connect(b.url)
    b.connect(a.url)
    one.wait_until(lambda: any(content.startswith(b"b") for content in one.contents))
    wait_until(lambda: len(a._connections) == len(b._connections) == 1 and a.connected_devices())
    is_over.set()
    for writer in writers:
        writer.join()
    a.wait_synced("todo", DEADLINE)
    b.wait_synced("todo", DEADLINE)
    assert one.contents == other.contents
    assert len(a._connections) == len(b._connections) == 1


def test_two_addresses_of_one_device_are_one_link(peers, cables):
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    cable = cables(a.url)
    b = peers(other, connect=[a.url, cable.url])
    wait_until(lambda: len(a._connections) == 1 and [c.urls for c in [*b._connections]] == [{a.url, cable.url}])
    b.publish("todo", other.add(b"x"))
    b.wait_synced("todo", DEADLINE)
    assert one.contents == {b"x"}
    assert [device.connected for device in b.status().devices] == [True]


def test_the_other_way_is_taken_when_the_link_breaks(peers, cables):
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    cable, besides = cables(a.url), cables(a.url)
    b = peers(other, connect=[cable.url])
    b.wait_synced("todo", DEADLINE)
    b.connect(besides.url)
    wait_until(lambda: any(besides.url in c.urls and cable.url in c.urls for c in tuple(b._connections)))
    cable.cut()
    wait_until(lambda: any(c.is_ready and c.url == besides.url for c in tuple(b._connections)))
    a.publish("todo", one.add(b"on the other way"))
    other.wait_for(b"on the other way")


def test_a_half_open_link_is_found_by_pings(peers, cables, monkeypatch):
    """The network in between forwards nothing any more, without a word to either side."""
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.3)
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    cable = cables(a.url)
    b = peers(other, connect=[cable.url])
    b.wait_synced("todo", DEADLINE)
    cable.clog()
    b.publish("todo", other.add(b"into the void"))
    wait_until(lambda: not a.connected_devices() and not b.connected_devices())
    cable.cut()
    cable.clear()
    cable.plug_in()
    one.wait_for(b"into the void")


def test_a_half_open_link_gives_way_to_a_newer_one(peers, cables, monkeypatch):
    monkeypatch.setattr(links, "CHECK_SECONDS", 0.3)
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    cable = cables(a.url)
    b = peers(other, connect=[cable.url])
    b.wait_synced("todo", DEADLINE)
    cable.clog()
    b.publish("todo", other.add(b"into the void"))
    b.connect(a.url)
    one.wait_for(b"into the void")
    wait_until(lambda: [c.url for c in tuple(b._connections)] == [a.url])


def test_reconnect_finds_half_open_links(peers, cables, monkeypatch):
    monkeypatch.setattr(links, "CHECK_SECONDS", 0.3)
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    cable, besides = cables(a.url), cables(a.url)
    b = peers(other, connect=[cable.url, besides.url])
    c = peers(Blobs("todo"), connect=[a.url])
    b.wait_synced("todo", DEADLINE)
    c.wait_synced("todo", DEADLINE)
    wait_until(lambda: len(b._connections) == 1)
    stays = next(iter(c._connections))
    in_use = cable if next(iter(b._connections)).url == cable.url else besides
    in_use.clog()
    for peer in (b, c):
        peer.reconnect()
    wait_until(lambda: not b._connections or next(iter(b._connections)).url != in_use.url)
    b.publish("todo", other.add(b"x"))
    one.wait_for(b"x")
    assert list(c._connections) == [stays]


def test_an_address_that_belongs_to_another_device_now(peers, cables, monkeypatch):
    """The device that was there is linked on another way, which does not hide the new one."""
    monkeypatch.setattr(links, "REVISIT_SECONDS", 0.2)
    here, first, second = Blobs("todo"), Blobs("todo"), Blobs("todo")
    a, b = peers(first, listen="127.0.0.1:0", device="a"), peers(second, listen="127.0.0.1:0", device="b")
    cable = cables(a.url)
    c = peers(here, connect=[a.url], device="c")
    wait_until(c.connected_devices)
    c.connect(cable.url)
    wait_until(lambda: any(len(one.urls) == 2 for one in tuple(c._connections)))
    cable._target = cables(b.url)._target  # what comes there from now on
    wait_until(lambda: c.connected_devices() == ["a", "b"])
    second.add(b"found")
    c.wait_synced("todo", DEADLINE)
    assert here.contents == {b"found"}
    assert all(len(one.urls) == 1 for one in c._connections)


def test_an_attempt_that_is_ended_just_when_it_is_due_ends():
    """Closing a peer whose last link went down at the same moment waited forever."""

    async def run():
        pausing = asyncio.ensure_future(links.Links.pause(None, 10.0, unless=(due := asyncio.Event())))
        await asyncio.sleep(0)
        due.set()
        pausing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pausing

    asyncio.run(run())


@pytest.mark.parametrize(
    ("monotonic", "wall", "woke"),
    [
        (LOOK_SECONDS, LOOK_SECONDS, False),
        (LOOK_SECONDS + 1, LOOK_SECONDS + 1.1, False),
        (LOOK_SECONDS, 3600, True),  # Linux and macOS: the monotonic clock stands still in a sleep
        (3600, 3600, True),  # Windows: it does not
        (LOOK_SECONDS, -3600, True),  # the clock was set
    ],
)
def test_a_sleep_shows_in_the_clocks(monotonic, wall, woke):
    waking = Waking()
    assert not waking.woke(100, 5000)
    assert waking.woke(100 + monotonic, 5000 + wall) is woke
    assert not waking.woke(100 + monotonic + LOOK_SECONDS, 5000 + wall + LOOK_SECONDS)


@given(st.lists(st.floats(0, LOOK_SECONDS * 1.5), max_size=30), st.floats(-0.9, 0.9))
def test_clocks_that_go_wrong_slowly_are_no_sleep(passed, drift):
    waking = Waking()
    monotonic = wall = 0.0
    for seconds in passed:
        monotonic += seconds
        wall += seconds * (1 + drift / 2)
        assert not waking.woke(monotonic, wall)
