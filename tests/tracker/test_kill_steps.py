"""A process that is killed before any thing that it does to files: for sessions, compaction, the readable file."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from tests.tracker.opened import assert_in_agreement, open_in
from tinysync import History
from tinysync.tracker import disk

START = {"log": [], "last": None}
KEPT = History(megabytes=0.0006)


@pytest.fixture
def in_memory():
    """A folder that is in memory where the system has one: no disk can keep up with so many deaths."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_kill_9_at_every_step_loses_nothing(in_memory, monkeypatch):
    script = """
        import os, signal, sys
        from tests.tracker.opened import open_in
        from tests.tracker.test_kill_steps import KEPT, START
        from tinysync.storage import compaction
        from tinysync.tracker import disk
        compaction.CHUNK, disk.COMPACT_RECORDS = 300, 3
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
            for session in range(3):
                replica = open_in(folder, START, history=KEPT)
                root = replica.root
                for _ in range(3):
                    with root:
                        root.log.append(len(root.log))
                        root.last = {"number": len(root.log)}
                    os.pwrite(acknowledged, b"%06d" % len(root.log), 0)
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
    command = [sys.executable, "-c", textwrap.dedent(script), str(in_memory)]
    subprocess.run(command, check=True, timeout=250, cwd=Path.cwd())
    monkeypatch.setattr(disk, "COMPACT_RECORDS", 3)
    folders = sorted(path for path in in_memory.iterdir() if path.name.isdecimal())
    assert len(folders) > 100
    for folder in folders:
        printed = folder / "acknowledged"
        acknowledged = int(printed.read_text() or 0) if printed.exists() else 0
        for _ in range(2):
            replica = open_in(folder, START, history=KEPT)
            check(replica, acknowledged)
            replica.close()
    assert acknowledged == 9


def check(replica, acknowledged):
    """Nothing is lost, and what is kept of the past is as it was."""
    root, t = replica.root, replica.handle
    assert len(root.log) >= acknowledged
    assert root.log == list(range(len(root.log)))
    assert root.last == ({"number": len(root.log)} if root.log else None)
    assert_in_agreement(replica)
    versions = [entry.version for entry in t.history()]
    assert versions == sorted(
        range(min(versions, default=1), min(versions, default=1) + len(versions)), reverse=True
    )
    for version in versions:
        # Version 1 is the defaults, and each transaction is one more.
        assert t.at(version)["log"] == list(range(version - 1))
