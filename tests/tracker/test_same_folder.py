"""Several openings of one structure at the same time, as several processes have them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.lengths import many
from tests.tracker.opened import assert_in_agreement, exact, open_in
from tests.tracker.test_watching import DEADLINE, Heard, wait_until
from tinysync.errors import TinySyncWarning
from tinysync.storage.watcher import watcher
from tinysync.storage.yaml_dump import dump_yaml
from tinysync.storage.yaml_load import load_yaml
from tinysync.tracker.disk import COMPACT_RECORDS


@contextmanager
def both(folder, structure, callback=None, **options):
    one = open_in(folder, structure, **options)
    other = open_in(folder, {}, callback=callback, **options)
    try:
        yield one, other
    finally:
        one.close()
        other.close()


def text(folder):
    return (folder / "conf.yaml").read_text()


def test_each_sees_what_the_other_does(tmp_path):
    heard = Heard()
    with both(tmp_path, {"a": 1, "list": [1]}, heard) as (one, other):
        assert other.root == {"a": 1, "list": [1]}
        inner = other.root.list
        one.root.a = 2
        heard.wait(1)
        with one.root:
            one.root.b = 3
            one.root.list.append(2)
        heard.wait(3)
        assert other.root == {"a": 2, "b": 3, "list": [1, 2]}
        assert other.root.list is inner
        device = (tmp_path / ".tinysync" / "conf" / "device").read_text().strip()
        assert {(change.origin, change.device) for change in heard.changes} == {("remote", device)}
        other.root.list.append(3)
        wait_until(lambda: one.root.list == [1, 2, 3])
        assert text(tmp_path) == "a: 2\nb: 3\nlist:\n- 1\n- 2\n- 3\n"


def test_a_write_takes_in_what_the_other_has_written(tmp_path, monkeypatch):
    monkeypatch.setattr(watcher, "add", lambda watched: None)
    with both(tmp_path, {}) as (one, other):
        for number in range(20):
            one.root[f"one{number}"] = number
            other.root[f"other{number}"] = number
            assert f"one{number}" in other.root
            assert load_yaml(text(tmp_path).encode(), "") == other.root
        one.disk.view.meet_soon(one)
    assert len(one.root) == 40
    assert one.root == other.root


def test_a_hand_edit_is_taken_in_by_one(tmp_path):
    heard = Heard()
    with both(tmp_path, {"list": [1]}, heard) as (one, other):
        for number in range(2, 8):
            file = tmp_path / "conf.yaml"
            file.write_text(file.read_text() + f"- {number}\n")
            wait_until(lambda end=number: len(one.root.list) >= end and len(other.root.list) >= end)
            assert one.root.list == other.root.list == list(range(1, number + 1))
        assert {change.origin for change in heard.changes} == {"file"}


def test_a_file_that_does_not_parse_is_left_by_all(tmp_path, caplog):
    file = tmp_path / "conf.yaml"
    with caplog.at_level(logging.ERROR, "tinysync"), both(tmp_path, {"a": 1}) as (one, other):
        file.write_text("a: [\n")
        wait_until(lambda: len(caplog.records) == 2)
        with pytest.warns(TinySyncWarning, match=r"conf\.yaml"):
            one.root.b = 2
        wait_until(lambda: other.root == {"a": 1, "b": 2})
        with pytest.warns(TinySyncWarning, match=r"conf\.yaml"):
            other.root.c = 3
        time.sleep(1)
        assert file.read_text() == "a: [\n"
        assert len(caplog.records) == 2
        file.write_text("a: 5\n")
        wait_until(lambda: one.root == other.root == {"a": 5, "b": 2, "c": 3})
        wait_until(lambda: file.read_text() == "a: 5\nb: 2\nc: 3\n")


def test_callbacks_run_without_the_lock_of_the_folder(tmp_path):
    # One waits, in a callback, for what the other can only do with the lock.
    go_on = threading.Event()

    def wait(change):
        assert go_on.wait(DEADLINE)

    with both(tmp_path, {"a": 1}, wait) as (one, other):
        one.root.a = 2
        begin = time.monotonic()
        while "a: 3" not in text(tmp_path):
            one.root.a = 3
            assert time.monotonic() - begin < DEADLINE
        go_on.set()
        wait_until(lambda: other.root == {"a": 3})


def test_a_large_structure(tmp_path):
    start = {f"key{number}": "x" * 50 for number in range(3000)}
    with both(tmp_path, start) as (one, other):
        one.root.one = 1
        other.root.other = 1
        wait_until(lambda: one.root == other.root == {**start, "one": 1, "other": 1})
        wait_until(lambda: "one: 1" in text(tmp_path) and "other: 1" in text(tmp_path))
        (tmp_path / "conf.yaml").write_text(text(tmp_path).replace("one: 1", "one: 2"))
        wait_until(lambda: one.root.one == other.root.one == 2)


def test_opening_compacts_what_the_dead_have_left_and_the_living_go_on(tmp_path):
    first = open_in(tmp_path, {"n": -1})
    for number in range(COMPACT_RECORDS):
        with first.root:
            first.root.n = number
    first.close()
    with both(tmp_path, {}) as (one, other):
        assert len(list((tmp_path / ".tinysync" / "conf").glob("snapshot-*"))) == 1
        one.root.a = 1
        other.root.b = 1
        third = open_in(tmp_path, {})
        third.disk._log.compact(third.document.diff()[0])
        third.root.c = 1
        third.close()
        wait_until(lambda: one.root == other.root == {"n": COMPACT_RECORDS - 1, "a": 1, "b": 1, "c": 1})
    with both(tmp_path, {}) as (one, _):
        assert one.root == other.root


def test_two_that_begin_with_different_defaults(tmp_path):
    one = open_in(tmp_path, {"a": 1, "list": [1]}, version=1)
    other = open_in(tmp_path, {"a": 2, "b": 3, "list": [1, 2]}, version=2)
    wait_until(lambda: one.root == other.root == {"a": 2, "b": 3, "list": [1, 2]})
    for replica in (one, other):
        assert_in_agreement(replica)
        replica.close()


def test_a_failed_write_takes_nothing_of_the_other_back(tmp_path, monkeypatch):
    monkeypatch.setattr(watcher, "add", lambda watched: None)
    with both(tmp_path, {"a": 1}) as (one, other):
        other.root.b = 2
        one.root.c = 3
        assert one.root.b == 2
        other.root.d = 4

        class Full:
            def append(self, data):
                raise OSError(28, "No space left on device")

            size = end = one.disk._log._writer[1].size
            close = one.disk._log._writer[1].close

        one.disk._log._writer = (one.disk._log._writer[0], Full())
        with pytest.raises(Exception, match="No space"):
            one.root.e = 5
        assert_in_agreement(one)
        one.root.f = 6
        assert one.root == {"a": 1, "b": 2, "c": 3, "d": 4, "f": 6}
        assert_in_agreement(one)
    with both(tmp_path, {}) as (one, _):
        assert one.root == {"a": 1, "b": 2, "c": 3, "d": 4, "f": 6}


EVERY_STEP = """
import os, signal, sys, warnings
from tests.tracker.opened import assert_in_agreement, open_in
from tinysync.errors import DamagedFileWarning
from tinysync.model import History
from tinysync.storage.watcher import watcher
from tinysync.storage.yaml_load import load_yaml

folder = os.path.join(sys.argv[1], "app")
warnings.simplefilter("ignore", DamagedFileWarning)
watcher.add = lambda watched: None
NONE = History(days=0, megabytes=0)
armed, step, last = False, 0, 0
EVENTS = "open", "os.rename", "os.remove", "os.truncate", "os.mkdir"

def die(event, arguments):
    global step
    if armed and event in EVENTS and folder in str(arguments):
        step += 1
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

def work(acknowledge):
    session = open_in(folder, {}, history=NONE)
    def write(what):
        session.root.log.append(f"{last} {what}")
        os.write(acknowledge, f"{last} {what}\\n".encode())
    write("a")
    session.disk._log.compact(session.document.diff()[0])
    write("b")
    with open(file, "rb") as said:
        text = said.read()
    with open(file, "wb") as said:
        said.write(text + f"- {last} by hand\\n".encode())
    write("c")
    session.close()

file = os.path.join(folder, "conf.yaml")
live = open_in(folder, {"log": []}, history=NONE)
sys.addaudithook(die)
acknowledged = os.open(os.path.join(sys.argv[1], "acknowledged"), os.O_RDWR | os.O_CREAT | os.O_APPEND)
while True:
    last += 1
    child = os.fork()
    if not child:
        armed = True
        work(acknowledged)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    live.root.log.append(f"{last} live")
    live.disk.view.meet_soon(live)
    live.disk._log.compact(live.document.diff()[0])
    told = os.pread(acknowledged, 1 << 20, 0).decode().split("\\n")[:-1]
    log = list(live.root.log)
    assert set(told) <= set(log), set(told) - set(log)
    assert len(set(log)) == len(log), log
    assert f"{last} live" in log
    assert_in_agreement(live)
    with open(file, "rb") as said:
        assert load_yaml(said.read(), file) == live.root
    if status != -signal.SIGKILL:
        break
assert status == 0 and f"{last} by hand" in log
live.close()
again = open_in(folder, {})
assert again.root == live.root
again.close()
print(last)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_at_every_step_of_one_costs_the_other_nothing():
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        answer = subprocess.run(
            [sys.executable, "-c", EVERY_STEP, folder], check=False, capture_output=True, text=True, timeout=200
        )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert int(answer.stdout) > 40


class Sessions(RuleBasedStateMachine):
    """Three sessions that come and go, look when the test says so, and a person who edits the file."""

    @initialize(folder=st.just(None))
    def begin(self, folder):
        self.temp = tempfile.TemporaryDirectory()
        self.folder = Path(self.temp.name)
        self.watch, watcher.add = watcher.add, lambda watched: None
        self.sessions = [open_in(self.folder, {"list": [0], "d": {}, "s": set()}) for _ in range(3)]
        self.numbers = 0

    def next(self):
        self.numbers += 1
        return self.numbers

    which = st.integers(0, 2)
    key = st.sampled_from(["x", "y", "z"])

    @rule(which=which, key=key)
    def put(self, which, key):
        self.sessions[which].root[key] = self.next()

    @rule(which=which, key=key)
    def put_inside(self, which, key):
        self.sessions[which].root.setdefault("d", {})[key] = self.next()

    @rule(which=which, at=st.integers(0, 3))
    def insert(self, which, at):
        self.sessions[which].root.setdefault("list", []).insert(at, self.next())

    @rule(which=which)
    def add(self, which):
        self.sessions[which].root.setdefault("s", set()).add(self.next())

    @rule(which=which)
    def block(self, which):
        with self.sessions[which].root as root:
            root.pop("x", None)
            root["y"] = [self.next()]
            root.setdefault("list", [])[:1] = []

    @rule(which=which)
    def look(self, which):
        session = self.sessions[which]
        session.disk.view.meet_soon(session, edited=bool(self.numbers % 2))
        assert_in_agreement(session)

    @rule(which=which)
    def reopen(self, which):
        self.sessions[which].close()
        self.sessions[which] = open_in(self.folder, {})

    @rule(which=which)
    def compact(self, which):
        session = self.sessions[which]
        if session.document.is_complete():
            session.disk._log.compact(session.document.diff()[0])

    @rule(which=which)
    def crash(self, which):
        session = self.sessions[which]
        session.disk.abandon()
        session.abandon("it is as if its process were gone")
        self.sessions[which] = open_in(self.folder, {})

    @rule(edit=st.sampled_from(["append", "change", "both", "delete"]))
    def edit_by_hand(self, edit):
        file = self.folder / "conf.yaml"
        said = load_yaml(file.read_bytes(), file)
        number = self.next()
        if edit in {"append", "both"}:
            said.setdefault("list", []).append(number)
        if edit in {"change", "both"}:
            said["x"] = number
        if edit == "delete":
            said.pop("y", None)
        self.edited = number if edit in {"append", "both"} else None
        file.write_bytes(dump_yaml(said))
        # Long enough ago to be whole, although it may have become shorter.
        os.utime(file, (time.time() - 10,) * 2)
        if self.edited is not None:
            # Who writes or looks next takes it in, and only that one.
            self.sessions[number % 3].disk.view.meet_soon(self.sessions[number % 3])
            assert self.sessions[number % 3].root["list"].count(number) == 1

    @invariant()
    def the_file_is_whole(self):
        if hasattr(self, "folder"):
            assert isinstance(load_yaml((self.folder / "conf.yaml").read_bytes(), "it"), dict)

    def teardown(self):
        if not hasattr(self, "folder"):
            return
        try:
            for _ in range(2):
                for session in self.sessions:
                    session.disk.view.meet_soon(session)
            values = [exact(session.root) for session in self.sessions]
            assert values[0] == values[1] == values[2]
            for session in self.sessions:
                assert_in_agreement(session)
                assert len(set(session.root["list"])) == len(session.root["list"])
            said = load_yaml((self.folder / "conf.yaml").read_bytes(), "it")
            assert exact(said) == values[0]
            for session in self.sessions:
                session.close()
            again = open_in(self.folder, {})
            assert exact(again.root) == values[0]
            again.close()
        finally:
            watcher.add = self.watch
            self.temp.cleanup()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=many(25), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
