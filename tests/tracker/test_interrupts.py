"""What interrupts a change, whatever it is, leaves it made everywhere or nowhere."""

from __future__ import annotations

import heapq
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.lengths import many
from tests.tracker.opened import assert_in_agreement, exact, open_in
from tinysync import UsageError


def reopened(folder):
    replica = open_in(folder, {"n": 0})
    try:
        return replica.snapshot()
    finally:
        replica.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, RecursionError])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_an_interrupt_while_a_change_is_saved_takes_the_change_back(tmp_path, monkeypatch, error, call):
    replica = open_in(tmp_path, {"n": 0}, durability="disk")
    root = replica.root
    root.kept = {"x": 1}
    kept = root.kept
    real = getattr(os, call)

    def interrupted(*args):
        monkeypatch.setattr(os, call, real)
        raise error

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(error):
        root.lost = 1
    assert root == {"n": 0, "kept": {"x": 1}}
    assert root.kept is kept
    assert_in_agreement(replica)
    root.after = [1]
    root.kept.y = 2
    assert_in_agreement(replica)
    replica.close()
    assert reopened(tmp_path) == {"n": 0, "kept": {"x": 1, "y": 2}, "after": [1]}


def test_a_change_that_is_on_the_disk_after_all_is_in_the_structure(tmp_path, monkeypatch):
    replica = open_in(tmp_path, {"n": 0}, durability="disk")
    root = replica.root
    root.before = [1]
    real = os.fsync

    def failing(*_):
        raise OSError(5, "the disk is gone")

    def fsync(descriptor):
        monkeypatch.setattr(os, "fsync", real)
        monkeypatch.setattr(os, "ftruncate", failing)
        failing()

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Exception, match="the disk is gone"):
        root.written = [2]
    monkeypatch.undo()
    assert_in_agreement(replica)
    root.after = 1
    assert_in_agreement(replica)
    before = exact(root)
    replica.close()
    assert exact(reopened(tmp_path)) == before


def test_a_stack_that_is_too_short_fails_the_call_and_nothing_else(tmp_path):
    replica = open_in(tmp_path, {"n": 0})
    root = replica.root
    root.log = []

    def depth():
        frame, count = sys._getframe(), 0
        while frame is not None:
            frame, count = frame.f_back, count + 1
        return count

    limit = sys.getrecursionlimit()
    made = []
    for room in range(4, 40):
        try:
            sys.setrecursionlimit(depth() + room)
            root.log.append(room)
        except RecursionError:
            pass
        finally:
            sys.setrecursionlimit(limit)
        made.append(f"after {room}")
        root.log.append(made[-1])
        assert_in_agreement(replica)
    assert [entry for entry in root.log if isinstance(entry, str)] == made
    before = list(root.log)
    replica.close()
    assert reopened(tmp_path)["log"] == before


def test_what_wrote_past_the_methods_costs_itself_only(tmp_path):
    replica = open_in(tmp_path, {"n": 0})
    root = replica.root
    root.queue = [3, 1, 2]
    for number in range(5):
        heapq.heappush(root.queue, number)
    with pytest.raises(UsageError, match="heapq"):
        root.queue.pop()
    assert_in_agreement(replica)
    root.queue.append(7)
    assert_in_agreement(replica)
    replica.close()
    assert reopened(tmp_path)["queue"] == [3, 1, 2, 7]


WRITER = """
import sys
from tinysync.storage.names import document_paths
from tinysync.tracker import open_replica

replica = open_replica({"log": []}, "conf", paths=document_paths("conf", sys.argv[1]), durability="disk")
log, made = replica.root.log, []
print("ready", flush=True)
number = 0
while len(made) < 2000:
    number += 1
    try:
        log.append(number)
        made.append(number)
    except KeyboardInterrupt:
        try:
            log.append("after")
            made.append("after")
        except KeyboardInterrupt:
            continue
live = replica.snapshot()["log"]
replica.close()
print(repr((live, made)), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_again_and_again_loses_nothing_that_was_acknowledged(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    ended = threading.Event()

    def interrupt():
        # Not for ever: on a slow machine nothing would come to an end between two of them.
        for _ in range(1000):
            if ended.wait(0.003) or writer.poll() is not None:
                break
            writer.send_signal(signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    try:
        answer = writer.stdout.readline()
    finally:
        ended.set()
        sender.join()
        writer.kill()
        writer.communicate(timeout=60)
    if not answer:
        # The last interrupt came when nothing was there to catch it.
        made = None
    else:
        live, made = eval(answer)
        assert [entry for entry in live if entry in made] == made or set(made) <= set(live)
    replica = open_in(tmp_path, {"log": []})
    assert_in_agreement(replica)
    if made is not None:
        assert replica.root.log == live
    replica.close()


HAMMER = """
import itertools, random, signal, sys
from pathlib import Path
from tests.lengths import many
from tests.tracker.opened import assert_in_agreement, exact, in_memory, open_in

START = {"n": 0, "log": [], "d": {}, "s": set()}
folder, chance, heard = Path(sys.argv[1]), random.Random(sys.argv[2]), []
on_disk = sys.argv[3] == "disk"

def opened():
    replica = open_in(folder, START) if on_disk else in_memory(START)
    replica.handle.on(heard.append)
    return replica

def interrupt(*_):
    raise KeyboardInterrupt

def write(number):
    root = replica.root
    chance.choice([
        lambda: setattr(root, "n", number),
        lambda: root.d.update({str(number % 9): number}),
        lambda: root.log.append(number),
        lambda: root.log and root.log.pop(),
        lambda: root.s.symmetric_difference_update({number % 5}),
        lambda: replica.snapshot(),
    ])()

signal.signal(signal.SIGALRM, interrupt)
replica, interrupted = opened(), 0
for number in range(int(sys.argv[4])):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(5e-6, 250e-6))
        write(number)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    lock = replica.lock
    assert not (lock.is_mine() or lock.is_calling_back or lock.blocks), "the lock is left behind"
    with replica.changing():
        assert_in_agreement(replica)
    if on_disk and not number % 200:
        live = exact(replica.root)
        replica.close()
        replica = opened()
        assert exact(replica.root) == live
replica.root.n = -1
assert replica.root.n == -1 and not replica.notifier.waiting
print(interrupted)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
@pytest.mark.parametrize("kept", ["disk", "memory"])
def test_an_interrupt_at_any_place_leaves_no_lock_behind_and_all_in_agreement(tmp_path, kept):
    arguments = [str(tmp_path), "1", kept, str(many(1500))]
    command = [sys.executable, "-c", HAMMER, *arguments]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert int(found.stdout) > 100


CLOSER = """
import random, signal, sys
from tests.lengths import many
from tests.tracker.opened import in_memory

chance, interrupted = random.Random(1), 0

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
for number in range(int(sys.argv[1])):
    replica = in_memory({"n": 0})
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(5e-6, 100e-6))
        replica.close()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    lock = replica.lock
    assert not (lock.is_mine() or lock.blocks), "the lock is left behind"
    assert not replica.is_being_closed(), "who tracks it again waits for ever"
    replica.close()
    assert replica.closed
print(interrupted)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_an_interrupt_while_a_structure_is_closed_keeps_nobody_waiting():
    command = [sys.executable, "-c", CLOSER, str(many(3000))]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert int(found.stdout) > 100
