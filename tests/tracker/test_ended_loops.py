"""Structures that outlive the event loop that they were tracked in."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.peer.devices import wait_until
from tinysync import track, tracker


@pytest.fixture
def folder(tmp_path):
    """A folder whose structure 'conf' is closed at the end."""
    yield tmp_path
    tracker(track({}, "conf", folder=tmp_path)).close()


def edit(folder, text):
    (folder / "conf.yaml").write_text(text)


async def tracked(folder, threads=None):
    def note(change):
        if threads is not None:
            threads.append(threading.current_thread())

    return track({"a": 1}, "conf", folder=folder, callback=note)


def test_hand_edits_arrive_after_the_loop_has_ended(folder):
    conf = asyncio.run(tracked(folder))
    edit(folder, "a: 44\n")
    wait_until(lambda: conf == {"a": 44})
    edit(folder, "a: 45\n")
    wait_until(lambda: conf == {"a": 45})


def test_a_hand_edit_that_waits_for_a_loop_that_is_closed_arrives(folder):
    loop = asyncio.new_event_loop()
    conf = loop.run_until_complete(tracked(folder))
    edit(folder, "a: 44\n")
    wait_until(lambda: tracker(conf)._replica.lock.jobs)
    # The loop only rests: what arrives waits for it.
    assert conf == {"a": 1}
    loop.close()
    wait_until(lambda: conf == {"a": 44})
    edit(folder, "a: 45\n")
    wait_until(lambda: conf == {"a": 45})


def test_a_loop_that_rests_applies_what_arrived_when_it_runs_again(folder):
    threads = []
    loop = asyncio.new_event_loop()
    conf = loop.run_until_complete(tracked(folder, threads))
    edit(folder, "a: 44\n")
    wait_until(lambda: tracker(conf)._replica.lock.jobs)
    assert conf == {"a": 1}
    loop.run_until_complete(asyncio.sleep(0))
    assert conf == {"a": 44}
    assert threads == [threading.current_thread()]
    loop.close()


def test_tracking_again_in_another_loop_has_that_one_apply_what_arrives(folder):
    threads = []

    async def again():
        conf = await tracked(folder)
        heard = asyncio.Event()
        tracker(conf).on(lambda _: heard.set())
        edit(folder, "a: 44\n")
        # The loop is kept busy: nothing is applied before it goes on.
        wait_until(lambda: tracker(conf)._replica.lock.jobs)
        assert conf == {"a": 1}
        await heard.wait()
        assert conf == {"a": 44}
        assert set(threads) == {threading.current_thread()}

    conf = asyncio.run(tracked(folder, threads))
    asyncio.run(asyncio.wait_for(again(), 20))
    edit(folder, "a: 45\n")
    wait_until(lambda: conf == {"a": 45})


def test_a_loop_that_still_runs_is_not_given_up_for_another(folder):
    async def again():
        return await tracked(folder)

    async def main():
        conf = await tracked(folder)
        dispatch = tracker(conf)._replica.inbox.dispatch
        assert await asyncio.to_thread(asyncio.run, again()) is conf
        assert tracker(conf)._replica.inbox.dispatch is dispatch

    asyncio.run(main())
