"""How changes of other devices come into a program: callbacks, dispatch, event loops, transactions."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from tests.peer.devices import DEADLINE, wait_until
from tinysync import SyncTimeout, UsageError, tracker

from .device import assert_equal, synced


def test_a_callback_gets_what_another_device_changed(pair):
    calls = []
    laptop, phone = pair()
    ours, theirs = laptop.track({"items": [1]}, callback=calls.append), phone.track({"items": [1]})
    synced(theirs)
    theirs["items"].append({"x": 1})
    synced(theirs)
    wait_until(lambda: calls)
    (change,) = calls
    assert change.root is ours
    assert change.target is ours["items"]
    assert (change.origin, change.device, change.name, change.path) == ("remote", "phone", "todo", ["items"])
    assert (change.func_name, change.args, change.kwargs) == ("insert", (1, {"x": 1}), {})


def test_changes_made_at_once_are_one_call(pair):
    calls = []
    laptop, phone = pair()
    laptop.track({}, callback=calls.append)
    theirs = phone.track({})
    synced(theirs)
    with theirs:
        theirs["a"] = 1
        theirs["b"] = [2]
        theirs["b"].append(3)
    synced(theirs)
    wait_until(lambda: calls)
    (changes,) = calls
    assert {(change.origin, change.device) for change in changes} == {("remote", "phone")}
    assert {change.args[0]: change.args[1] for change in changes} == {"a": 1, "b": [2, 3]}


def test_what_is_the_same_here_already_is_no_change(pair):
    calls = []
    laptop, phone = pair()
    ours, theirs = laptop.track({"a": 1}), phone.track({"a": 1})
    synced(theirs)
    with ours:
        theirs["a"] = 2
        ours["a"] = 2
    tracker(ours)._replica.notifier.add(calls.append)
    synced(theirs)
    theirs["b"] = 3
    synced(theirs)
    wait_until(lambda: "b" in [change.args[0] for change in calls])
    assert [change.args[0] for change in calls] == ["b"]


def test_a_callback_may_edit_the_structure(pair):
    def answer(change):
        if change.origin == "remote" and change.func_name == "__setitem__" and change.args[0] == "question":
            change.root["answer"] = change.args[1] * 2

    laptop, phone = pair()
    ours, theirs = laptop.track({}, callback=answer), phone.track({})
    for question in range(20):
        theirs["question"] = question
        wait_until(lambda question=question: theirs.get("answer") == question * 2)
    assert_equal(ours, theirs)


def test_a_callback_that_raises_disturbs_nothing(pair, caplog):
    def fail(_change):
        raise ValueError("a mistake in the program")

    laptop, phone = pair()
    ours, theirs = laptop.track({}, callback=fail), phone.track({})
    theirs["x"] = 1
    synced(theirs)
    theirs["y"] = 2
    synced(theirs)
    assert ours == {"x": 1, "y": 2}
    wait_until(lambda: [record.exc_info[0] for record in caplog.records] == [ValueError, ValueError])


def test_a_callback_cannot_wait_for_the_peer_that_runs_it(pair, caplog):
    laptop, phone = pair()
    ours = laptop.track({}, callback=lambda change: tracker(change.root).wait_synced(DEADLINE))
    theirs = phone.track({})
    theirs["x"] = 1
    synced(theirs)
    wait_until(lambda: "a callback cannot wait for peers" in caplog.text)
    theirs["y"] = 1
    synced(theirs)
    assert_equal(ours, theirs)


def test_dispatched_changes_wait_until_the_program_takes_them(pair):
    jobs = queue.SimpleQueue()
    calls = []
    laptop, phone = pair()
    ours = laptop.track(
        {"items": [1, 2, 3]}, dispatch=jobs.put, callback=lambda _: calls.append(threading.get_ident())
    )
    theirs = phone.track({"items": [1, 2, 3]})
    tracker(ours).wait_synced(DEADLINE)
    while not jobs.empty():
        jobs.get()()
    theirs["items"].clear()
    theirs["x"] = 1
    job = jobs.get(timeout=DEADLINE)
    with pytest.raises(SyncTimeout):
        tracker(theirs).wait_synced(0.05)
    assert ours == {"items": [1, 2, 3]}
    job()
    while tracker(theirs).snapshot() != ours:
        jobs.get(timeout=DEADLINE)()
    assert set(calls) == {threading.get_ident()}
    assert_equal(ours, theirs)


def test_waiting_does_what_is_dispatched_to_the_thread_that_waits(pair):
    jobs = queue.SimpleQueue()
    laptop, phone = pair()
    ours = laptop.track({}, dispatch=jobs.put)
    theirs = phone.track({})
    for number in range(10):
        theirs[f"key {number}"] = number
    wait_until(laptop.peer.connected_devices)
    tracker(ours).wait_synced(DEADLINE)
    assert ours == {f"key {number}": number for number in range(10)}
    # Jobs that come late find nothing to do.
    while not jobs.empty():
        jobs.get()()
    assert_equal(ours, theirs)


def test_nothing_changes_under_a_loop_in_an_asyncio_program(pair):
    laptop, phone = pair()
    theirs = phone.track({f"key {number}": number for number in range(100)})
    arrived = threading.Event()

    async def main():
        threads = set()
        complete = asyncio.Event()

        def note(_change):
            threads.add(threading.current_thread())
            if len(ours) == 200:
                complete.set()

        ours = laptop.track({}, callback=note)
        await asyncio.to_thread(synced, theirs)
        assert len(ours) == 100
        writer = threading.Thread(target=write)
        writer.start()
        for key in ours:
            assert arrived.wait(DEADLINE)
            assert ours[key] == int(key.removeprefix("key "))
        assert len(ours) == 100
        async with asyncio.timeout(DEADLINE):
            await complete.wait()
        await asyncio.to_thread(writer.join)
        assert threads == {threading.main_thread()}
        # Waiting in the loop's own thread works, too.
        theirs["last"] = True
        tracker(ours).wait_synced(DEADLINE)
        assert "last" in ours
        return ours

    def write():
        for number in range(100):
            theirs[f"more {number}"] = number
        with pytest.raises(SyncTimeout):
            tracker(theirs).wait_synced(0.1)
        arrived.set()

    assert len(asyncio.run(main())) == 201


def test_an_async_transaction_keeps_the_others_out(pair):
    laptop, phone = pair()
    theirs = phone.track({"count": 1})

    async def main():
        ours = laptop.track({"count": 1})
        await asyncio.to_thread(synced, theirs)
        async with ours:
            count = ours["count"]
            theirs["other"] = True
            with pytest.raises(SyncTimeout):
                await asyncio.to_thread(tracker(theirs).wait_synced, 0.05)
            assert "other" not in ours
            ours["count"] = count + 1
        await asyncio.to_thread(synced, theirs)
        return ours

    assert asyncio.run(main()) == {"count": 2, "other": True}


def test_containers_that_nobody_touched_stay_the_same_objects(pair):
    laptop, phone = pair()
    start = {"left": {"deep": [1, {"x": 1}]}, "right": [2]}
    ours, theirs = laptop.track(start), phone.track(start)
    synced(theirs)
    left, right, inner = ours["left"], ours["right"], ours["left"]["deep"][1]
    theirs["left"]["deep"].insert(0, 0)
    theirs["left"]["deep"][2]["x"] = 2
    synced(theirs)
    assert ours["left"] is left
    assert ours["right"] is right
    assert ours["left"]["deep"][2] is inner
    assert inner == {"x": 2}


def test_a_callback_that_ends_the_program_ends_no_link(pair, caplog):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})

    def leave(change):
        raise SystemExit(change.origin)

    tracker(ours).on(leave)
    theirs["x"] = 1
    synced(theirs)
    wait_until(lambda: ours == {"x": 1})
    with pytest.raises(SystemExit, match="local"):
        ours["y"] = 2
    synced(ours)
    assert theirs == {"x": 1, "y": 2}
    assert [record for record in caplog.records if "callback" in record.getMessage()]


def test_a_callback_cannot_wait_for_peers(pair):
    laptop, phone = pair()
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    tracker(ours).on(lambda _: tracker(ours).wait_synced())
    with pytest.raises(UsageError, match="callback cannot wait"):
        ours["x"] = 1
    synced(theirs)
    assert theirs == {"x": 1}


def test_a_worker_that_waits_leaves_arrivals_to_the_loop(pair):
    laptop, phone = pair()
    theirs = phone.track({})
    threads = set()

    async def main():
        ours = laptop.track({}, callback=lambda _: threads.add(threading.get_ident()))
        for number in range(20):
            theirs[f"k{number}"] = number
            await asyncio.to_thread(tracker(ours).wait_synced, 20)
        return threading.get_ident()

    assert {asyncio.run(main())} == threads


def test_changes_of_others_arrive_after_the_loop_has_ended(pair):
    laptop, phone = pair()
    theirs = phone.track({"v": 0})

    async def main():
        return laptop.track({"v": 0})

    ours = asyncio.run(main())
    theirs.v = 5
    tracker(theirs).wait_synced(DEADLINE)
    assert ours == {"v": 5}
    theirs.v = 6
    tracker(ours).wait_synced(DEADLINE)
    assert_equal(ours, theirs)


def test_callbacks_for_the_status_are_called_after_the_loop_has_ended(pair):
    laptop, phone = pair()
    seen = []

    async def main():
        ours = laptop.track({"v": 0})
        tracker(ours).on_status(seen.append)

    asyncio.run(main())
    phone.track({"v": 0})
    wait_until(lambda: any(device.name == "phone" for status in seen for device in status.devices))
