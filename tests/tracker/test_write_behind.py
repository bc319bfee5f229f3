"""The readable file of structures that are not small: written a moment later, and by nobody who is late."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import warnings

import pytest

from tests.peer.devices import wait_until
from tests.tracker.opened import open_in
from tinysync.errors import StorageError
from tinysync.storage import atomic
from tinysync.tracker.view import MEDIUM, SMALL

LARGE = {f"key{number}": "x" * 50 for number in range(1500)}
MIDDLING = {f"key{number}": "x" * 50 for number in range(400)}


class HeldWriter:
    """Stops the thread that writes behind in the middle of its writing."""

    def __init__(self, monkeypatch):
        self.arrived, self._go_on = threading.Event(), threading.Event()
        self.threads = set()
        fsync = os.fsync

        def held(descriptor):
            thread = threading.current_thread()
            if isinstance(thread, threading.Timer):
                self.threads.add(thread)
                self.arrived.set()
                assert self._go_on.wait(60)
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", held)

    def go_on_soon(self):
        threading.Timer(0.2, self._go_on.set).start()

    def join(self):
        self._go_on.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def writer(monkeypatch):
    held = HeldWriter(monkeypatch)
    yield held
    held.join()


@pytest.fixture
def counted(monkeypatch):
    """The number of times that a readable file was replaced, in any thread."""
    count = []
    replace = atomic._replace

    def counting(temp, target):
        if target.suffix == ".yaml":
            count.append(target)
        replace(temp, target)

    monkeypatch.setattr(atomic, "_replace", counting)
    return count


def test_flush_waits_for_the_writer(tmp_path, writer):
    replica = open_in(tmp_path, LARGE)
    file = tmp_path / "conf.yaml"
    assert file.stat().st_size > MEDIUM
    replica.root.new = 1
    assert writer.arrived.wait(60)
    writer.go_on_soon()
    replica.flush()
    assert "new: 1" in file.read_text()
    replica.close()


def test_closing_waits_for_the_writer_and_nothing_is_written_after_it(tmp_path, writer):
    replica = open_in(tmp_path, LARGE)
    file = tmp_path / "conf.yaml"
    replica.root.new = 1
    assert writer.arrived.wait(60)
    replica.root.new = 2
    writer.go_on_soon()
    replica.close()
    assert "new: 2" in file.read_text()
    edited = file.read_text() + "hand: 1\n"
    file.write_text(edited)
    writer.join()
    assert file.read_text() == edited
    again = open_in(tmp_path, {})
    assert (again.root.new, again.root.hand) == (2, 1)
    again.close()


def test_what_is_large_no_more_is_written_at_once_again(tmp_path):
    replica = open_in(tmp_path, LARGE)
    file = tmp_path / "conf.yaml"
    replica.root.clear()
    replica.flush()
    replica.root.new = 1
    assert file.read_text() == "new: 1\n"
    replica.close()


def test_many_changes_in_a_row_are_written_once(tmp_path, counted):
    replica = open_in(tmp_path, MIDDLING)
    file = tmp_path / "conf.yaml"
    assert SMALL < file.stat().st_size <= MEDIUM
    replica.flush()
    counted.clear()
    for number in range(300):
        replica.root.n = number
    replica.flush()
    assert "n: 299" in file.read_text()
    assert len(counted) < 30, "it would be 300 without coalescing, and is some few per second"
    replica.close()
    again = open_in(tmp_path, {})
    assert again.root.n == 299
    again.close()


@pytest.mark.parametrize("content", [{"a": 1}, MIDDLING, LARGE], ids=["small", "middling", "large"])
def test_what_could_not_be_written_is_tried_again_and_each_trouble_is_reported_once(tmp_path, caplog, content):
    file, in_the_way = tmp_path / "conf.yaml", tmp_path / ".conf.yaml.tmp"
    with warnings.catch_warnings(record=True, action="default") as warned:
        replica = open_in(tmp_path, content)
        for trouble in (1, 2):
            # Where the file is to be written before it gets its name.
            in_the_way.mkdir()
            (in_the_way / "something").touch()
            for number in range(3):
                replica.root["n"] = trouble, number
            wait_until(lambda trouble=trouble: len(warned) + len(caplog.records) >= trouble)
            replica.root["n"] = trouble
            shutil.rmtree(in_the_way)
            wait_until(lambda trouble=trouble: f"n: {trouble}\n" in file.read_text())
            replica.flush()  # what was replaced is removed after the new one shows
            assert len(warned) + len(caplog.records) == trouble
        told = [str(one.message) for one in warned] + caplog.messages
        assert all(text.startswith(f"Could not write {file}: ") for text in told)
        in_the_way.mkdir()
        (in_the_way / "something").touch()
        replica.root["n"] = 3
        with pytest.raises(StorageError, match="Could not write"):
            replica.close()
        shutil.rmtree(in_the_way)
    assert "n: 3\n" not in file.read_text()


def test_what_is_not_written_yet_is_at_exit(tmp_path):
    code = (
        "from tinysync import track; x = track({str(i): 'x' * 50 for i in range(400)}, 'conf')\n"
        "for n in range(20): x['n'] = n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert "n: 19" in (tmp_path / "conf.yaml").read_text()
