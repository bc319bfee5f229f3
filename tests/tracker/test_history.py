"""What was: entries, earlier states, and bringing them back."""

from __future__ import annotations

import datetime as dt
import os
import socket
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.document.edits import edits
from tests.document.replicas import Replica, same
from tests.lengths import many
from tests.tracker.opened import assert_in_agreement, in_memory, open_in
from tinysync import History, Pickle, StructureClosed, UsageError, track, tracker
from tinysync.storage import compaction
from tinysync.tracker import disk
from tinysync.tracker import history as history_module

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture
def replica(tmp_path):
    replica = open_in(tmp_path, {"a": 1, "l": [1, 2], "d": {"x": {"y": 1}}, "s": {1}})
    yield replica
    replica.close()


def later():
    """Let the clock go on, so that what follows has another time."""
    begin = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == begin:
        time.sleep(0.0005)


def test_every_transaction_is_a_version(replica, tmp_path):
    d, t = replica.root, replica.handle
    before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
    d.a = 2
    with d:
        d.l.append(3)
        d.d.x.y = 5
        d.s.add(2)
        del d["a"]
    file = tmp_path / "conf.yaml"
    file.write_text(file.read_text().replace("y: 5", "y: 6"))
    d.new = {"z": [1]}
    entries = t.history()
    assert [entry.version for entry in entries] == [5, 4, 3, 2, 1]
    # The edit of the file may come in before or after the one that was made right behind it.
    assert sorted(entry.origin for entry in entries[:2]) == ["file", "local"]
    assert [entry.origin for entry in entries[2:]] == ["local", "local", "default"]
    paths = {entry.version: entry.paths for entry in entries}
    assert sorted(paths[1]) == [["a"], ["d"], ["l"], ["s"]]
    assert paths[2] == [["a"]]
    assert sorted(paths[3]) == [["a"], ["d", "x", "y"], ["l"], ["s"]]
    assert sorted([paths[4], paths[5]]) == [[["d", "x", "y"]], [["new"]]]
    assert len({entry.device for entry in entries}) == 1
    assert all(entry.when.tzinfo for entry in entries)
    assert all(before <= entry.when <= dt.datetime.now(dt.UTC) for entry in entries[:4])
    assert "default" in repr(entries[-1])


def test_earlier_states_by_version_and_by_time(replica):
    d, t = replica.root, replica.handle
    states = [{}, replica.snapshot()]
    for number in range(10):
        later()
        d.l.insert(0, number)
        states.append(replica.snapshot())
        later()
        d.d.x[f"k{number % 3}"] = {"n": [number]}
        states.append(replica.snapshot())
    assert [t.at(version) for version in range(22)] == states
    for entry in t.history():
        assert t.at(entry.when) == t.at(entry.when.astimezone(dt.UTC)) == states[entry.version]
        assert t.at(entry.when.replace(tzinfo=None)) == states[entry.version]
    assert t.at(dt.datetime.now(dt.UTC)) == d
    assert type(t.at(21)) is dict
    assert type(t.at(21)["d"]["x"]) is dict


@pytest.mark.parametrize("wrong", [-1, 3, "1", None, True, 1.0])
def test_versions_that_are_not_there(replica, wrong):
    replica.root.a = 2
    with pytest.raises(UsageError, match="version"):
        replica.handle.at(wrong)


def test_times_before_the_history(replica):
    with pytest.raises(UsageError, match="begins at"):
        replica.handle.at(dt.datetime(2001, 1, 1))  # noqa: DTZ001


def test_restoring_all_is_one_change_that_can_be_undone(replica):
    d, t = replica.root, replica.handle
    inner, before = d.d.x, replica.snapshot()
    d.d.x.y = 2
    d.l.reverse()
    d.b = 1
    del d["a"]
    d.s.discard(1)
    heard = []
    replica.notifier.add(heard.append)
    t.restore(at=1)
    assert same(d, before)
    assert d.d.x is inner
    assert len(heard) == 1
    t.undo()
    assert d == {"l": [2, 1], "d": {"x": {"y": 2}}, "s": set(), "b": 1}
    t.redo()
    assert same(d, before)
    assert_in_agreement(replica)
    versions = len(t.history())
    t.restore(at=1)
    assert len(t.history()) == versions


def test_restoring_a_part(replica):
    d, t = replica.root, replica.handle
    d.a = 2
    del d["d"]
    d.l[0] = 7
    d.l.append(8)
    t.restore(["d"], at=1)
    assert d == {"a": 2, "l": [7, 2, 8], "d": {"x": {"y": 1}}, "s": {1}}
    t.restore(["l", 0], at=1)
    assert d.l == [1, 2, 8]
    t.restore(("l",), at=1)
    assert d.l == [1, 2]
    t.restore(["a"], at=t.history()[-1].when)
    d.l.pop()
    t.restore(["l", 1], at=1)
    assert d.l == [1, 2]
    assert d == t.at(1)
    for path, words in [
        (["nothing"], "nothing at"),
        (["a", "b"], "nothing at"),
        (["s", 1], "restore the set"),
        ("a", "a path is a list"),
    ]:
        with pytest.raises(UsageError, match=words):
            t.restore(path, at=1)
    d.l.clear()
    with pytest.raises(UsageError, match="no place any more"):
        t.restore(["l", 1], at=1)
    del d["d"]
    with pytest.raises(UsageError, match=r"restore \['d'\] as a whole"):
        t.restore(["d", "x", "y"], at=1)


@pytest.mark.parametrize("start", [[1, {"a": 2}], {1, 1.5}])
def test_roots_that_are_no_dicts(tmp_path, start):
    replica = open_in(tmp_path, start)
    root, t = replica.root, replica.handle
    root.clear()
    root.append(5) if isinstance(root, list) else root.add(5)
    assert same(t.at(1), start)
    t.restore(at=1)
    assert same(root, start)
    assert t.history()[0].paths == [[]]
    replica.close()


def test_structures_without_a_history(tmp_path):
    unnamed, pickled = track({"a": 1}), track({"a": 1}, "p", persist=Pickle, folder=tmp_path)
    for structure in (unnamed, pickled):
        with pytest.raises(UsageError, match="no history"):
            tracker(structure).history()
        with pytest.raises(UsageError, match="no history"):
            tracker(structure).restore(at=1)
    tracker(pickled).close()
    closed = track({}, "c", folder=tmp_path)
    tracker(closed).close()
    with pytest.raises(UsageError, match="closed"):
        tracker(closed).history()
    assert issubclass(StructureClosed, UsageError)
    replica = in_memory({})
    with pytest.raises(UsageError, match="no history"):
        replica.handle.at(1)


def test_what_others_did_is_in_it(tmp_path):
    one, other = Replica({"a": 1}, tmp_path), Replica({"a": 1})
    other.root.b = {"c": 1}
    one.pull(other)
    other.root.b.c = 2
    one.pull(other)
    entries = one.replica.handle.history()
    assert [(entry.origin, entry.device) for entry in entries[:2]] == [("remote", "other")] * 2
    assert [entry.paths for entry in entries[:2]] == [[["b", "c"]], [["b"]]]
    assert one.replica.handle.at(2) == {"a": 1, "b": {"c": 1}}
    one.close()


@pytest.mark.parametrize("wrong", [{"days": -1}, {"megabytes": "1"}, {"days": float("nan")}, {"days": True}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(UsageError, match="of a History"):
        History(**wrong)
    with pytest.raises(UsageError, match="history="):
        track({}, "x", history=10)


STEPS = st.lists(
    edits
    | edits
    | edits
    | edits
    | st.lists(edits, max_size=3)
    | st.sampled_from(["reopen", "pull", "undo", "restore", "file", "other"]),
    max_size=30,
)
KEPT = st.sampled_from([History(), History(megabytes=0.002), History(megabytes=0.0005), History(days=0)])


@settings(max_examples=many(60))
@given(kept=KEPT, steps=STEPS, number=st.integers(0, 1000))
def test_versions_are_what_they_were_through_anything(kept, steps, number):
    limits = disk.COMPACT_RECORDS, compaction.CHUNK
    disk.COMPACT_RECORDS, compaction.CHUNK = 4, 400
    try:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            go_through(Path(folder), kept, steps, number)
    finally:
        disk.COMPACT_RECORDS, compaction.CHUNK = limits


def go_through(folder, kept, steps, number):
    start = {"a": {"b": 1, "c": [1, {"a": [2]}, [3]]}, "b": [1, 2, 3], "c": {1, "x"}}
    other = Replica(start)
    replica = open_in(folder, start, history=kept)
    states, known = {}, {}
    for step in steps:
        root, t = replica.root, replica.handle
        match step:
            case "reopen":
                replica.close()
                replica = open_in(folder, start, history=kept)
                root, t = replica.root, replica.handle
            case "pull":
                replica.receiver.receive(
                    other.document.diff(replica.document.state_vector()), "other", lambda _: None
                )
            case "other":
                other.root["b"] = [len(states)]
            case "undo":
                t.undo()
            case "restore":
                if known:
                    version = sorted(known)[number % len(known)]
                    if version in {entry.version for entry in t.history()}:
                        t.restore(at=version)
                        assert same(root, states.get(version, root))
            case "file":
                replica.edit_from_file(lambda root: root.update(a=len(states)))
            case list():
                with root:
                    for edit in step:
                        edit.on(root)
            case _:
                step.on(root)
        check(replica, states, known)
    replica.close()


def check(replica, states, known):
    """Compare the newest version with the structure, and all that are kept with what they were at first."""
    t = replica.handle
    entries = t.history()
    if entries:
        states[entries[0].version] = replica.snapshot()
        assert same(t.at(entries[0].version), replica.root)
    versions = [entry.version for entry in entries]
    assert versions == sorted(set(versions), reverse=True)
    for entry in entries:
        about = entry.when, entry.origin, entry.device
        assert known.setdefault(entry.version, about) == about
    for version in versions[:: max(1, len(versions) // 3)]:
        if version in states:
            assert same(t.at(version), states[version])
            assert all(isinstance(path, list) for path in entries[versions.index(version)].paths)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("order", ["newest first", "oldest first", "from the middle"])
def test_paths_are_the_same_in_whatever_order_they_are_asked_for(tmp_path, monkeypatch, order, compacted):
    monkeypatch.setattr(history_module, "_BLOCK", 3)
    conf = track({"a": {}}, "conf", folder=tmp_path)
    expected = [[["a"]]]
    for number in range(20):
        conf.a[f"k{number % 5}"] = {"n": number}
        expected.append([["a", f"k{number % 5}"] if number < 5 else ["a", f"k{number % 5}", "n"]])
    if compacted:
        tracker(conf).close()
        monkeypatch.setattr(disk, "COMPACT_RECORDS", 4)
        conf = track({}, "conf", folder=tmp_path)
        conf.a.later = 1
        expected.append([["a", "later"]])
    entries = tracker(conf).history()
    assert len(entries) == len(expected)
    numbers = list(range(len(entries)))
    if order == "oldest first":
        numbers.reverse()
    elif order == "from the middle":
        numbers = numbers[9:] + numbers[:9]
    for number in numbers:
        assert entries[number].paths == expected[-1 - number]
    assert [entry.paths for entry in entries[-3:]] == expected[2::-1]
    assert entries[-1] == entries[len(entries) - 1]
    with pytest.raises(IndexError):
        entries[len(entries)]
    tracker(conf).close()


def test_entries_show_what_they_are(replica):
    replica.presence.device = "laptop"
    replica.root.a = 2
    entry = replica.handle.history()[0]
    assert entry.device == "laptop"
    assert repr(entry).startswith("HistoryEntry(version=2, when=")
    assert repr(entry).endswith(" device='laptop', origin='local', paths=[['a']])")


def test_without_a_peer_this_device_goes_by_the_name_of_the_host(replica):
    assert replica.handle.history()[0].device == socket.gethostname()


def test_the_ends_of_time(replica):
    replica.root.a = 2
    for early in ("0001-01-01", "0001-01-01T00:00+00:00", "0001-01-01T00:00+05:00"):
        with pytest.raises(UsageError, match="begins at"):
            replica.handle.at(dt.datetime.fromisoformat(early))
    for late in ("9999-12-31T23:59", "9999-12-31T23:59+00:00", "9999-12-31T23:59-05:00"):
        assert replica.handle.at(dt.datetime.fromisoformat(late))["a"] == 2
