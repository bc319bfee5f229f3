from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.peer.devices import DEADLINE
from tinysync.errors import UsageError
from tinysync.transport.eventloop import current_task, running_loop_dispatch
from tinysync.transport.loop_thread import LoopThread


@pytest.fixture
def thread():
    made = LoopThread("tinysync-test")
    yield made
    made.stop()


def is_gone(name: str) -> bool:
    """Wait until no thread of a name is left."""
    deadline = time.monotonic() + 60
    while any(t.name.startswith(name) for t in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


async def name_of_thread() -> str:
    return threading.current_thread().name


def test_coroutines_run_in_the_thread(thread):
    assert thread.run(name_of_thread()) == "tinysync-test"
    assert not thread.is_current()
    assert thread.run_function(thread.is_current)


def test_an_exception_comes_back(thread):
    async def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        thread.run(fail())
    assert thread.run(name_of_thread()) == "tinysync-test"


def test_it_works_beside_a_running_loop(thread):
    async def main():
        return thread.run(name_of_thread())

    assert asyncio.run(main()) == "tinysync-test"


def test_functions_are_called_from_any_thread(thread):
    called = threading.Event()
    assert thread.call(called.set)
    assert called.wait(60)


def test_waiting_in_its_own_thread_is_refused_instead_of_blocking_forever(thread):
    with pytest.raises(UsageError, match="cannot wait"):
        thread.run_function(lambda: thread.run(name_of_thread()))


def test_stop_cancels_what_runs_and_leaves_no_thread():
    thread = LoopThread("tinysync-test")
    ended = []

    async def go_on():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    assert thread.call(lambda: setattr(thread, "task", asyncio.ensure_future(go_on())))
    thread.run(asyncio.sleep(0))
    thread.run(asyncio.to_thread(int))
    thread.stop()
    thread.stop()
    assert ended == [True]
    assert is_gone("tinysync-test")
    assert not thread.call(ended.clear)
    with pytest.raises(UsageError, match="closed"):
        thread.run(name_of_thread())


def test_stop_does_not_wait_for_a_blocked_function():
    thread = LoopThread("tinysync-test")
    lock = threading.Lock()
    blocked = threading.Event()

    def block():
        blocked.set()
        with lock:
            pass

    with lock:
        thread.call(lambda: setattr(thread, "task", asyncio.ensure_future(asyncio.to_thread(block))))
        assert blocked.wait(60)
        thread.stop()


def test_whoever_comes_while_it_stops_is_told_and_never_waits():
    async def turn():
        await asyncio.sleep(0)

    def use(thread):
        for _ in range(100_000):
            thread.run(turn())

    with ThreadPoolExecutor(3) as executor:
        for _ in range(20):
            thread = LoopThread("tinysync-test")
            users = [executor.submit(use, thread) for _ in range(3)]
            thread.run(turn())
            thread.stop()
            for user in users:
                with pytest.raises(UsageError, match="closed"):
                    user.result(20)


def test_a_last_coroutine_runs_before_all_ends(caplog):
    for begin in (LoopThread.stop, lambda thread, last: thread.call(thread.stop, last)):
        thread = LoopThread("tinysync-test")
        ended = []

        async def last(ended=ended):
            await asyncio.sleep(0)
            ended.append(threading.current_thread())
            raise OSError("in the last moment")

        begin(thread, last())
        assert is_gone("tinysync-test")
        assert ended == [thread._thread]
        thread.stop(last())
        assert len(ended) == 1
    assert [record.exc_info[0] for record in caplog.records] == [OSError, OSError]


def test_stop_from_its_own_thread():
    thread = LoopThread("tinysync-test")
    thread.call(thread.stop)
    assert is_gone("tinysync-test")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_cannot_use_it(thread):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            thread.run(name_of_thread())
        except UsageError as error:
            thread.stop()
            os.write(write, f"{thread.call(print)} {error}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read().startswith("False this peer belongs to the process")
    assert thread.run(name_of_thread()) == "tinysync-test"


def test_what_code_outside_of_loops_learns_about_them():
    assert current_task() is None
    assert running_loop_dispatch() is None

    async def main():
        assert current_task() is asyncio.current_task()
        asyncio.get_running_loop().call_soon(lambda: callbacks.append(current_task()))
        dispatch = running_loop_dispatch()
        done = asyncio.Event()
        await asyncio.to_thread(dispatch, lambda: callbacks.append(threading.current_thread()))
        asyncio.get_running_loop().call_soon(done.set)
        await done.wait()
        return dispatch

    callbacks = []
    asyncio.run(main())
    assert callbacks == [None, threading.current_thread()]


def test_what_is_for_a_loop_that_has_ended_is_done_by_who_brings_it():
    async def main():
        return running_loop_dispatch()

    dispatch = asyncio.run(main())
    assert dispatch.has_ended
    done = []
    dispatch(lambda: done.append(threading.current_thread()))
    assert done == [threading.current_thread()]


def test_what_a_loop_has_not_done_when_it_is_closed_is_done_once_all_the_same():
    async def main():
        return running_loop_dispatch()

    loop = asyncio.new_event_loop()
    dispatch = loop.run_until_complete(main())
    calls, done = [], threading.Event()

    def job():
        calls.append(threading.current_thread())
        done.set()

    dispatch(job)
    # It only rests between two calls.
    assert not dispatch.has_ended
    assert calls == []
    loop.run_until_complete(asyncio.sleep(0))
    assert calls == [threading.current_thread()]
    done.clear()
    dispatch(job)
    loop.close()
    assert done.wait(DEADLINE)
    assert len(calls) == 2


@pytest.mark.filterwarnings("ignore:.*event_loop_policy.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*EventLoopPolicy.*:DeprecationWarning")
def test_it_runs_a_loop_of_the_standard_library_whatever_the_program_has_set():
    class OtherLoops(asyncio.DefaultEventLoopPolicy):
        """What a program sets that has loops of another library."""

        def new_event_loop(self):
            raise AssertionError("the thread's loop is none of the program's")

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(OtherLoops())
    try:
        thread = LoopThread("tinysync-other")
        assert thread.run(name_of_thread()) == "tinysync-other"
        thread.stop()
    finally:
        asyncio.set_event_loop_policy(before)
