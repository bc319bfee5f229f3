"""Callbacks and threads: who is called by whom, in which order, and that nobody waits forever."""

from __future__ import annotations

import ctypes
import random
import sys
import threading

import pytest

from tests.lengths import many
from tests.tracker.opened import assert_in_agreement, in_memory, open_in
from tinysync import TransactionBusy, UsageError
from tinysync.model import DeviceId
from tinysync.tracker.lock import TransactionLock

DEADLINE = 30


def run(*functions):
    """Run functions in threads of their own to their end; return what they raised."""
    raised = []

    def guarded(function):
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=[function], daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert not any(thread.is_alive() for thread in threads), "threads wait for each other"
    return raised


def test_callbacks_that_edit_each_others_structure_do_not_wait_for_each_other():
    a, b = in_memory({"n": 0}), in_memory({"n": 0})
    heard = {"a": [], "b": []}
    both = threading.Barrier(2, timeout=DEADLINE)

    def answer(name, other):
        def callback(change):
            heard[name].append(change.args)
            if change.args[0] == "n":
                both.wait()
                other.root.answer = name

        return callback

    a.handle.on(answer("a", b))
    b.handle.on(answer("b", a))
    assert run(lambda: setattr(a.root, "n", 1), lambda: setattr(b.root, "n", 1)) == []
    assert a.root == {"n": 1, "answer": "b"}
    assert b.root == {"n": 1, "answer": "a"}
    assert heard["b"] == [("n", 1), ("answer", "a")]
    assert heard["a"] == [("n", 1), ("answer", "b")]
    for one in (a, b):
        assert_in_agreement(one)


def test_three_in_a_circle_with_files(tmp_path):
    replicas = [open_in(tmp_path, {"n": 0, "log": []}, name=f"conf{number}") for number in range(3)]
    heard = [[], [], []]
    chance = random.Random(5)
    rounds = many(15)

    def listen(number):
        def callback(changes):
            for change in changes if isinstance(changes, list) else [changes]:
                heard[number].append((change.path, change.args))
                if change.path == []:
                    for other in chance.sample(replicas, 2):
                        other.root.log.append(change.args[1])

        return callback

    for number, replica in enumerate(replicas):
        replica.handle.on(listen(number))

    def write(number):
        for step in range(rounds):
            replicas[number].root.n = number * 1_000_000 + step

    assert run(*[lambda number=number: write(number) for number in range(3)]) == []
    for number, replica in enumerate(replicas):
        assert_in_agreement(replica)
        logged = [args[0] for path, args in heard[number] if path == ["log"]]
        assert logged == replica.root.log
        assert [args[1] % 1_000_000 for path, args in heard[number] if path == []] == list(range(rounds))
        replica.close()
    assert sum(len(replica.root.log) for replica in replicas) == 3 * 2 * rounds


def test_each_change_is_told_by_the_thread_that_made_it_in_order():
    replica = in_memory({"n": 0})
    told = []
    replica.handle.on(lambda change: told.append((change.args[1], threading.get_ident())))
    made = {}

    def write(first):
        for number in range(first, first + 200):
            replica.root.n = number
            made[number] = threading.get_ident()
            # Everybody has heard of it when the call returns.
            assert (number, threading.get_ident()) in told[-200:]

    assert run(*[lambda first=first: write(first) for first in (0, 1000, 2000)]) == []
    assert dict(told) == made
    assert len(told) == 600
    assert replica.root.n == told[-1][0]


def test_nobody_else_changes_the_structure_while_it_is_called_back_about():
    replica = in_memory({"n": 0})
    inside, go_on, order = threading.Event(), threading.Event(), []

    def callback(change):
        if change.args == ("n", 1):
            inside.set()
            assert go_on.wait(DEADLINE)
            order.append(dict(replica.root))

    replica.handle.on(callback)

    def other():
        assert inside.wait(DEADLINE)
        # Reading does not wait.
        assert replica.snapshot() == {"n": 1}
        delivered = in_memory({"n": 0})
        delivered.root.remote = True
        replica.inbox.put(
            lambda: replica.receiver.receive(delivered.document.diff(), DeviceId("there"), lambda _: None),
            lambda: order.append("remote"),
        )
        threading.Timer(0.05, go_on.set).start()
        replica.root.n = 2
        order.append("other")

    assert run(lambda: setattr(replica.root, "n", 1), other) == []
    assert order[0] == {"n": 1}
    assert sorted(order[1:]) == ["other", "remote"]
    assert replica.root == {"n": 2, "remote": True}
    assert_in_agreement(replica)


def test_a_callback_waits_for_a_block_that_waits_for_nobody():
    a, b = in_memory({"n": 0}), in_memory({"n": 0})
    b.handle.on(lambda change: setattr(a.root, "n", change.args[1]))
    inside = threading.Event()

    def block():
        with a.root:
            inside.set()
            a.root.n = 5
            # While the other's callback waits for this block.
            while not a.lock.is_awaited():
                pass
            b.root.other = True

    def write():
        assert inside.wait(DEADLINE)
        b.root.n = 7

    b.handle.on(lambda change: None)
    raised = run(block, write)
    assert raised == []
    assert b.root == {"n": 7, "other": True}
    assert_in_agreement(a)
    assert_in_agreement(b)


def test_transactions_that_wait_for_each_other_are_told():
    a, b = in_memory({"n": 0}), in_memory({"n": 0})
    both = threading.Barrier(2, timeout=DEADLINE)

    def block(one, other):
        with one.root:
            one.root.mine = True
            both.wait()
            other.root.n = 1

    (error,) = run(lambda: block(a, b), lambda: block(b, a))
    assert isinstance(error, TransactionBusy)
    assert "same order" in str(error)
    assert sorted((len(a.root), len(b.root))) == [1, 2]
    assert sorted((a.root.n, b.root.n)) == [0, 1]
    for replica in (a, b):
        replica.root.n = 2
        assert_in_agreement(replica)


def test_undo_takes_back_what_callbacks_answered_and_not_what_others_wrote_meanwhile():
    a, b = in_memory({"n": 0}), in_memory({"n": 0})
    both = threading.Barrier(2, timeout=DEADLINE)

    def tell(change):
        if change.args[0] == "n":
            both.wait()
            b.root.from_a = True

    def tell_a(change):
        if change.args[0] == "n":
            both.wait()
            a.root.from_b = True

    def answer(change):
        if change.args[0] == "from_b":
            a.root.seen = True

    with a.handle.on(tell), a.handle.on(answer), b.handle.on(tell_a):
        assert run(lambda: setattr(a.root, "n", 1), lambda: setattr(b.root, "n", 1)) == []
    assert a.root == {"n": 1, "from_b": True, "seen": True}
    a.handle.undo()
    assert a.root == {"n": 1}
    a.handle.undo()
    assert a.root == {"n": 0}
    assert_in_agreement(a)


def test_what_callbacks_raise_is_raised_where_they_are_called():
    replica = in_memory({"n": 0})

    def fail(change):
        raise RuntimeError(str(change.args[1]))

    replica.handle.on(fail)

    def write(number):
        with pytest.raises(RuntimeError, match=f"^{number}$"):
            replica.root.n = number

    assert run(*[lambda number=number: write(number) for number in range(10)]) == []


def test_a_job_that_another_thread_takes_first_is_done_once(monkeypatch):
    replica, done, overtaken = in_memory({"n": 0}), [], []
    real = TransactionLock.try_acquire

    def try_acquire(lock, taken):
        # Between seeing that there is a job and taking the lock for it.
        if not overtaken:
            overtaken.append(True)
            assert run(replica.inbox.drain) == []
        return real(lock, taken)

    monkeypatch.setattr(TransactionLock, "try_acquire", try_acquire)
    replica.inbox.put(lambda: done.append("done"), lambda: done.append("ended"))
    assert done == ["done", "ended"]
    replica.inbox.put(lambda: done.append("next"))
    assert done[2:] == ["next"]


def test_a_callback_cannot_wait_for_peers():
    replica = in_memory({"n": 0})
    replica.handle.on(lambda change: replica.handle.wait_synced(0))
    with pytest.raises(UsageError, match="a callback cannot wait for peers"):
        replica.root.n = 1


@pytest.mark.filterwarnings("ignore::tinysync.DetachedWarning")  # when a list has just been built anew
def test_threads_that_are_interrupted_at_any_place_leave_no_lock_behind(monkeypatch):
    # An interrupt can come where nobody is there to raise it to, and in what would report that, unless it is C.
    monkeypatch.setattr(sys, "unraisablehook", id)
    monkeypatch.setattr(threading, "excepthook", id)
    a, b = in_memory({"n": 0, "log": []}), in_memory({"n": 0, "log": []})

    def answer(other):
        def callback(change):
            if change.func_name == "append" and change.args[0] % 2:
                other.root.n = change.args[0]

        return callback

    a.handle.on(answer(b))
    b.handle.on(answer(a))
    interrupted, left = [], []

    def write(chance, number):
        root = chance.choice([a, b]).root
        try:
            chance.choice([lambda: setattr(root, "n", number), lambda: root.log.append(number), a.snapshot])()
        except KeyboardInterrupt:
            interrupted.append(number)

    def work(seed):
        chance = random.Random(seed)
        for number in range(many(600)):
            try:
                write(chance, number)
                left.extend(one for one in (a, b) if one.lock.is_mine() or one.lock.is_calling_back)
            except KeyboardInterrupt:
                interrupted.append(number)

    threads = [threading.Thread(target=work, args=[seed], daemon=True) for seed in range(3)]
    for thread in threads:
        thread.start()
    chance = random.Random(1)
    while any(thread.is_alive() for thread in threads):
        victim = chance.choice(threads)
        # A thread that has ended is none; its id may be another's by then.
        if victim.is_alive():
            raise_in(victim)
        threads[0].join(chance.random() * 0.002)
    assert interrupted
    assert not left
    for one in (a, b):
        one.root.n = -1
        assert_in_agreement(one)
        assert not one.notifier.waiting


def raise_in(thread):
    """Have a thread raise KeyboardInterrupt at its next step."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
