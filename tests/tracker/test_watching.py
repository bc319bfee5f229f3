"""Hand edits of the readable file while the structure is open, as people and editors make them."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import watchfiles._rust_notify as notify

from tests.tracker.opened import assert_in_agreement, exact, open_in
from tinysync.crdt.values import MAX_DEPTH
from tinysync.errors import StorageError, TinySyncWarning, UnreadableFile
from tinysync.storage import readable
from tinysync.storage import watcher as watching
from tinysync.storage.settling import looks_unfinished
from tinysync.storage.watcher import watcher
from tinysync.tracker import watching as taking_in

DEADLINE = 20.0


class Heard:
    """A callback that keeps what it is told; ``wait`` returns once it has heard of so many changes."""

    def __init__(self):
        self.changes = []
        self.threads = set()
        self._condition = threading.Condition()

    def __call__(self, told):
        with self._condition:
            self.changes += told if isinstance(told, list) else [told]
            self.threads.add(threading.current_thread())
            self._condition.notify_all()

    def wait(self, count):
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.changes) >= count, DEADLINE), self.changes

    @property
    def summary(self):
        return [(change.origin, change.path, change.func_name, change.args) for change in self.changes]


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def opened(folder, structure, name="conf", **options):
    replica = open_in(folder, structure, name, **options)
    try:
        yield replica
    finally:
        replica.close()


def has_looked():
    """Return once everything has been looked at, and what was unsettled then has settled."""

    class Look:
        looks = 0

        def folders(self):
            return ()

        def names(self):
            return ()

        def look(self):
            self.looks += 1
            return True

    look = Look()
    watcher.add(look)
    wait_until(lambda: look.looks > watching.SWEEP_TICKS + 4)
    watcher.remove(look)


def write_in_place(file, text):
    file.write_text(text)


def write_and_rename(file, text):
    temp = file.with_suffix(".new")
    temp.write_text(text)
    temp.replace(file)


def write_like_vim(file, text):
    backup = file.with_name(file.name + "~")
    file.replace(backup)
    file.write_text(text)
    backup.unlink()


def sed(file, text):
    lines = "\\\n".join(text.splitlines())
    subprocess.run(["sed", "-i", "-e", f"1c\\{lines}", "-e", "2,$d", str(file)], check=True)


@pytest.mark.parametrize("save", [write_in_place, write_and_rename, write_like_vim, sed])
def test_an_edit_becomes_the_least_changes_whichever_way_it_is_saved(tmp_path, save):
    if save is sed and not sys.platform.startswith("linux"):
        pytest.skip("needs GNU sed")
    heard = Heard()
    start = {"price": Decimal("1.10"), "retry": [1, 3, 5], "deep": {"on": True}}
    with opened(tmp_path, start, callback=heard) as replica:
        deep = replica.root.deep
        file = tmp_path / "conf.yaml"
        save(file, file.read_text().replace("- 3\n", "- 3\n- 4\n").replace("on': true", "on': false"))
        heard.wait(2)
        assert heard.summary == [
            ("file", ["deep"], "__setitem__", ("on", False)),
            ("file", ["retry"], "__setitem__", (slice(2, 2), [4])),
        ]
        assert replica.root.deep is deep
        assert exact(replica.root) == exact(
            {"price": Decimal("1.10"), "retry": [1, 3, 4, 5], "deep": {"on": False}}
        )
        assert_in_agreement(replica)
        save(file, file.read_text().replace("1.1", "2.5"))
        heard.wait(3)
        assert exact(replica.root.price) == exact(Decimal("2.50"))
    with opened(tmp_path, {}) as replica:
        assert replica.root.retry == [1, 3, 4, 5]


def test_what_the_program_writes_is_no_edit_nor_is_a_touch(tmp_path):
    heard = Heard()
    with opened(tmp_path, {}, callback=heard) as replica:
        has_looked()
        for number in range(200):
            replica.root[f"k{number % 5}"] = number
        has_looked()
        (tmp_path / "conf.yaml").touch()
        write_and_rename(tmp_path / "conf.yaml", (tmp_path / "conf.yaml").read_text())
        has_looked()
        assert {change.origin for change in heard.changes} == {"local"}
        assert len(heard.changes) == 200


def test_an_edit_and_changes_of_the_program_at_the_same_time(tmp_path):
    heard = Heard()
    file = tmp_path / "conf.yaml"
    with opened(tmp_path, {"n": 0, "list": [0]}, callback=heard) as replica:
        edits = 0
        for number in range(60):
            replica.root.n = number
            if number % 20 == 10:
                text = file.read_text()
                write_and_rename(file, text + f"edit{number}: 1\n")
                edits += 1
            replica.root.list.append(number)
        wait_until(lambda: sum(change.origin == "file" for change in heard.changes) == edits)
        assert replica.root == {"n": 59, "list": [0, *range(60)], "edit10": 1, "edit30": 1, "edit50": 1}
        assert_in_agreement(replica)


def test_a_file_that_does_not_parse_is_reported_once_and_taken_when_it_does(tmp_path, caplog):
    heard = Heard()
    file = tmp_path / "conf.yaml"
    with caplog.at_level(logging.ERROR, "tinysync"), opened(tmp_path, {"a": 1, "b": 1}, callback=heard) as replica:
        file.write_text("a: 2\nb: [1\n")
        wait_until(lambda: caplog.records)
        with pytest.warns(TinySyncWarning, match="conf.yaml"):
            replica.root.c = 3
        has_looked()
        file.touch()
        has_looked()
        assert len(caplog.records) == 1
        assert "conf.yaml, line 3, column 1" in caplog.text
        assert file.read_text() == "a: 2\nb: [1\n"
        file.write_text("a: 2\nb: [1]\n")
        heard.wait(3)
        assert replica.root == {"a": 2, "b": [1], "c": 3}
        wait_until(lambda: file.read_text() == "a: 2\nb: [1]\nc: 3\n")


DEEP = f"a: {'[' * MAX_DEPTH}{']' * MAX_DEPTH}\n"


@pytest.mark.parametrize(("text", "problem"), [("- a\n", "holds a list"), (DEEP, "more than 100 deep")])
def test_a_file_that_no_structure_can_be_like_is_reported_once_and_left_alone(tmp_path, caplog, text, problem):
    file = tmp_path / "conf.yaml"
    with caplog.at_level(logging.ERROR, "tinysync"), opened(tmp_path, {"a": 1}) as replica:
        file.write_text(text)
        wait_until(lambda: caplog.records)
        assert problem in caplog.text
        with pytest.warns(TinySyncWarning, match=problem):
            replica.root.a = 2
        assert file.read_text() == text
        assert len(caplog.records) == 1
        file.write_text("a: 1\nb: 2\n")
        wait_until(lambda: replica.root == {"a": 2, "b": 2})


@pytest.mark.parametrize("left", [None, "", "\n"])
def test_a_deleted_or_emptied_file_is_no_edit_and_comes_back(tmp_path, left):
    heard = Heard()
    file = tmp_path / "conf.yaml"
    with opened(tmp_path, {"a": 1}, callback=heard) as replica:
        file.unlink() if left is None else file.write_text(left)
        wait_until(lambda: file.exists() and file.read_text() == "a: 1\n")
        assert not heard.changes
        assert replica.root == {"a": 1}


@pytest.fixture
def patient(monkeypatch):
    """Have what looks unfinished waited for longer than a slow machine can stop a test between two pieces."""
    for module in (readable, taking_in):
        monkeypatch.setattr(module, "UNFINISHED", 5 * DEADLINE)


@pytest.mark.usefixtures("patient")
def test_a_file_that_is_written_slowly_is_taken_when_it_is_whole(tmp_path):
    heard = Heard()
    file = tmp_path / "conf.yaml"
    with opened(tmp_path, {"a": 1, "text": "long", "z": 1}, callback=heard) as replica, file.open("w") as out:
        for piece in ("a: 2\nte", "xt: longer an", "d longer\nz: 1\n"):
            out.write(piece)
            out.flush()
            time.sleep(3 * watching.TICK)
        heard.wait(2)
        assert replica.root == {"a": 2, "text": "longer and longer", "z": 1}
        assert [summary[2] for summary in heard.summary] == ["__setitem__"] * 2


@pytest.mark.usefixtures("patient")
def test_half_of_a_file_that_ends_with_a_line_is_no_edit(tmp_path):
    heard = Heard()
    file = tmp_path / "conf.yaml"
    file.write_text("a: 1\nb: 2\n# for later\nz: 3\n")
    with opened(tmp_path, {}, callback=heard) as replica:
        with file.open("w") as out:
            out.write("a: 5\n")
            out.flush()
            time.sleep(3 * watching.TICK)
            out.write("b: 6\n# for later\nz: 3\n")
        heard.wait(2)
        assert [summary[2] for summary in heard.summary] == ["__setitem__"] * 2
        assert replica.root == {"a": 5, "b": 6, "z": 3}
        assert file.read_text() == "a: 5\nb: 6\n# for later\nz: 3\n"


@pytest.mark.usefixtures("patient")
def test_the_program_waits_for_an_editor_between_emptying_a_file_and_writing_it(tmp_path):
    file = tmp_path / "conf.yaml"
    with opened(tmp_path, {"a": 1, "b": 1}) as replica:
        for kept in ("", "a: 2\n"):
            with file.open("w") as out:
                out.write(kept)
                out.flush()
                time.sleep(2 * watching.TICK)
                replica.root.own = kept
                assert file.read_text() == kept
                out.write("a: 2\nb: 1\nhand: 1\n".removeprefix(kept))
            wait_until(lambda: "hand" in replica.root)
            wait_until(lambda: "own:" in file.read_text())
            assert replica.root == {"a": 2, "b": 1, "hand": 1, "own": kept}
            del replica.root["hand"], replica.root["own"]
            replica.flush()


def test_what_adds_or_changes_lines_looks_finished_and_what_has_fewer_does_not():
    before = b"a: 1\nb: 2\nc: 3\n"
    for whole in (before + b"d: 4\n", b"x: 1\n" + before, b"a: 1\nb: 2\nc: 5\n", b"a: 5\nb: 5\nc: 5\nd: 4\n"):
        assert not looks_unfinished(whole, before)
    for half in (b"", b"\n", b"a: 1\n", b"a: 5\nb: 5\n", before[:-1]):
        assert looks_unfinished(half, before)
    assert not looks_unfinished(b"a: 1\n", None)


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "real.yaml"
    target.write_text("a: 1\n")
    (tmp_path / "conf.yaml").symlink_to(target)
    heard = Heard()
    with opened(tmp_path, {}, callback=heard) as replica:
        replica.root.b = 1
        target.write_text("a: 2\nb: 1\n")
        heard.wait(2)
        assert replica.root == {"a": 2, "b": 1}
        assert (tmp_path / "conf.yaml").is_symlink()


@pytest.mark.parametrize(
    ("bad", "told"),
    [("a: [1\n", "conf.yaml, line 2"), ("- 1\n", "conf.yaml holds a list"), ("# x\n", "holds nothing")],
)
def test_what_was_put_right_and_is_wrong_again_is_reported_again(tmp_path, caplog, bad, told):
    with caplog.at_level(logging.WARNING, "tinysync"), opened(tmp_path, {"a": 1}) as replica:
        for number in range(2, 5):
            (tmp_path / "conf.yaml").write_text(bad)
            wait_until(lambda number=number: caplog.text.count(told) == number - 1)
            (tmp_path / "conf.yaml").write_text(f"a: {number}\n")
            wait_until(lambda number=number: replica.root == {"a": number})


def test_a_program_that_goes_on_while_a_file_does_not_parse_is_warned_once_each_time(tmp_path):
    file = tmp_path / "conf.yaml"
    with opened(tmp_path, {"a": 1}) as replica:
        for key in ("c", "d"):
            text = file.read_text()
            file.write_text(f"{text}{key}: [1\n")
            has_looked()
            with warnings.catch_warnings(record=True, action="always") as warned:
                for change in range(3):
                    replica.root["b"] = change
            (told,) = warned
            assert issubclass(told.category, TinySyncWarning)
            assert str(told.message).startswith(f"{file}, line ")
            file.write_text(f"{text}{key}: 1\n")
            wait_until(lambda key=key: key in replica.root and "b: 2\n" in file.read_text())


def test_an_edit_that_cannot_be_read_at_first_is_reported_once_and_taken_when_it_can(tmp_path, caplog):
    base, elsewhere = tmp_path / ".tinysync" / "conf" / "base", tmp_path / "base"
    heard = Heard()
    with opened(tmp_path, {"a": 1}, callback=heard) as replica:
        base.rename(elsewhere)
        base.mkdir()
        (tmp_path / "conf.yaml").write_text("a: 2\n")
        wait_until(lambda: "Could not read" in caplog.text)
        has_looked()
        base.rmdir()
        elsewhere.rename(base)
        heard.wait(1)
        assert replica.root == {"a": 2}
    assert caplog.text.count("Could not") == 1


def test_a_folder_that_is_moved_away_is_reported_and_goes_on_when_it_is_back(tmp_path, caplog):
    folder, elsewhere = tmp_path / "app", tmp_path / "elsewhere"
    with caplog.at_level(logging.ERROR, "tinysync"), opened(folder, {"a": 1}) as replica:
        has_looked()
        folder.rename(elsewhere)
        wait_until(lambda: "is gone" in caplog.text)
        with pytest.warns(TinySyncWarning, match="app"):
            replica.root.b = 2
        assert not folder.exists()
        elsewhere.rename(folder)
        (folder / "conf.yaml").write_text("a: 1\nc: 3\n")
        wait_until(lambda: replica.root == {"a": 1, "b": 2, "c": 3})
        wait_until(lambda: (folder / "conf.yaml").read_text() == "a: 1\nb: 2\nc: 3\n")


def test_a_callback_that_waits_holds_up_its_own_structure_only(tmp_path):
    begun, go_on, heard = threading.Event(), threading.Event(), Heard()

    def wait(change):
        begun.set()
        assert go_on.wait(DEADLINE)

    with opened(tmp_path, {"a": 1}, "slow", callback=wait), opened(tmp_path, {"a": 1}, callback=heard):
        (tmp_path / "slow.yaml").write_text("a: 2\n")
        assert begun.wait(DEADLINE)
        (tmp_path / "conf.yaml").write_text("a: 2\n")
        heard.wait(1)
        go_on.set()


def test_an_edit_waits_for_a_transaction(tmp_path):
    heard = Heard()
    with opened(tmp_path, {"a": 1}, callback=heard) as replica:
        with replica.root:
            (tmp_path / "conf.yaml").write_text("a: 2\nb: 1\n")
            has_looked()
            assert replica.root == {"a": 1}
            replica.root.a = 3
        heard.wait(2)
        assert replica.root in ({"a": 3, "b": 1}, {"a": 2, "b": 1})
        assert_in_agreement(replica)


def test_an_edit_is_applied_by_the_thread_that_dispatch_chooses(tmp_path):
    heard = Heard()

    async def program():
        loop = asyncio.get_running_loop()
        with opened(tmp_path, {"a": 1}, callback=heard, dispatch=loop.call_soon_threadsafe):
            (tmp_path / "conf.yaml").write_text("a: 2\n")
            await asyncio.to_thread(heard.wait, 1)

    asyncio.run(asyncio.wait_for(program(), DEADLINE))
    assert heard.threads == {threading.main_thread()}


def test_a_dispatch_that_fails_is_logged_once_and_keeps_nothing_from_being_done(tmp_path, caplog):
    taken = []

    def dispatch(job):
        if not taken:
            raise RuntimeError("Event loop is closed")
        job()

    with opened(tmp_path, {"a": 1}, dispatch=dispatch) as replica:
        (tmp_path / "conf.yaml").write_text("a: 2\n")
        wait_until(lambda: "Event loop is closed" in caplog.text)
        replica.root.b = 1
        replica.root.c = 1
        assert replica.root == {"a": 1, "b": 1, "c": 1}
        replica.flush()
        assert replica.root == {"a": 2, "b": 1, "c": 1}
        assert (tmp_path / "conf.yaml").read_text() == "a: 2\nb: 1\nc: 1\n"
        (tmp_path / "conf.yaml").write_text("a: 3\nb: 1\nc: 1\n")
        wait_until(lambda: replica.lock.jobs)
        taken.append(True)
        # The next chance: who changes the structure has it seen to when it is free again.
        replica.root.d = 1
        assert replica.root.a == 3
        taken.clear()
        (tmp_path / "conf.yaml").write_text("a: 4\n")
        wait_until(lambda: replica.lock.jobs)
        replica.root.e = 1
    assert not replica.is_being_closed()
    (record,) = [record for record in caplog.records if "dispatch=" in record.getMessage()]
    assert record.exc_info
    with opened(tmp_path, {}) as replica:
        assert replica.root == {"a": 4, "e": 1}


def test_one_thread_watches_all_structures_and_ends_with_the_last(tmp_path):
    def watchers():
        return [thread for thread in threading.enumerate() if thread.name == "tinysync-files"]

    heard = Heard()
    replicas = [open_in(tmp_path / str(n % 7), {"a": 1}, f"conf{n}", callback=heard) for n in range(40)]
    assert len(watchers()) == 1
    has_looked()
    if sys.platform == "linux":
        targets = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
        assert sum("inotify" in target for target in targets) == 1
    for number in range(40):
        (tmp_path / str(number % 7) / f"conf{number}.yaml").write_text(f"a: 1\nn: {number}\n")
    heard.wait(40)
    assert sorted(replica.root.n for replica in replicas) == list(range(40))
    for replica in replicas:
        replica.close()
        (tmp_path / f"{replica.name}.yaml").write_text("a: 5\n")
    wait_until(lambda: not watchers())
    assert all(replica.root.a == 1 for replica in replicas)


def test_without_word_from_the_system_edits_are_found_all_the_same(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr(notify, "RustNotify", fail)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "tinysync-files"])
    heard = Heard()
    with opened(tmp_path, {"a": 1}, callback=heard):
        (tmp_path / "conf.yaml").write_text("a: 2\n")
        heard.wait(1)


def test_a_structure_that_cannot_log_an_edit_keeps_it_in_the_file(tmp_path, caplog, monkeypatch):
    with opened(tmp_path, {"a": 1}) as replica:
        full = True
        append = replica.disk._log.append

        def no_space(record):
            if full:
                raise StorageError("Could not save a change: no space left on device.")
            append(record)

        monkeypatch.setattr(replica.disk._log, "append", no_space)
        with caplog.at_level(logging.ERROR, "tinysync"):
            (tmp_path / "conf.yaml").write_text("a: 2\n")
            wait_until(lambda: "no space" in caplog.text)
        assert replica.root == {"a": 1}
        full = False
        replica.root.b = 1
        assert replica.root == {"a": 2, "b": 1}


END = """
import os, sys, time
from pathlib import Path
from tinysync import track, tracker
from tinysync.storage.watcher import START

x = track({"a": 1}, "conf", folder=sys.argv[1])
file = Path(sys.argv[1], "conf.yaml")
if sys.argv[2] == "fork":
    file.write_text("a: 2\\n")
    while x.a == 1:
        time.sleep(0.01)
    child = os.fork()
    if not child:
        y = track({"b": 1}, "other", folder=sys.argv[1])
        Path(sys.argv[1], "other.yaml").write_text("b: 2\\n")
        while y.b == 1:
            time.sleep(0.01)
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    file.write_text("a: 3\\n")
    while x.a == 2:
        time.sleep(0.01)
elif sys.argv[2] == "late":
    time.sleep(2 * START)
    file.write_text("a: 2\\n")
x.c = 1
"""


@pytest.mark.parametrize("way", ["at once", "late", "fork"])
def test_the_interpreter_ends_in_silence(tmp_path, way):
    if way == "fork" and not hasattr(os, "fork"):
        pytest.skip("needs fork")
    # Python 3.12 warns of any fork of a program with threads.
    flags = ["-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    answer = subprocess.run(
        [sys.executable, *flags, "-c", END, tmp_path, way], check=False, capture_output=True, text=True, timeout=60
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    with opened(tmp_path, {}) as replica:
        assert replica.root == {"a": {"at once": 1, "late": 2, "fork": 3}[way], "c": 1}


def test_closing_with_a_file_that_does_not_parse_still_says_so(tmp_path):
    replica = open_in(tmp_path, {"a": 1})
    (tmp_path / "conf.yaml").write_text("a: [\n")
    with pytest.warns(TinySyncWarning):
        replica.root.a = 2
    with pytest.raises(UnreadableFile):
        replica.close()


def test_an_edit_of_the_wrong_kind_leaves_no_trace(tmp_path, caplog):
    heard = Heard()
    replica = open_in(tmp_path, {"b": 1}, callback=heard)
    file = tmp_path / "conf.yaml"
    file.write_text("- 1\n")
    wait_until(lambda: f"{file} holds a list where the structure is a dict" in caplog.text)
    with warnings.catch_warnings(action="ignore"):
        replica.root.a = 3
    assert [change.origin for change in heard.changes] == ["local"]
    assert replica.handle.history()[0].origin == "local"
    file.unlink()
    assert replica.handle.undo()
    assert replica.root == {"b": 1}
    replica.close()


def test_an_emptied_file_is_reported_and_written_again(tmp_path, caplog):
    replica = open_in(tmp_path, {"b": 1})
    file = tmp_path / "conf.yaml"
    file.write_text("")
    wait_until(lambda: file.read_text() == "b: 1\n")
    assert caplog.text.count("holds nothing. That is no edit") == 1
    replica.close()


def test_a_program_has_its_turn_although_somebody_edits_as_fast_as_edits_are_taken(tmp_path):
    edits = 60
    made = []

    def edit(root):
        path = tmp_path / "conf.yaml"
        for number in range(edits):
            aside = tmp_path / "aside"
            aside.write_text(f"{path.read_text()}k{number}: {number}\n")
            aside.replace(path)
            deadline = time.monotonic() + DEADLINE
            while f"k{number}" not in root and time.monotonic() < deadline:
                time.sleep(0.0005)
            made.append(number)

    with opened(tmp_path, {"a": 1}) as replica:
        editor = threading.Thread(target=edit, args=[replica.root])
        editor.start()
        meanwhile = []
        while editor.is_alive():
            before = len(made)
            replica.root["a"] += 1
            meanwhile.append(len(made) - before)
        editor.join()
        assert len(made) == edits
        assert max(meanwhile) < edits / 3
    assert (tmp_path / "conf.yaml").read_text().count("k") == edits
