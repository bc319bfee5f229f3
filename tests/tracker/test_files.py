from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from decimal import Decimal

import pytest

from tests.tracker.opened import assert_in_agreement, exact, in_memory, open_in
from tinysync import JSON, Pickle, SQLite, track, tracker
from tinysync.crdt.values import MAX_DEPTH
from tinysync.errors import (
    DamagedFileWarning,
    InvalidName,
    KindMismatch,
    StorageError,
    StructureClosed,
    TinySyncWarning,
    UnreadableFile,
    UsageError,
)
from tinysync.storage.yaml_format import YAML


def reopened(folder, structure, **options):
    replica = open_in(folder, structure, **options)
    replica.close()
    return replica.root


VALUES = {
    "int": 1, "float": 1.0, "true": True, "none": None, "big": 2**80, "text": "ä\n", "bytes": b"\0\xff",
    "tuple": (1, (2.0, "x")), "frozen": frozenset({1}), "date": dt.date(2020, 1, 2), "decimal": Decimal("1.10"),
    "when": dt.datetime(2020, 1, 2, tzinfo=dt.UTC), "span": dt.timedelta(days=-1, microseconds=5),
    "set": {1, "two", (3,)}, "list": [1, [2, {"k": {3}}]], 1: "int key", (1, 2): "tuple key", None: 0, 0.5: 1,
}  # fmt: skip


def test_everything_survives_a_reopening_with_its_type(tmp_path):
    replica = open_in(tmp_path, {})
    replica.root.update(VALUES)
    replica.close()
    again = open_in(tmp_path, {})
    assert exact(again.root) == exact(VALUES)
    assert_in_agreement(again)
    again.close()


def test_everything_survives_as_a_default(tmp_path):
    assert exact(reopened(tmp_path, VALUES)) == exact(VALUES)
    assert exact(reopened(tmp_path, {})) == exact(VALUES)


@pytest.mark.parametrize("structure", [[1, {"a": 2}], {1, "x"}, {"a": 1}], ids=["list", "set", "dict"])
def test_any_kind_of_root(tmp_path, structure):
    replica = open_in(tmp_path, structure)
    root = replica.root
    {"list": lambda: root.append(5), "set": lambda: root.add(5), "dict": lambda: root.update(b=5)}[replica.kind]()
    expected = replica.snapshot()
    replica.close()
    assert exact(reopened(tmp_path, type(structure)())) == exact(expected)


def test_a_file_written_by_hand_is_the_initial_value(tmp_path):
    (tmp_path / "conf.yaml").write_text("retry: [1, 2]\nport: 80\n")
    replica = open_in(tmp_path, {"retry": [9], "host": "h"})
    assert replica.root == {"retry": [1, 2], "port": 80}
    assert_in_agreement(replica)
    replica.root.retry.append(3)
    replica.close()
    assert reopened(tmp_path, {"retry": [9], "host": "h"}) == {"retry": [1, 2, 3], "port": 80}


def test_a_newer_version_brings_its_defaults_but_not_what_was_deleted(tmp_path):
    replica = open_in(tmp_path, {"a": 1, "b": 2, "l": [1]}, version=1)
    replica.root.a = 10
    del replica.root["b"]
    replica.close()
    assert reopened(tmp_path, {"a": 5, "b": 6, "c": 7, "l": [2]}, version=1) == {"a": 10, "l": [1]}
    assert reopened(tmp_path, {"a": 5, "b": 6, "c": 7, "l": [2]}, version=2) == {"a": 10, "c": 7, "l": [2]}


def test_a_hand_edit_while_closed_is_merged_and_keeps_types(tmp_path):
    replica = open_in(tmp_path, {"price": Decimal("1.10"), "at": (1, 2), "name": "x", "l": [1, 2]})
    replica.close()
    file = tmp_path / "conf.yaml"
    file.write_text(file.read_text().replace("name: x", "name: y\nextra: true"))
    changes = []
    replica = open_in(tmp_path, {}, callback=changes.append)
    expected = {"price": Decimal("1.10"), "at": (1, 2), "name": "y", "l": [1, 2], "extra": True}
    assert exact(replica.root) == exact(expected)
    assert [change.origin for change in changes[0]] == ["file", "file"]
    assert_in_agreement(replica)
    replica.close()
    assert exact(reopened(tmp_path, {})) == exact(expected)


def test_a_hand_edit_while_open_is_never_overwritten(tmp_path):
    replica = open_in(tmp_path, {"a": 1, "b": 1})
    file = tmp_path / "conf.yaml"
    file.write_text("a: 1\nb: 2\nc: 3\n")
    replica.root.a = 5
    assert replica.root == {"a": 5, "b": 2, "c": 3}
    assert file.read_text() == "a: 5\nb: 2\nc: 3\n"
    assert_in_agreement(replica)
    replica.close()


@pytest.mark.parametrize("text", ["a: [1\n", "a: 1\na: 2\n", "- 1\n", "!!python/object:os.x {}\n", "\0"])
def test_a_file_that_cannot_be_taken_is_left_alone(tmp_path, text):
    reopened(tmp_path, {"a": 1})
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    with pytest.raises((UnreadableFile, KindMismatch), match="conf.yaml|readable file"):
        open_in(tmp_path, {})
    assert file.read_text() == text
    file.write_text("a: 2\n")
    assert reopened(tmp_path, {}) == {"a": 2}


def test_a_file_that_breaks_while_open_is_left_alone(tmp_path):
    replica = open_in(tmp_path, {"a": 1})
    file = tmp_path / "conf.yaml"
    file.write_text("a: [1\n")
    with pytest.warns(TinySyncWarning, match="conf.yaml"):
        replica.root.a = 2
    assert file.read_text() == "a: [1\n"
    with pytest.raises(UnreadableFile):
        replica.close()
    file.unlink()
    assert reopened(tmp_path, {}) == {"a": 2}


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_a_missing_or_empty_file_is_no_edit(tmp_path, text):
    reopened(tmp_path, {"a": 1})
    file = tmp_path / "conf.yaml"
    file.unlink() if text is None else file.write_text(text)
    assert reopened(tmp_path, {}) == {"a": 1}
    assert file.read_text() == "a: 1\n"


@pytest.mark.parametrize("name", ["", "..", "/etc/x", "a/../b", "a\\b", "a:b", "nul", ".tinysync", "a/", "\n"])
def test_bad_names(tmp_path, name):
    with pytest.raises(InvalidName):
        open_in(tmp_path, {}, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "# mine\n"])
def test_a_file_without_data_is_the_beginning_of_a_new_structure(tmp_path, caplog, text):
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    assert reopened(tmp_path, {"a": 1}) == {"a": 1}
    (record,) = caplog.records
    assert record.getMessage() == f"{file} holds no data: the structure begins with its defaults."
    assert file.read_text() == f"{text}a: 1\n"


def test_a_name_may_have_folders(tmp_path):
    replica = open_in(tmp_path, {"on": True}, "home/lights")
    assert (tmp_path / "home" / "lights.yaml").read_text() == "'on': true\n"
    replica.close()


def test_another_kind_is_refused(tmp_path):
    reopened(tmp_path, {"a": 1})
    with pytest.raises(KindMismatch, match="dict.*list"):
        open_in(tmp_path, [])
    assert reopened(tmp_path, {}) == {"a": 1}


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        open_in(tmp_path / "file", {})


@pytest.mark.parametrize("persist", [YAML, Pickle, SQLite])
@pytest.mark.parametrize(
    ("name", "folder", "culprit"),
    [
        ("conf", "f", "f"),
        ("conf", "f/sub", "f"),
        ("conf", ".", ".tinysync"),
        ("conf", ".", ".tinysync/conf"),
        ("f/conf", ".", "f"),
    ],
)
def test_a_file_where_a_folder_is_to_be_is_named(tmp_path, persist, name, folder, culprit):
    (tmp_path / culprit).parent.mkdir(exist_ok=True)
    (tmp_path / culprit).write_text("")
    told = re.escape(f"{tmp_path / culprit} is no folder, and {name!r} is to be kept in one: move it away, or use")
    with pytest.raises(StorageError, match=told):
        track({}, name, folder=tmp_path / folder, persist=persist)
    (tmp_path / culprit).unlink()
    tracker(track({}, name, folder=tmp_path / folder, persist=persist)).close()


def test_who_deletes_the_state_of_an_open_structure_is_told_what_to_do(tmp_path):
    conf = track({"a": 1}, "conf", folder=tmp_path)
    conf.b = 1
    shutil.rmtree(tmp_path / ".tinysync")
    with pytest.raises(
        StorageError, match="The change was not saved; put the folder back, or close the structure and "
    ):
        conf.c = 1
    told = r"cannot be changed: .*Put the folder back if it is gone.*\. Then track it again to go on$"
    with pytest.raises(StructureClosed, match=told):
        conf.c = 1
    assert conf == {"a": 1, "b": 1}
    conf = track({"a": 1}, "conf", folder=tmp_path)
    assert conf == {"a": 1, "b": 1}
    tracker(conf).close()


@pytest.mark.parametrize("persist", [YAML, Pickle, SQLite])
def test_a_disk_that_is_full_is_to_be_freed(tmp_path, monkeypatch, persist):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
        track({}, "conf", folder=tmp_path, persist=persist)
    monkeypatch.undo()
    tracker(track({}, "conf", folder=tmp_path, persist=persist)).close()


@pytest.mark.parametrize("version", [-1, 4096, "1", True, None])
def test_bad_versions(tmp_path, version):
    with pytest.raises(UsageError, match="version"):
        open_in(tmp_path, {}, version=version)


def test_a_damaged_op_file_is_moved_aside_and_the_rest_kept(tmp_path):
    replica = open_in(tmp_path, {})
    for number in range(5):
        replica.root[f"k{number}"] = number
    replica.close()
    (ops,) = (tmp_path / ".tinysync" / "conf").glob("*.ops")
    data = bytearray(ops.read_bytes())
    data[len(data) // 2] ^= 0xFF
    ops.write_bytes(data)
    (tmp_path / "conf.yaml").unlink()
    with pytest.warns(DamagedFileWarning, match="corrupt"):
        replica = open_in(tmp_path, {})
    assert replica.root
    assert_in_agreement(replica)
    replica.close()
    assert list((tmp_path / ".tinysync" / "conf").glob("*.corrupt*"))


@pytest.mark.parametrize("loss", ["deleted", "emptied", "cut"])
def test_without_its_op_log_the_structure_is_what_the_readable_file_says(tmp_path, loss):
    replica = open_in(tmp_path, {})
    replica.root.update(a=[1, 2], b={"c": {3}})
    replica.close()
    (ops,) = (tmp_path / ".tinysync" / "conf").glob("*.ops")
    if loss == "deleted":
        ops.unlink()
    else:
        ops.write_bytes(ops.read_bytes()[: 0 if loss == "emptied" else 20])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)
        replica = open_in(tmp_path, {})
    assert replica.root == {"a": [1, 2], "b": {"c": {3}}}
    assert_in_agreement(replica)
    replica.close()


def test_a_large_structure_is_written_behind_and_at_flush(tmp_path):
    replica = open_in(tmp_path, {f"key{number}": "x" * 50 for number in range(3000)})
    file = tmp_path / "conf.yaml"
    assert file.stat().st_size > 64 * 1024
    replica.root.new = 1
    replica.flush()
    assert "new: 1" in file.read_text()
    replica.root.newer = 2
    replica.close()
    assert "newer: 2" in file.read_text()


class GatedYAML(YAML):
    """YAML, of which another thread than the first writes only when it may."""

    def __init__(self):
        self.begun, self.gate = threading.Event(), threading.Event()

    def dump(self, value):
        data = super().dump(value)
        if threading.current_thread() is not threading.main_thread():
            self.begun.set()
            assert self.gate.wait(20)
        return data


@pytest.mark.parametrize("last", ["flush", "close"])
def test_what_is_just_being_written_behind_is_waited_for(tmp_path, last):
    gated = GatedYAML()
    replica = open_in(tmp_path, {f"key{number}": "x" * 50 for number in range(3000)}, keeper=gated)
    replica.flush()
    replica.root.new = 1
    assert gated.begun.wait(20)
    opener = threading.Timer(0.05, gated.gate.set)
    opener.start()
    getattr(replica, last)()
    assert "new: 1" in (tmp_path / "conf.yaml").read_text()
    opener.join()
    replica.close()


def test_many_changes_of_a_file_that_is_not_tiny_are_written_once(tmp_path):
    replica = open_in(tmp_path, {f"key{number}": "x" * 50 for number in range(100)})
    file = tmp_path / "conf.yaml"
    replica.flush()
    written = set()
    for number in range(100):
        replica.root.n = number
        written.add(file.stat().st_ino)
    assert len(written) < 50
    replica.close()
    assert "n: 99" in file.read_text()


def test_a_long_op_log_is_compacted_on_opening(tmp_path):
    replica = open_in(tmp_path, {"l": [1]})
    for number in range(2100):
        with replica.root:
            replica.root.n = number
            replica.root.l[0] = number
    expected = replica.snapshot()
    replica.close()
    state = tmp_path / ".tinysync" / "conf"
    before = sum(file.stat().st_size for file in state.glob("*.ops"))
    assert reopened(tmp_path, {}) == expected
    assert sum(file.stat().st_size for file in [*state.glob("*.ops"), *state.glob("snapshot-*")]) < before / 2
    assert reopened(tmp_path, {}) == expected


def test_a_new_structure_keeps_its_key_order(tmp_path):
    given = {"z": 1, "a": {"y": [{"q": 1, "b": 2}], "c": 3}, "l": 2}
    for replica in (open_in(tmp_path, given), in_memory(given)):
        assert json.dumps(replica.root) == json.dumps(given)
        replica.root.k = 1
        assert list(replica.root) == ["z", "a", "l", "k"]
        assert_in_agreement(replica)
        replica.close()


AT_EXIT = """
from tinysync import track
x = track({}, "d")
x.a = 1
with open("d.yaml", "w") as file:
    file.write("a: [1,\\n")
"""


def test_a_program_that_ends_says_in_one_line_what_it_could_not_write(tmp_path):
    code = AT_EXIT + "x.a = 2\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "at exit" in line]
    assert "d.yaml, line 2, column 1" in line


def test_a_transaction_that_is_open_at_the_end_of_the_program_is_named(tmp_path):
    code = "from tinysync import track\nx = track({'a': 1}, 'd')\nx.__enter__()\nx.a = 2\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == "'d' had a transaction open when the program ended: what it changed was not saved\n"
    assert reopened(tmp_path, {}, name="d") == {"a": 1}


LATE = """
import atexit

def write():
    try:
        x.a = 2
    except UsageError as error:
        print(error)

if {before}:
    atexit.register(write)
from tinysync import UsageError, track
if not {before}:
    atexit.register(write)
x = track({{"a": 1}}, "d")
"""


@pytest.mark.parametrize("before", [True, False])
def test_a_handler_that_writes_when_all_is_closed_is_told_so(tmp_path, before):
    code = LATE.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    told = (
        "the structure 'd' cannot be changed: the program is ending, and its structures were closed; register what"
        " writes at exit after tinysync is imported, so that it is called before that\n"
    )
    assert (done.stdout, done.stderr) == (told if before else "", "")
    assert reopened(tmp_path, {}, name="d") == {"a": 1 if before else 2}


@pytest.mark.parametrize(("persist", "suffix"), [(YAML, "yaml"), (JSON, "json")])
def test_the_deepest_structure_can_be_edited_by_hand(tmp_path, persist, suffix):
    deepest = "x"
    for _ in range(MAX_DEPTH):
        deepest = (deepest,)
    for _ in range(MAX_DEPTH - 1):
        deepest = {"k": deepest}
    root = track({}, "deep", folder=tmp_path, persist=persist)
    root.update(deepest)
    tracker(root).close()
    file = tmp_path / f"deep.{suffix}"
    text = file.read_text()
    file.write_text(text + "n: 1\n" if suffix == "yaml" else text.rstrip()[:-1] + ', "n": 1}')
    root = track({}, "deep", folder=tmp_path, persist=persist)
    assert root == {**deepest, "n": 1}
    tracker(root).close()


@pytest.mark.parametrize("is_new", [True, False])
def test_a_file_that_is_too_deep_for_a_structure_is_left_alone(tmp_path, is_new):
    if not is_new:
        tracker(track({"b": 1}, "deep", folder=tmp_path)).close()
    file = tmp_path / "deep.yaml"
    text = f"a: {'[' * MAX_DEPTH}{']' * MAX_DEPTH}\n"
    file.write_text(text)
    with pytest.raises(UnreadableFile, match=r"deep\.yaml: containers are nested more than"):
        track({}, "deep", folder=tmp_path)
    assert file.read_text() == text
    file.write_text("b: 2\n")
    root = track({}, "deep", folder=tmp_path)
    assert root == {"b": 2}
    tracker(root).close()
