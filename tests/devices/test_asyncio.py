"""Structures in asyncio programs: waiting for peers, and streams of changes."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tinysync import ChangesMissed, Peer, SyncTimeout, UsageError, track, tracker

DEADLINE = 20
NOBODY = "ws://127.0.0.1:9"


@pytest.fixture
def laptop():
    with Peer(listen="127.0.0.1:0", device="laptop") as peer:
        yield peer


def test_both_devices_in_one_loop_wait_for_each_other(laptop):
    async def main():
        with Peer(connect=[laptop.url], device="phone") as phone:
            ours = track({"n": 0}, "todo", persist=False, sync=laptop)
            theirs = track({"n": 0}, "todo", persist=False, sync=phone)
            async with theirs:
                theirs.n = 1
            await tracker(theirs).synced(DEADLINE)
            ours.m = 2
            await asyncio.gather(tracker(ours).synced(DEADLINE), tracker(theirs).synced(DEADLINE))
            return dict(ours), dict(theirs)

    assert asyncio.run(main()) == ({"n": 1, "m": 2}, {"n": 1, "m": 2})


def test_a_peer_that_does_not_answer_is_named():
    async def main():
        with Peer(connect=[NOBODY]) as phone:
            todo = track({}, "todo", persist=False, sync=phone)
            with pytest.raises(SyncTimeout, match="127.0.0.1:9"):
                await tracker(todo).synced(0.05)

    asyncio.run(main())


def test_a_wait_can_be_cancelled_and_ends_when_the_peer_closes():
    async def main():
        phone = Peer(connect=[NOBODY])
        todo = track({}, "todo", persist=False, sync=phone)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await tracker(todo).synced()
        wait = asyncio.ensure_future(tracker(todo).synced())
        await asyncio.sleep(0)
        await asyncio.to_thread(phone.close)
        with pytest.raises(UsageError, match="closed"):
            await wait

    asyncio.run(main())


def test_changes_of_all_threads_come_in_order_until_the_structure_is_closed():
    async def main():
        log = track([], persist=False)
        stream = tracker(log).changes()

        def write():
            for number in range(100):
                log.append(number)
            with log:
                log.append("a")
                log.append("b")
            tracker(log).close()

        writer = asyncio.ensure_future(asyncio.to_thread(write))
        found = [change.args[0] async for change in stream]
        await writer
        return found

    assert asyncio.run(main()) == [*range(100), "a", "b"]


def test_a_reader_that_is_too_slow_is_told_where_changes_are_missing():
    async def main():
        log = track([], persist=False)
        async with tracker(log).changes(limit=3) as stream:
            for number in range(5):
                log.append(number)
            found = [(await anext(stream)).args[0] for _ in range(3)]
            with pytest.raises(ChangesMissed, match="2 changes"):
                await anext(stream)
            log.append(5)
            found.append((await anext(stream)).args[0])
        log.append(6)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        return found

    assert asyncio.run(main()) == [0, 1, 2, 5]


def test_a_stream_that_nobody_holds_ends_its_subscription():
    async def main():
        conf = track({}, persist=False)
        stream = tracker(conf).changes()
        notifier = tracker(conf)._replica.notifier
        assert notifier
        del stream
        gc.collect()
        conf.a = 1
        assert not notifier

    asyncio.run(main())


def test_streams_are_for_coroutines():
    conf = track({}, persist=False)
    with pytest.raises(UsageError, match="event loop"):
        tracker(conf).changes()
