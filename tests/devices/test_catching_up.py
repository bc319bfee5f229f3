"""A device that lacks much: it comes piece by piece, goes on where it was cut, and holds nothing else up."""

from __future__ import annotations

from collections import deque
from functools import partial
from io import StringIO

from rich.console import Console

from tests.peer.devices import wait_until
from tinysync import tracker
from tinysync.cli.catching_up import bars_of
from tinysync.protocol.limits import Limits

from .device import assert_equal, synced

SIZE = 20_000
START = {f"key {number:03}": chr(65 + number % 26) * SIZE for number in range(200)}
"""Much more than the window."""


def receiving(structure):
    return [device.receiving for device in tracker(structure).status().devices if device.receiving is not None]


def test_how_far_it_is_is_told(device):
    laptop, phone = device(listen="127.0.0.1:0", device="laptop"), device(device="phone")
    jobs = deque()
    ours, theirs = laptop.track({}), phone.track({}, dispatch=jobs.append)
    ours.update(START)
    total = len(START) * SIZE
    received, sent = [], []
    tracker(theirs).on_status(lambda status: received.extend(device.receiving for device in status.devices))
    tracker(ours).on_status(lambda status: sent.extend(device.sending for device in status.devices))
    phone.peer.connect(laptop.peer.url)

    def work(condition, kinds=object):
        for job in list(jobs):
            if not condition() and isinstance(job, kinds):
                jobs.remove(job)
                job()
        return condition()

    wait_until(lambda: sent and sent[-1])
    wait_until(lambda: work(lambda: receiving(theirs)))
    (progress,) = receiving(theirs)
    assert 0 < progress.done < progress.total
    assert total < progress.total < total + 20_000
    assert "receiving" in str(phone.peer.status())
    assert "sending" in str(laptop.peer.status())
    # Only what tells of it, so that there is something to tell of.
    wait_until(lambda: work(lambda: any(received), partial))
    synced(theirs)
    wait_until(lambda: work(lambda: received and received[-1] is sent[-1] is None))
    for known in ([one for one in told if one is not None] for told in (received, sent)):
        assert [one.done for one in known] == sorted(one.done for one in known)
        assert all(0 <= one.fraction <= 1 for one in known)
        assert known
    assert_equal(ours, theirs)


def test_it_goes_on_where_the_link_was_cut(device, cable):
    laptop, phone = device(listen="127.0.0.1:0", device="laptop"), device(device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    ours.update(START)
    link = cable(laptop.peer.url)
    cuts: list[int] = []

    def cut(change):
        # In the thread that delivers: nothing more comes in meanwhile.
        if not cuts and len(theirs) > 20:
            link.cut()
            cuts.append(len(theirs))

    tracker(theirs).on(cut)
    phone.peer.connect(link.url)
    wait_until(lambda: cuts and not phone.peer.connected_devices())
    wait_until(lambda: not phone.peer._connections)
    kept = len(theirs)
    assert 20 < kept < len(START)
    totals = []
    with tracker(ours).on_status(lambda status: totals.extend(d.sending for d in status.devices if d.sending)):
        link.plug_in()
        phone.peer.reconnect()
        synced(theirs)
    assert_equal(ours, theirs)
    assert all(one.total <= (len(START) - kept + 2) * (SIZE + 100) for one in totals)


def test_small_edits_of_another_document_need_not_wait(device):
    laptop, phone = device(listen="127.0.0.1:0", device="laptop"), device(device="phone")
    jobs = deque()
    ours, theirs = laptop.track({}, "large"), phone.track({}, "large", dispatch=jobs.append)
    small, there = laptop.track({}, "small"), phone.track({}, "small")
    ours.update(START)
    phone.peer.connect(laptop.peer.url)
    synced(there)
    # Its program does not take in anything of the large one.
    wait_until(lambda: len(jobs) > 0)
    for number in range(20):
        small[f"live {number}"] = number
        there[f"here {number}"] = number
        synced(there)
    assert_equal(small, there)
    assert not theirs
    (link,) = phone.peer._connections
    wait_until(lambda: link.waiting_bytes > Limits().window // 2)
    assert link.waiting_bytes <= Limits().window
    synced(theirs)
    assert_equal(ours, theirs)


def test_what_one_sends_the_others_need_not_send_again(device):
    hub = device(listen="127.0.0.1:0")
    ours = hub.track({})
    ours.update(START)
    others = [device(listen="127.0.0.1:0", connect=[hub.peer.url]) for _ in range(3)]
    synced(*(other.track({}) for other in others))
    late = device(connect=[hub.peer.url, *(other.peer.url for other in others)])
    lengths = dict.fromkeys((hub.peer, *(other.peer for other in others)), 0)

    def note(peer, status):
        sending = [device.sending.total for device in status.devices if device.sending]
        lengths[peer] = max([lengths[peer], *sending])

    for peer in lengths:
        peer.on_status(partial(note, peer))
    theirs = late.track({})
    synced(theirs)
    assert_equal(ours, theirs)
    assert sum(length > 0 for length in lengths.values()) <= 1


def test_who_is_asked_and_sends_nothing_keeps_others_for_a_moment_only(device):
    silent, laptop = device(listen="127.0.0.1:0"), device(listen="127.0.0.1:0")
    held, ours = silent.track({}), laptop.track({})
    ours["x"] = 1
    phone = device(connect=[silent.peer.url])
    with held:
        # Its program keeps it from answering.
        theirs = phone.track({})
        wait_until(lambda: any(link.opened for link in phone.peer._connections))
        phone.peer.connect(laptop.peer.url)
        wait_until(lambda: theirs == {"x": 1})
    synced(theirs)
    assert_equal(ours, held, theirs)


def test_many_devices_that_catch_up_at_once_take_turns(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    ours.update(START)
    others = [device(connect=[laptop.peer.url]).track({}) for _ in range(4)]
    for other in others:
        ours["live"] = len(other)
        synced(other)
    synced(ours)
    assert_equal(ours, *others)


def test_a_terminal_shows_bars_for_it(device):
    laptop, phone = device(listen="127.0.0.1:0", device="[laptop]"), device(device="phone")
    jobs = deque()
    ours, theirs = laptop.track({}), phone.track({}, dispatch=jobs.append)
    ours.update(START)
    screens = [Console(file=StringIO(), force_terminal=True, width=100) for _ in range(2)]
    with bars_of(laptop.peer, screens[0]), bars_of(phone.peer, screens[1]):
        phone.peer.connect(laptop.peer.url)
        wait_until(lambda: "sending to phone" in screens[0].file.getvalue())
        while not receiving(theirs):
            wait_until(lambda: jobs)
            jobs.popleft()()
        wait_until(lambda: "receiving from [laptop]" in screens[1].file.getvalue())
        assert "/4.0 MB" in screens[1].file.getvalue(), screens[1].file.getvalue()
        synced(theirs)
    with bars_of(laptop.peer, Console(file=StringIO())):
        pass
    assert_equal(ours, theirs)
