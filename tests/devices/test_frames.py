"""What goes over the wire between devices: no echo, joined updates, bounded queues."""

from __future__ import annotations

import threading
import tracemalloc

from tests.peer.devices import DEADLINE, wait_until
from tinysync import tracker
from tinysync.protocol.messages import Update

from .by_hand import ByHand
from .device import assert_equal, synced


def test_an_update_goes_to_each_other_device_once_and_never_back(device):
    hub = device(listen="127.0.0.1:0")
    ours = hub.track({})
    with ByHand(hub.peer.url) as one, ByHand(hub.peer.url) as two, ByHand(hub.peer.url) as three:
        for client in (one, two, three):
            client.join()
        update = one.write("x", 1)
        one.publish(update)
        two.read_until(lambda: two.copy == {"x": 1})
        # Two tells what all have already: nobody hears of it.
        two.publish(update)
        two.read_until(lambda: two.session.documents.is_acknowledged("todo", 1))
        last = three.write("last", True)
        three.publish(last)
        for client in (one, two):
            client.read_until(lambda client=client: client.copy == {"x": 1, "last": True})
        three.read_until(lambda: "x" in three.copy)
        wait_until(lambda: ours == {"x": 1, "last": True})
        assert (one.updates(), two.updates(), three.updates()) == (last, update + last, update)


def test_devices_that_are_in_step_are_silent(device):
    hub = device(listen="127.0.0.1:0")
    ours = hub.track({"a": [1]})
    with ByHand(hub.peer.url, start={"a": [1]}) as client:
        client.join()
        assert client.updates() == []
        ours["last"] = True
        client.read_until(lambda: "last" in client.copy)
        assert len(client.updates()) == 1


def test_what_is_written_in_one_turn_travels_in_one_frame(device):
    entered, leave = threading.Event(), threading.Event()

    def hold(_change):
        entered.set()
        assert leave.wait(DEADLINE)

    hub = device(listen="127.0.0.1:0")
    ours = hub.track({})
    hub.track({}, "brake", callback=hold)
    with ByHand(hub.peer.url) as client, ByHand(hub.peer.url, "brake") as brake:
        client.join()
        brake.join()
        brake.publish(brake.write("x", 1))
        assert entered.wait(DEADLINE)
        # The hub's event loop is held up by the callback meanwhile.
        for number in range(100):
            ours[f"key {number}"] = number
        leave.set()
        client.read_until(lambda: len(client.copy) == 100)
        frames = [message for message in client.received if isinstance(message, Update)]
        assert len(frames) == 1
        assert len(frames[0].updates) == 100


def test_a_device_that_does_not_read_costs_little_and_catches_up(device):
    hub = device(listen="127.0.0.1:0")
    other = device(connect=[hub.peer.url])
    ours, theirs = hub.track({}), other.track({})
    tracker(ours).undo_limit = 0  # what could be undone is kept on purpose
    synced(theirs)
    with ByHand(hub.peer.url) as slow:
        slow.join()
        tracemalloc.start()
        for number in range(300):
            ours["big"] = f"{number:07}" * 15_000
            ours[f"key {number}"] = number
            if not number % 20:
                synced(theirs)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # 30 MB were written; the limit of what is queued is 8 MiB.
        assert peak < 16 << 20
        assert slow.copy == {}
        synced(theirs)
        assert theirs == ours
        slow.read_until(lambda: slow.copy == ours)
        assert len(slow.updates()) < 600
        ours["after"] = True
        slow.read_until(lambda: slow.copy == ours)
    assert_equal(ours, theirs)


def test_a_slow_device_does_not_hold_up_others(device):
    hub = device(listen="127.0.0.1:0")
    ours = hub.track({})
    with ByHand(hub.peer.url) as slow, ByHand(hub.peer.url) as quick:
        slow.join()
        quick.join()
        for number in range(50):
            ours[f"key {number}"] = "x" * 100_000
        quick.read_until(lambda: len(quick.copy) == 50)
        assert slow.copy == {}


def test_a_link_on_which_nobody_says_hello_disturbs_nobody(device):
    hub = device(listen="127.0.0.1:0")
    ours = hub.track({})
    with ByHand(hub.peer.url), ByHand(hub.peer.url) as client:
        client.join()
        ours["x"] = 1
        client.read_until(lambda: client.copy == {"x": 1})
        assert hub.peer.connected_devices() == ["by hand"]
