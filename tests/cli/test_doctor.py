"""``doctor``: folders that are really damaged, and what is said about them and done."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from tests.devices.test_differences import go_on_as
from tests.peer.devices import wait_until
from tinysync import JSON, History, Peer, Pickle, SQLite, track, tracker
from tinysync.crdt.engine import Engine
from tinysync.crdt.ids import new_client_id
from tinysync.status import Coverage, KnownDevice
from tinysync.storage.devices_file import DevicesFile
from tinysync.storage.past_files import PAST_MAGIC
from tinysync.storage.records import (
    HEADER_SIZE,
    OPS_MAGIC,
    SNAPSHOT_MAGIC,
    OpRecord,
    decode_op,
    encode_op,
    frame,
    header,
    scan,
)

from .processes import here, printed, run


@pytest.fixture
def todo(place):
    """A folder with a structure; its state folder."""
    structure = track({"title": "Draft"}, "todo")
    structure.tasks = ["milk"]
    tracker(structure).close()
    return place / ".tinysync" / "todo"


def findings(*arguments):
    return [json.loads(line) for line in here("doctor", "--json", *arguments).stdout.splitlines()]


def warned(*arguments):
    """Run a command that prints warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        return here(*arguments)


def codes(*arguments):
    return sorted(finding["finding"] for finding in findings(*arguments))


def content():
    return json.loads(printed("get", "todo", "--json"))


def repaired(*expected):
    """The codes found are those expected, and repairing leaves nothing but what was kept aside."""
    assert codes() == sorted(expected)
    told = findings("--repair")
    assert all(finding["repaired"] for finding in told if finding["finding"] in {*expected} - {"kept-aside"}), told
    assert set(codes()) <= {"kept-aside"}
    assert here("doctor").exit_code == 0


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def ops(state):
    return sorted(state.glob("*.ops"))


def test_a_disk_that_is_read_only(todo, monkeypatch):
    system_open = os.open

    def refuse(path, flags, *rest, **options):
        if str(path).endswith("lock") and flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return system_open(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    [found] = findings()
    assert found["finding"] == "read-only-disk"
    assert os.strerror(errno.EROFS) in found["message"]
    assert "copy the folder" in found["advice"]


def test_a_healthy_folder(todo):
    tracker(track([1], "list", persist=JSON)).close()
    tracker(track({}, "things", persist=Pickle)).close()
    before = files(todo.parent.parent)
    result = here("doctor")
    assert (result.exit_code, result.output) == (0, "list, things, todo: nothing is wrong.\n")
    assert findings() == []
    assert files(todo.parent.parent) == before
    assert printed("doctor", "todo", "--repair") == "todo: nothing is wrong.\n"


def test_a_healthy_folder_whose_structures_are_open(place):
    opened = [
        track({"a": 1}, "things", persist=Pickle),
        track({"a": 1}, "db", persist=SQLite),
        track({"a": 1}, "todo"),
    ]
    assert findings() == []
    for structure in opened:
        tracker(structure).close()
    assert findings() == []


def test_a_damaged_database(place):
    structure = track({f"key{number}": "x" * 1000 for number in range(20)}, "db", persist=SQLite)
    tracker(structure).close()
    file = place / "db.sqlite"
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"x" * 4096 + data[8192:])
    (finding,) = findings()
    assert (finding["finding"], finding["severity"]) == ("damaged-database", "error")
    file.write_bytes(b"no database at all, but something else")
    assert codes() == ["damaged-database"]


def test_a_healthy_folder_with_history_and_snapshot(place):
    structure = track({}, "long", history=History(days=1))
    for number in range(20):
        structure.a = number
    tracker(structure).close()
    printed("compact", "long")
    assert findings() == []


def test_while_another_process_writes(todo):
    program = (
        "from tinysync import track\n"
        "todo = track({}, 'todo')\n"
        "print(flush=True)\n"
        "import sys, threading\n"
        "end = threading.Event()\n"
        "threading.Thread(target=lambda: (input(), end.set()), daemon=True).start()\n"
        "number = 0\n"
        "while not end.is_set():\n"
        "    number += 1\n"
        "    todo.number = number\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as other:
        other.stdout.readline()
        for _ in range(5):
            assert findings() == []
        assert findings("--repair") == []
        other.communicate("\n", timeout=60)
    assert findings() == []
    assert content()["number"] > 0


def test_a_process_that_was_killed(todo):
    program = (
        "import os, signal\n"
        "from tinysync import track\n"
        "todo = track({}, 'todo')\n"
        "todo.last = 'words'\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    (finding,) = findings()
    assert (finding["finding"], finding["severity"], finding["repairable"]) == ("stale-sign", "note", True)
    assert here("doctor").exit_code == 0
    repaired("stale-sign")
    assert content()["last"] == "words"


def test_temporary_files(todo):
    (todo / ".snapshot-1.bin.tmp").write_bytes(b"half")
    (todo.parent.parent / ".todo.yaml.tmp").write_bytes(b"half")
    repaired("temporary-file", "temporary-file")


def test_an_op_log_with_a_torn_end(todo):
    file = ops(todo)[0]
    file.write_bytes(file.read_bytes() + b"\x40\x00\x00\x00\x01")
    assert here("doctor").exit_code == 3
    repaired("torn-op-log")
    assert content() == {"title": "Draft", "tasks": ["milk"]}


def test_an_op_log_that_lost_its_last_change(todo):
    """Where the file system forgot the end of a file, and the readable file shows what was there."""
    file = ops(todo)[0]
    file.write_bytes(file.read_bytes()[:-10])
    repaired("torn-op-log", "lost-changes")
    assert content() == {"title": "Draft"}
    assert [path.read_text() for path in todo.glob("readable-*.yaml")] == ["tasks:\n- milk\ntitle: Draft\n"]


def test_an_op_log_damaged_in_its_middle(todo):
    file = ops(todo)[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    assert "damaged-op-log" in codes()
    told = {finding["finding"]: finding for finding in findings("--repair")}
    assert "is kept" in told["damaged-op-log"]["repaired"]
    assert next(todo.parent.rglob("*.corrupt")).read_bytes() == data
    assert (todo.parent.parent / "todo.yaml").read_text() == "tasks:\n- milk\ntitle: Draft\n"
    assert "damaged-op-log" not in codes()


EMPTIED_OR_DELETED = pytest.mark.parametrize("deleted", [False, True])


def emptied(path, *, deleted):
    if deleted:
        path.unlink()
    else:
        path.write_bytes(b"")


@EMPTIED_OR_DELETED
def test_an_op_log_that_is_gone(todo, deleted, caplog):
    for path in ops(todo):
        emptied(path, deleted=deleted)
    result = here("doctor")
    assert (result.exit_code, "error  todo: the op log of todo is gone" in result.output) == (3, True)
    assert "left of it: base" in result.output.replace("\n", "")
    repaired("lost-op-log")
    assert content() == {"title": "Draft", "tasks": ["milk"]}
    for path in ops(todo):
        emptied(path, deleted=deleted)
    caplog.clear()
    tracker(track({}, "todo")).close()
    assert "begins anew with" in caplog.text


@EMPTIED_OR_DELETED
def test_an_op_log_that_is_gone_and_that_another_device_has(todo, deleted):
    file = DevicesFile(todo)
    file.write([KnownDevice("f" * 32, "phone", coverage=held(todo))])
    file.close()
    for path in ops(todo):
        emptied(path, deleted=deleted)
    found = {finding["finding"]: finding for finding in findings("--repair")}
    lost = found["lost-op-log"]
    assert (lost["severity"], lost["repairable"]) == ("error", False)
    assert f"from phone, move {todo.parent.parent / 'todo.yaml'} away" in lost["advice"]


@EMPTIED_OR_DELETED
def test_an_op_log_that_is_gone_and_that_no_other_device_has_had(todo, deleted):
    file = DevicesFile(todo, "a session")
    file.write([KnownDevice("f" * 32, "phone", refused="it is a dict here and a list there")], {"ws://a:1": "no"})
    file.close()
    for path in ops(todo):
        emptied(path, deleted=deleted)
    repaired("lost-op-log")


def test_a_structure_that_was_never_begun(place):
    (place / ".tinysync" / "todo").mkdir(parents=True)
    (place / ".tinysync/todo/device").write_bytes(b"0" * 32)
    (place / "todo.yaml").write_text("a: 1\n")
    assert codes() == []


@EMPTIED_OR_DELETED
def test_an_op_file_of_several_that_is_gone(todo, deleted):
    printed("set", "todo", "more", 1)
    emptied(ops(todo)[-1], deleted=deleted)
    assert here("doctor").exit_code == 3
    repaired("lost-changes", *([] if deleted else ["empty-op-log"]))
    assert {path.read_text() for path in todo.glob("readable-*.yaml")} == {
        "more: 1\ntasks:\n- milk\ntitle: Draft\n"
    }


def test_an_op_file_between_others_that_is_gone(todo):
    printed("set", "todo", "more", 1)
    printed("set", "todo", "more", 2)
    ops(todo)[-2].unlink()
    found = findings()
    assert "version 3 is missing" in next(f["message"] for f in found if f["finding"] == "missing-versions")


def test_a_file_that_was_not_written_before_the_process_was_killed(todo):
    before = (todo.parent.parent / "todo.yaml").read_bytes(), (todo / "base").read_bytes()
    printed("set", "todo", "more", 1)
    printed("set", "todo", "more", 2)
    (todo.parent.parent / "todo.yaml").write_bytes(before[0])
    (todo / "base").write_bytes(before[1])
    (finding,) = findings()
    assert (finding["finding"], finding["severity"]) == ("unwritten-file", "note")
    repaired("unwritten-file")
    assert content()["more"] == 2


def test_a_large_file_that_was_not_written_before_the_process_was_killed(place):
    structure = track({f"key{number}": "x" * 1000 for number in range(20)}, "todo")
    tracker(structure).close()
    state = place / ".tinysync" / "todo"
    before = (place / "todo.yaml").read_bytes(), (state / "base").read_bytes()
    structure = track({}, "todo")
    for number in range(100):
        structure.key0 = number
    tracker(structure).close()
    (place / "todo.yaml").write_bytes(before[0])
    (state / "base").write_bytes(before[1])
    assert codes() == ["unwritten-file"]
    for path in ops(state)[1:]:
        cut_behind(path, 1)
    assert codes() == ["unwritten-file"]


def test_an_op_log_that_a_process_began_that_was_killed(todo):
    (todo / "live-1-999999999-0000000a").write_bytes(b"")
    (todo / "999999999999-0000000a.ops").write_bytes(b"")
    assert here("doctor").exit_code == 0
    repaired("empty-op-log", "stale-sign")


@pytest.mark.skipif(sys.platform == "win32", reason="that is another error there")
@pytest.mark.parametrize("name", ["device", "base", "*.ops", "snapshot-*.bin", "peers", "lock", "kept-as"])
def test_a_folder_in_the_place_of_a_file(todo, name):
    """What is wrong with one structure hides nothing of the others, and opening says what to do."""
    tracker(track({}, "other")).close()
    (todo.parent / "other" / "device").write_bytes(b"no id")
    DevicesFile(todo).write([])
    if name.startswith("snapshot"):
        compacted(todo)
    path = next(iter(todo.glob(name)), todo / name)
    path.unlink(missing_ok=True)
    path.mkdir()
    found = {(f["structure"], f["finding"]): f for f in findings()}
    assert ("other", "damaged-device") in found
    about = [f for f in found.values() if f["structure"] == "todo" and f["file"] == str(path)]
    assert about, found
    assert any("a folder where a file belongs" in f["message"] for f in about)
    if name in {"*.ops", "snapshot-*.bin"}:
        told = here("log", "todo")  # not without what it holds
        assert (told.exit_code, "a folder where a file belongs" in told.stderr) == (1, True)
    if name != "peers":
        told = here("get", "todo")
        assert told.exit_code == 1
        assert "a folder where a file belongs: move it away" in told.stderr
        assert "writable" not in told.stderr
    here("doctor", "--repair")
    assert path.is_dir() == (name in {"lock", "kept-as"})


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all"
)
def test_a_file_that_this_user_may_not_read(todo):
    (todo / "device").chmod(0)
    (finding,) = findings()
    assert finding["finding"] == "unreadable"
    assert "ermission denied" in finding["message"]


def test_an_op_log_of_a_newer_version_is_left_alone(todo):
    (todo / "zzz-00000000.ops").write_bytes(OPS_MAGIC + b"\x09" + b"data")
    (finding,) = findings("--repair")
    assert (finding["finding"], finding["repairable"]) == ("unknown-file", False)
    assert "newer version" in finding["message"]


def test_a_file_that_is_no_op_log(todo):
    (todo / "zzz-00000000.ops").write_bytes(b"something else entirely")
    assert here("get", "todo").exit_code == 1
    repaired("unknown-file")
    assert (todo / "zzz-00000000.ops.corrupt").read_bytes() == b"something else entirely"
    assert content() == {"title": "Draft", "tasks": ["milk"]}


def compacted(state):
    printed("compact", "todo")
    (snapshot,) = state.glob("snapshot-*.bin")
    return snapshot


def test_a_damaged_snapshot_whose_sources_are_gone(todo):
    snapshot = compacted(todo)
    data = bytearray(snapshot.read_bytes())
    data[len(data) // 2 :] = b"x" * (len(data) - len(data) // 2)
    snapshot.write_bytes(data)
    assert here("get", "todo").exit_code == 1
    repaired("lost-snapshot")
    assert content() == {"title": "Draft", "tasks": ["milk"]}
    (kept,) = (todo.parent / "%aside").iterdir()
    assert (kept / snapshot.name).read_bytes() == data
    assert printed("status") == "todo, not open: no other devices\n"


def test_a_damaged_snapshot_whose_sources_are_there(todo):
    old = {path.name: path.read_bytes() for path in ops(todo)}
    snapshot = compacted(todo)
    data = snapshot.read_bytes()
    for name, before in old.items():
        (todo / name).write_bytes(before)
    assert codes() == ["compacted-leftover"]
    # The names come first in it, and are whole.
    snapshot.write_bytes(data[: len(data) // 2] + b"x" * (len(data) - len(data) // 2))
    repaired("damaged-snapshot")
    assert content() == {"title": "Draft", "tasks": ["milk"]}


def test_a_snapshot_with_something_behind_it(todo):
    snapshot = compacted(todo)
    data = snapshot.read_bytes()
    snapshot.write_bytes(data + b"\x93xyz\xff")
    repaired("damaged-snapshot")
    assert snapshot.read_bytes() == data
    assert len(here("log", "todo", "--json").stdout.splitlines()) == 2


def test_what_a_compaction_left(todo):
    old = {path.name: path.read_bytes() for path in ops(todo)}
    compacted(todo)
    for name, before in old.items():
        (todo / name).write_bytes(before)
    (todo / f"{1:012x}-{2:012x}-00000000.past").write_bytes(b"")
    repaired("compacted-leftover", "orphaned-history")


def test_history_is_kept_where_its_snapshot_is_lost(todo):
    snapshot = compacted(todo)
    printed("set", "todo", "more", 1)
    snapshot.unlink()
    past = {path.name: path.read_bytes() for path in todo.glob("*.past")}
    assert past
    file = ops(todo)[0]
    file.write_bytes(file.read_bytes() + b"torn")
    printed("doctor", "--repair")
    kept = {path.name.removesuffix(".corrupt"): path.read_bytes() for path in todo.parent.rglob("*.past.corrupt")}
    assert kept == past


def test_damaged_history(todo):
    compacted(todo)
    past = next(iter(todo.glob("*.past")))
    past.write_bytes(past.read_bytes()[:-4] + b"xxxx")
    (finding,) = findings()
    assert (finding["finding"], finding["repairable"]) == ("damaged-history", True)
    past.unlink()
    (finding,) = findings()
    assert finding["message"] == f"{past.name} holds history, and is missing"
    printed("compact", "todo")
    assert codes() == []


def test_damaged_history_is_begun_anew_and_the_old_is_kept(todo):
    compacted(todo)
    printed("set", "todo", "more", 1)
    printed("compact", "todo")
    first, second = sorted(todo.glob("*.past"))
    whole = second.read_bytes()
    first.write_bytes(b"rubbish")
    repaired("damaged-history")
    assert (todo / f"{second.name}.corrupt").read_bytes() == whole
    assert (todo / f"{first.name}.corrupt").read_bytes() == b"rubbish"
    printed("set", "todo", "more", 2)
    assert json.loads(printed("at", "todo", 3, "--json")) == {"title": "Draft", "tasks": ["milk"], "more": 1}


def test_a_snapshot_that_does_not_name_its_history(todo):
    snapshot = compacted(todo)
    data = snapshot.read_bytes()[:-3]
    snapshot.write_bytes(data)
    (past,) = todo.glob("*.past")
    repaired("damaged-history", "orphaned-history")
    assert (todo / f"{snapshot.name}.corrupt").read_bytes() == data
    assert (todo / f"{past.name}.corrupt").exists()


def cut_behind(path, records):
    """Leave only so many of the records of a file."""
    data = path.read_bytes()
    end = HEADER_SIZE
    for _ in range(records):
        end += 8 + int.from_bytes(data[end : end + 4], "little")
    path.write_bytes(data[:end])


def test_history_that_was_emptied(todo):
    compacted(todo)
    printed("set", "todo", "more", 1)
    (past,) = todo.glob("*.past")
    past.write_bytes(b"")
    assert codes() == ["damaged-history"]
    for command in (["at", "todo", 1], ["restore", "todo", 1]):
        told = warned(*command)
        assert (told.exit_code, "version 1 is not kept: there are 2 to 3" in told.stderr) == (1, True), told.output
    assert content() == {"title": "Draft", "tasks": ["milk"], "more": 1}


def test_history_that_lacks_versions(place):
    structure = track({}, "todo")
    for number in range(5):
        structure.a = number
    tracker(structure).close()
    state = place / ".tinysync/todo"
    compacted(state)
    printed("set", "todo", "more", 1)
    (past,) = state.glob("*.past")
    cut_behind(past, 3)
    # As a machine is fast that makes all of them within a millisecond.
    records = [decode_op(payload) for payload in scan(past.read_bytes(), PAST_MAGIC, past).payloads]
    begin, _, rest = past.name.split("-")
    renamed = past.with_name(f"{begin}-{max(record.time_ms for record in records):012x}-{rest}")
    past.rename(renamed)
    (snapshot,) = state.glob("snapshot-*.bin")
    data = snapshot.read_bytes()
    payloads = [
        payload.replace(past.name.encode(), renamed.name.encode())
        for payload in scan(data, SNAPSHOT_MAGIC, snapshot).payloads
    ]
    snapshot.write_bytes(header(SNAPSHOT_MAGIC) + b"".join(map(frame, payloads)))
    (finding,) = findings()
    assert (finding["finding"], finding["severity"]) == ("missing-versions", "warning")
    assert "4 to 6" in finding["message"]
    for command in (["at", "todo", 4], ["at", "todo", 5], ["restore", "todo", 5]):
        told = warned(*command)
        assert (told.exit_code, "is not kept" in told.stderr) == (1, True), told.output
    assert warned("at", "todo", 3, "a").stdout == "1\n"
    assert warned("at", "todo", 7, "a").stdout == "4\n"
    assert "lacks version 4" in warned("log", "todo").stderr


@pytest.mark.parametrize("damaged", [b"not an id", None])
def test_no_device_id(todo, damaged):
    if damaged is None:
        (todo / "device").unlink()
    else:
        (todo / "device").write_bytes(damaged)
    repaired("damaged-device")
    assert damaged is None or (todo / "device.corrupt").read_bytes() == damaged


def test_damaged_notes_about_other_devices(todo):
    (todo / "peers").write_text("{")
    repaired("damaged-peers")
    assert (todo / "peers.corrupt").read_text() == "{"


def test_a_readable_file_that_does_not_parse(todo):
    file = todo.parent.parent / "todo.yaml"
    file.write_text("title: Other\ntasks: [bread\n")
    (finding,) = findings()
    assert (finding["finding"], finding["severity"]) == ("unreadable-file", "error")
    assert "line 3" in finding["message"]
    repaired("unreadable-file")
    assert file.read_text() == "tasks:\n- milk\ntitle: Draft\n"
    (kept,) = todo.glob("readable-*.yaml")
    assert kept.read_text() == "title: Other\ntasks: [bread\n"


def test_a_readable_file_of_another_kind(todo):
    file = todo.parent.parent / "todo.yaml"
    file.write_text("- a\n")
    repaired("other-kind")
    assert file.read_text() == "tasks:\n- milk\ntitle: Draft\n"


def test_a_state_without_its_readable_file(todo):
    file = todo.parent.parent / "todo.yaml"
    file.unlink()
    (finding,) = findings()
    assert "If it was renamed" in finding["advice"]
    repaired("missing-file")
    assert file.read_text() == "tasks:\n- milk\ntitle: Draft\n"


def test_a_file_that_is_the_state_itself_is_missing(place):
    tracker(track({}, "things", persist=Pickle)).close()
    (place / "things.pickle").unlink()
    (finding,) = findings()
    assert (finding["finding"], finding["repairable"]) == ("missing-file", False)


def test_damaged_notes_about_the_readable_file(todo):
    base = todo / "base"
    data = bytearray(base.read_bytes())
    base.write_bytes(bytes(data) + b"\x03\x00\x00\x00garbage" + bytes(data[8:]))
    repaired("damaged-base")
    base.write_bytes(b"entirely something else")
    assert here("get", "todo").exit_code == 1
    repaired("kept-aside", "unknown-file")
    assert content() == {"title": "Draft", "tasks": ["milk"]}


@pytest.mark.parametrize("how", ["empty", "header", "half", "short", "zeros", "appended", "deleted"])
@pytest.mark.parametrize("behind", [False, True])
def test_damage_of_what_is_noted_about_the_readable_file(todo, how, behind):
    base, readable = todo / "base", todo.parent.parent / "todo.yaml"
    old = readable.read_bytes()
    printed("set", "todo", "more", 1)
    if behind:
        readable.write_bytes(old)
    data = base.read_bytes()
    match how:
        case "empty":
            base.write_bytes(b"")
        case "header":
            base.write_bytes(data[:8])
        case "half":
            base.write_bytes(data[: len(data) // 2])
        case "short":
            base.write_bytes(data[:-3])
        case "zeros":
            base.write_bytes(bytes(len(data)))
        case "appended":
            base.write_bytes(data + b"\x93xyz\xff")
        case "deleted":
            base.unlink()
    found = {finding["finding"]: finding for finding in findings()}
    assert "damaged-base" in found
    is_lost = behind and how in {"empty", "header", "zeros", "deleted"}
    if is_lost:
        assert found["damaged-base"]["severity"] == "warning"
        assert "takes newer changes back" in found["damaged-base"]["advice"]
        assert not found["damaged-base"]["repairable"]
    else:
        here("doctor", "--repair")
        assert set(codes()) <= {"kept-aside"}
    if not behind:
        assert content()["more"] == 1


def test_a_structure_whose_other_format_is_kept_too(place):
    tracker(track({"a": 1}, "todo")).close()
    tracker(track({"a": 1}, "todo", persist=JSON)).close()
    assert codes() == []
    (place / ".tinysync/todo/base.json").unlink()
    (place / ".tinysync/todo/base").unlink()
    (place / "todo.yaml").unlink()
    repaired("damaged-base")
    assert json.loads((place / "todo.json").read_text()) == {"a": 1}


def op_file(state, name, client, record, *, kind="local"):
    (state / name).write_bytes(header(OPS_MAGIC) + frame(encode_op(OpRecord(kind, 1, client, (record,)))))


def written(client, *values):
    engine = Engine(client)
    updates = []
    for number, value in enumerate(values):
        engine.begin()
        engine.put("c", f"x/{number}", value)
        updates += engine.commit()
    return updates


def test_changes_that_others_build_on_are_missing(todo):
    client = new_client_id(0)
    op_file(todo, "999999999999-00000001.ops", client, written(client, "a", "b")[1])
    (finding,) = findings()
    assert (finding["finding"], finding["repairable"]) == ("missing-changes", False)
    assert "is left as it is" in here("compact", "todo").output


def test_a_forked_lineage_in_one_folder(todo):
    client = new_client_id(0)
    op_file(todo, "999999999998-00000001.ops", client, written(client, "a")[0])
    op_file(todo, "999999999999-00000002.ops", client, written(client, "b")[0])
    assert codes() == ["forked-lineage"]


def test_updates_that_are_none(todo):
    op_file(todo, "999999999999-00000001.ops", 1, b"no update at all")
    assert here("get", "todo").exit_code == 1
    repaired("unusable-state")
    assert content() == {"title": "Draft", "tasks": ["milk"]}


def test_a_folder_from_a_backup(todo):
    backup = files(todo)
    printed("set", "todo", "more", 1)
    DevicesFile(todo).write([KnownDevice("f" * 32, "phone", coverage=held(todo))])
    for path in todo.iterdir():
        if path.name in backup:
            path.write_bytes(backup[path.name])
        elif path.suffix == ".ops":
            path.unlink()
    (finding,) = (finding for finding in findings() if finding["finding"] != "stale-sign")
    assert finding["finding"] == "rolled-back"
    assert "phone" in finding["message"]


def held(state):
    structure = track({}, "todo", folder=state.parent.parent)
    try:
        with tracker(structure)._replica.reading():
            return tracker(structure)._replica.document.coverage()
    finally:
        tracker(structure).close()


def test_a_device_that_was_found_to_hold_something_else(todo):
    DevicesFile(todo).write([KnownDevice("f" * 32, "phone", coverage=Coverage(), differs=True)])
    (finding,) = findings()
    assert (finding["finding"], finding["severity"]) == ("unequal-digests", "error")
    assert "phone" in finding["message"]


@pytest.fixture
def devices(place):
    """Opens two linked devices, each in its folder, and closes them."""

    @contextmanager
    def opened():
        with Peer(listen="127.0.0.1:0", device="laptop") as laptop:
            with Peer(connect=[laptop.url], device="phone") as phone:
                ours = track({"a": 1}, "todo", folder=place / "laptop", sync=laptop)
                theirs = track({"a": 1}, "todo", folder=place / "phone", sync=phone)
                tracker(ours).wait_synced(20)
                tracker(theirs).wait_synced(20)
                yield ours, theirs
            tracker(theirs).close()
        tracker(ours).close()

    return opened


def differs(structure):
    return [known.differs for known in tracker(structure)._replica.known.all()] == [True]


def test_devices_that_hold_different_things_find_out_and_remember_it(place, devices):
    with devices() as (ours, theirs):
        client = tracker(ours)._replica.document.engine.client_id
        with tracker(theirs)._replica.reading(), tracker(ours)._replica.reading():
            go_on_as(theirs, client)
            ours["a"] = "ours"
            theirs["a"] = "theirs"
        wait_until(lambda: differs(ours) and differs(theirs))
    assert codes("laptop") == codes("phone") == ["unequal-digests"]
    assert codes("laptop", "phone") == ["unequal-digests"] * 3


def test_a_difference_is_forgotten_once_they_hold_the_same(place, devices):
    with devices():
        pass
    for folder in (place / "laptop", place / "phone"):
        file = DevicesFile(folder / ".tinysync/todo")
        file.write([replace(known, differs=True) for known in file.read().devices.values()])
        file.close()
    assert codes("laptop") == codes("phone") == ["unequal-digests"]
    with devices() as (ours, theirs):
        ours["b"] = 2
        wait_until(lambda: not differs(ours) and not differs(theirs))
    assert codes("laptop") == codes("phone") == []


def copied(todo):
    place = todo.parent.parent
    shutil.copytree(todo.parent, place / "copy" / ".tinysync")
    shutil.copy(place / "todo.yaml", place / "copy" / "todo.yaml")
    return place / "copy"


def test_a_copied_folder_has_the_id_of_another(todo):
    copy = copied(todo)
    assert codes() == []
    assert codes(todo.parent.parent, copy) == ["cloned-id"]
    state = copy / ".tinysync/todo"
    assert f"{state} has a new id" in printed("doctor", todo.parent.parent, copy, "--repair").replace("\n", "")
    assert codes(todo.parent.parent, copy) == ["kept-aside"]
    assert (todo / "device").read_bytes() != (copy / ".tinysync/todo/device").read_bytes()


def test_two_folders_that_went_on_apart_are_healthy(todo):
    copy = copied(todo)
    (copy / ".tinysync/todo/device").unlink()
    printed("set", "todo", "here", 1)
    printed("set", copy / "todo.yaml", "there", 1)
    assert codes(todo.parent.parent, copy) == []


@pytest.mark.parametrize(("more", "code"), [((), "unequal-digests"), (("c",), "forked-lineage")])
def test_two_folders_that_wrote_under_one_identity(todo, more, code):
    copy = copied(todo)
    (copy / ".tinysync/todo/device").unlink()
    client = new_client_id(0)
    for folder, value, later in ((todo, "a", ()), (copy / ".tinysync/todo", "b", more)):
        for number, update in enumerate(written(client, value, *later)):
            op_file(folder, f"99999999999{number}-00000001.ops", client, update)
    found = codes(todo.parent.parent, copy)
    assert code in found


def test_a_structure_that_is_open_is_not_taken_away(todo):
    copy = copied(todo)
    structure = track({}, "todo", folder=copy)
    result = here("doctor", todo.parent.parent, copy, "--repair")
    assert result.exit_code == 3
    assert f"is open in process {os.getpid()}" in result.stderr
    tracker(structure).close()


def test_a_folder_and_a_structure_of_one_name(place):
    tracker(track({}, "home")).close()
    tracker(track({}, "home/lights")).close()
    assert printed("doctor", "home") == "home: nothing is wrong.\n"
    assert printed("doctor", "home/lights") == "home/lights: nothing is wrong.\n"


def test_what_is_said_is_in_words(todo):
    """No error of Python's shows through, and nothing contradicts the repair."""
    (todo / "peers").write_bytes(b"")
    (finding,) = findings()
    assert finding["message"] == "peers is damaged"
    (todo / "peers").unlink()
    file = ops(todo)[0]
    data = file.read_bytes()
    file.write_bytes(data[:-10])
    torn = next(finding for finding in findings() if finding["finding"] == "torn-op-log")
    assert "killed before it acknowledged it, or the end of the file was lost" in torn["advice"]
    file.write_bytes(b"rubbish in its place")
    (finding,) = findings()
    assert finding["message"] == f"{file.name} is damaged where it begins, or is no file of tinysync"
    assert "left alone" not in finding["advice"]


def test_places(todo):
    assert "there are no structures in" in here("doctor", todo).stderr
    assert here("doctor", "tood").exit_code == 1
    with suppress(FileNotFoundError):
        shutil.rmtree(todo)
    result = run("doctor")
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
