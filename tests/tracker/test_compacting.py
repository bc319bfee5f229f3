"""A session that goes on and on: its op log and its history stay within their bounds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tests.tracker.opened import assert_in_agreement, exact, open_in
from tests.tracker.test_kill_steps import check
from tinysync import History, StorageError
from tinysync.model import DeviceId
from tinysync.storage import compaction, prepared
from tinysync.storage.lock import FolderLock
from tinysync.storage.names import document_paths
from tinysync.storage.oplog import FileOpLog
from tinysync.tracker import compacting

DEADLINE = 30
START = {"log": [], "last": None}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Compact often."""
    monkeypatch.setattr(compacting, "RECORDS", 20)
    monkeypatch.setattr(compacting, "SHARE", 0)
    monkeypatch.setattr(compaction, "CHUNK", 500)
    for module in (compacting, prepared):
        monkeypatch.setattr(module, "MIN_BYTES", 100)


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def settle(replica):
    """Wait until nothing is being compacted."""
    wait_until(lambda: replica.disk._compacting._thread is None)


def sizes(folder):
    return {
        kind: sum(path.stat().st_size for path in (folder / ".tinysync" / "conf").glob(f"*.{kind}"))
        for kind in ("ops", "past", "bin")
    }


def test_a_long_session_keeps_its_op_log_and_its_history_within_bounds(tmp_path):
    kept = History(megabytes=0.01)
    replica = open_in(tmp_path, START, history=kept)
    most = {"ops": 0, "past": 0}
    for number in range(600):
        replica.root.log.append(number)
        if not number % 25:
            settle(replica)
            found = sizes(tmp_path)
            most = {kind: max(most[kind], found[kind]) for kind in most}
    settle(replica)
    assert most["ops"] < 10_000
    assert 2_000 < most["past"] < 20_000
    assert_in_agreement(replica)
    versions = [entry.version for entry in replica.handle.history()]
    assert versions[0] == 601
    assert 100 < len(versions) < 400
    assert replica.handle.at(versions[-1])["log"] == list(range(versions[-1] - 1))
    before = exact(replica.root)
    replica.close()
    again = open_in(tmp_path, START, history=kept)
    assert exact(again.root) == before
    assert next(entry.version for entry in again.handle.history()) == 601
    again.close()


def test_what_it_leaves_is_prepared_for_the_next_opening(tmp_path):
    replica = open_in(tmp_path, START)
    for number in range(25):
        replica.root.log.append(number)
    settle(replica)
    replica.root.last = {"later": 1}
    replica.close()
    log = FileOpLog(document_paths("conf", tmp_path))
    assert log.open().prepared is not None
    log.close()
    again = open_in(tmp_path, START)
    assert exact(again.root) == exact({"log": list(range(25)), "last": {"later": 1}})
    assert_in_agreement(again)
    again.close()


def test_a_day_is_long_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(compacting, "RECORDS", 1_000_000)
    monkeypatch.setattr(compacting, "AGE", 0)
    replica = open_in(tmp_path, START, history=History(days=0))
    replica.root.last = 1
    settle(replica)
    replica.root.last = 2
    settle(replica)
    assert len(list((tmp_path / ".tinysync" / "conf").glob("snapshot-*"))) == 1
    replica.close()


def test_a_change_that_fails_right_after_is_taken_back(tmp_path, monkeypatch):
    replica = open_in(tmp_path, START)
    for number in range(21):
        replica.root.log.append(number)
    settle(replica)
    real = os.write

    def full(descriptor, data):
        if bytes(data).find(b"too much") >= 0:
            raise OSError(28, "no space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError):
        replica.root.last = "too much"
    assert_in_agreement(replica)
    replica.root.last = "fits"
    before = exact(replica.root)
    replica.close()
    again = open_in(tmp_path, START)
    assert exact(again.root) == before
    again.close()


def test_it_waits_for_who_has_the_folder_and_closing_calls_it_off(tmp_path, monkeypatch):
    replica = open_in(tmp_path, START)
    state = document_paths("conf", tmp_path).state
    held, drafted = FolderLock(state), threading.Event()
    real = compacting.Compacting._end

    def end(self, *arguments):
        if not drafted.is_set():
            held.acquire(DEADLINE)
            drafted.set()
        return real(self, *arguments)

    monkeypatch.setattr(compacting.Compacting, "_end", end)
    with replica.root:
        pass
    for number in range(21):
        replica.root.log.append(number)
    assert drafted.wait(DEADLINE)
    assert not list(state.glob("snapshot-*"))
    held_by = replica.disk._compacting._thread
    # Called off: the lock is another thread's, so that what closes does not get it either, but for a moment.
    replica.disk._compacting.stop()
    held_by.join(DEADLINE)
    assert not held_by.is_alive()
    assert not list(state.glob("snapshot-*"))
    assert not list(state.glob(".*.tmp"))
    held._file.close()
    replica.close()
    again = open_in(tmp_path, START)
    assert again.root.log == list(range(21))
    again.close()


@settings(max_examples=many(15))
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from(["write", "write", "many", "many", "meet", "reopen", "edit"])
        ),
        max_size=25,
    )
)
def test_several_sessions_compact_and_lose_nothing(steps):
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        folder = Path(place)
        sessions = [open_in(folder, START, history=History(megabytes=0.002)) for _ in range(3)]
        made = []
        for index, (number, step) in enumerate(steps):
            replica = sessions[number]
            if step == "reopen":
                replica.close()
                sessions[number] = open_in(folder, START, history=History(megabytes=0.002))
            elif step == "edit":
                replica.flush()
                readable = folder / "conf.yaml"
                readable.write_text(readable.read_text() + f"edit {index}: true\n")
                replica.flush()
            elif step == "meet":
                replica.disk.view.meet_soon(replica)
            else:
                for count in range(1 if step == "write" else 30):
                    made.append(f"{index} {count}")
                    replica.root.log.append(made[-1])
        for replica in sessions:
            settle(replica)
            assert_in_agreement(replica)
            replica.close()
        last = open_in(folder, START)
        assert sorted(last.root.log) == sorted(made)
        last.close()


def test_updates_of_others_and_threads_meanwhile(tmp_path):
    replica = open_in(tmp_path, START)
    other = open_in(tmp_path / "other", START)

    def write(label):
        for number in range(60):
            replica.root.log.append(f"{label} {number}")

    threads = [threading.Thread(target=write, args=[label]) for label in "ab"]
    for thread in threads:
        thread.start()
    for number in range(60):
        other.root.log.append(f"other {number}")
        replica.receiver.receive(
            other.document.diff(replica.document.state_vector()), DeviceId("other"), lambda _: None
        )
    for thread in threads:
        thread.join(DEADLINE)
    settle(replica)
    assert len(replica.root.log) == 180
    assert_in_agreement(replica)
    before = exact(replica.root)
    for one in (replica, other):
        one.close()
    again = open_in(tmp_path, START)
    assert exact(again.root) == before
    again.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_kill_9_at_every_step_of_it_loses_nothing(tmp_path):
    script = """
        import os, signal, sys, time
        from tests.tracker.opened import open_in
        from tests.tracker.test_kill_steps import KEPT, START
        from tinysync.storage import compaction
        from tinysync.tracker import compacting
        compaction.CHUNK, compacting.RECORDS, compacting.SHARE = 300, 3, 0
        armed, step, last = False, 0, 0
        EVENTS = "open", "os.rename", "os.remove", "os.truncate", "os.mkdir"
        def die(event, arguments):
            global step
            if armed and event in EVENTS and sys.argv[1] in str(arguments):
                step += 1
                if step == last:
                    os.kill(os.getpid(), signal.SIGKILL)
        def work(folder):
            acknowledged = os.open(os.path.join(folder, "acknowledged"), os.O_WRONLY | os.O_CREAT)
            replica = open_in(folder, START, history=KEPT)
            root = replica.root
            for _ in range(9):
                with root:
                    root.log.append(len(root.log))
                    root.last = {"number": len(root.log)}
                os.pwrite(acknowledged, b"%06d" % len(root.log), 0)
                if len(root.log) % 4 == 0:
                    while replica.disk._compacting._thread is not None:
                        time.sleep(0.001)
            replica.close()
        sys.addaudithook(die)
        while True:
            last += 1
            folder = os.path.join(sys.argv[1], "%03d" % last)
            os.mkdir(folder)
            child = os.fork()
            if not child:
                armed = True
                work(folder)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status != -signal.SIGKILL:
                sys.exit(status)
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        command = [sys.executable, "-c", textwrap.dedent(script), place]
        subprocess.run(command, check=True, timeout=250, cwd=Path.cwd())
        folders = sorted(path for path in Path(place).iterdir() if path.name.isdecimal())
        assert len(folders) > 60
        for folder in folders:
            printed = folder / "acknowledged"
            acknowledged = int(printed.read_text() or 0) if printed.exists() else 0
            replica = open_in(folder, START, history=History(megabytes=0.0006))
            check(replica, acknowledged)
            replica.close()
        assert acknowledged == 9
