from __future__ import annotations

import asyncio
import threading

import pytest

from tests.tracker.opened import assert_in_agreement, in_memory, open_in
from tinysync.errors import InvalidValue, StructureClosed, TransactionBusy, UnsupportedValue, UsageError


def test_a_block_that_fails_leaves_no_trace(tmp_path):
    calls = []
    replica = open_in(tmp_path, {"a": {"x": 1}, "b": [1, 2], "s": {1}}, callback=calls.append)
    conf, inner = replica.root, replica.root.a
    before = (tmp_path / "conf.yaml").read_bytes()
    state = replica.document.state_vector()

    with pytest.raises(KeyError, match="on purpose"), conf:
        conf.a.x = 2
        conf.new = {"deep": [1]}
        del conf["a"]
        conf.b.append(3)
        conf.s.add(2)
        raise KeyError("on purpose")

    assert conf == {"a": {"x": 1}, "b": [1, 2], "s": {1}}
    assert list(conf) == ["a", "b", "s"]
    assert conf.a is inner
    assert calls == []
    assert (tmp_path / "conf.yaml").read_bytes() == before
    assert replica.document.state_vector() == state
    inner.x = 5
    assert_in_agreement(replica)
    replica.close()


def test_an_inner_block_that_fails_undoes_only_itself():
    replica = in_memory({})
    conf = replica.root
    with conf:
        conf.kept = 1
        with pytest.raises(ZeroDivisionError), conf:
            conf.dropped = 2
            raise ZeroDivisionError
        conf.also_kept = 3
    assert conf == {"kept": 1, "also_kept": 3}
    assert_in_agreement(replica)


def test_a_block_is_one_notification_with_the_list_of_changes():
    calls = []
    conf = in_memory({"n": 0}, callback=calls.append).root
    with conf:
        conf.n = 1
        conf.update(m=2)
    assert [[change.func_name for change in call] for call in calls] == [["__setitem__", "update"]]


def test_a_block_without_changes_notifies_nobody():
    calls = []
    conf = in_memory({"n": 0}, callback=calls.append).root
    with conf:
        pass
    with conf:
        conf.update({})
    assert calls == []


def test_eight_threads_count_right():
    replica = in_memory({"n": 0})
    conf = replica.root

    def count():
        for _ in range(200):
            with conf:
                conf.n += 1

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert conf.n == 1600
    assert_in_agreement(replica)


def test_single_calls_of_threads_do_not_tear():
    replica = in_memory({"l": [], "d": {}})
    conf = replica.root

    def write(number):
        for index in range(100):
            conf.l.append((number, index))
            conf.d[f"{number}-{index}"] = index

    threads = [threading.Thread(target=write, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(conf.l) == len(conf.d) == 600
    assert_in_agreement(replica)


def test_another_task_is_refused_or_waits_its_turn():
    replica = in_memory({"n": 0})
    conf = replica.root

    async def scenario():
        entered, leave = asyncio.Event(), asyncio.Event()

        async def holder():
            async with conf:
                conf.n = 1
                entered.set()
                await leave.wait()

        async def waiter():
            async with conf:
                conf.n += 10

        task = asyncio.create_task(holder())
        await entered.wait()
        with pytest.raises(TransactionBusy):
            conf.n = 99
        with pytest.raises(TransactionBusy), conf:
            pass
        waiting = asyncio.create_task(waiter())
        await asyncio.sleep(0)
        assert conf.n == 1
        leave.set()
        await asyncio.gather(task, waiting)

    asyncio.run(scenario())
    assert conf.n == 11
    assert_in_agreement(replica)


def test_many_tasks_count_right():
    replica = in_memory({"n": 0})
    conf = replica.root

    async def count():
        for _ in range(20):
            async with conf:
                seen = conf.n
                await asyncio.sleep(0)
                conf.n = seen + 1

    async def scenario():
        await asyncio.gather(*(count() for _ in range(10)))

    asyncio.run(scenario())
    assert conf.n == 200


def test_a_task_waits_for_a_thread_without_blocking_the_loop():
    conf = in_memory({"n": 0}).root
    held, leave = threading.Event(), threading.Event()

    def hold():
        with conf:
            held.set()
            leave.wait(60)
            conf.n = 1

    async def scenario():
        async def enter():
            async with conf:
                conf.n += 1

        entering = asyncio.create_task(enter())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not entering.done()
        leave.set()
        await asyncio.wait_for(entering, 60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    asyncio.run(scenario())
    thread.join()
    assert conf.n == 2


def test_what_cannot_be_held_changes_nothing():
    replica = in_memory({"a": {"l": [1]}})
    conf = replica.root
    cycle: list[object] = []
    cycle.append(cycle)
    for value, error in ((object(), UnsupportedValue), (cycle, InvalidValue), ("\ud800", InvalidValue)):
        with pytest.raises(error, match="'a'.*'l'"):
            conf.a.l.append([1, {"k": value}])
    assert conf == {"a": {"l": [1]}}
    assert_in_agreement(replica)


def test_a_closed_structure_is_read_only():
    replica = in_memory({"a": [1]})
    conf = replica.root
    replica.close()
    replica.close()
    assert conf.a == [1]
    for write in (lambda: conf.a.append(2), lambda: conf.update(x=1), conf.__enter__):
        with pytest.raises(StructureClosed, match="closed"):
            write()
    assert conf == {"a": [1]}


def test_a_block_is_left_by_the_thread_that_has_entered_it():
    conf = in_memory({"n": 0}).root
    conf.__enter__()
    conf.n = 1
    errors = []

    def leave():
        with pytest.raises(UsageError, match="by the thread that has entered it"):
            conf.__exit__(None, None, None)
        errors.append("raised")

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert errors == ["raised"]
    conf.m = 2
    conf.__exit__(None, None, None)
    assert conf == {"n": 1, "m": 2}
    with pytest.raises(UsageError, match="by the thread that has entered it"):
        conf.__exit__(None, None, None)
    conf.k = 3
    assert_in_agreement(conf._recorder)
