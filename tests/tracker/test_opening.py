"""Opening what was compacted: from what was prepared for it, if that is certainly one's own."""

from __future__ import annotations

import pytest

from tinysync import track, tracker
from tinysync.storage import prepared as prepared_files
from tinysync.storage.names import document_paths
from tinysync.storage.oplog import FileOpLog
from tinysync.tracker import disk

CONTENT = {
    "records": {f"r{number}": {"name": f"n{number}", "tags": {"a", number}, "sizes": [number, {"x": 1.0}]}
                for number in range(50)},
    "keys": {1: "one", (1, 2): "two", "~": None, 2.5: b"x"},
    "moved": list(range(10)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def compact_all(monkeypatch):
    monkeypatch.setattr(disk, "COMPACT_RECORDS", 0)
    monkeypatch.setattr(prepared_files, "MIN_BYTES", 100)


@pytest.fixture
def compacted(tmp_path):
    """A folder with a snapshot that was prepared for."""
    first = track(CONTENT, "conf", folder=tmp_path)
    first.moved.move(0, 7)
    first.moved[3] = {"assigned": [1]}
    tracker(first).close()
    tracker(track({}, "conf", folder=tmp_path)).close()
    return tmp_path


def expected():
    content = {**CONTENT, "moved": list(range(10))}
    content["moved"].insert(7, content["moved"].pop(0))
    content["moved"][3] = {"assigned": [1]}
    return content


def opened(folder):
    log = FileOpLog(document_paths("conf", folder))
    found = log.open()
    log.close()
    return found


def the_prepared(folder):
    (path,) = (folder / ".tinysync" / "conf").glob("prepared-*")
    return path


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_prepared_is_used_and_shows_the_same(compacted, monkeypatch):
    monkeypatch.setattr(disk, "COMPACT_RECORDS", 1000)
    assert opened(compacted).prepared is not None
    conf = track({}, "conf", folder=compacted)
    assert conf == expected() == tracker(conf).snapshot()
    assert list(conf) == sorted(expected())
    assert type(conf["keys"][1]) is str
    assert type(conf.records.r3.sizes[1].x) is float
    conf.records.r3.sizes[1].x = 5
    conf.moved[3].assigned.append(2)
    conf.moved.move(7, 0)
    conf.records.new = {"name": "new"}
    del conf.records["r1"]
    tracker(conf).close()
    later = track({}, "conf", folder=compacted)  # the rest comes from an op file
    content = expected()
    content["records"]["r3"] = content["records"]["r3"] | {"sizes": [3, {"x": 5}]}
    content["moved"][3]["assigned"].append(2)
    content["moved"].insert(0, content["moved"].pop(7))
    content["records"]["new"] = {"name": "new"}
    del content["records"]["r1"]
    assert later == content
    assert list(later.records) == sorted(later.records)
    tracker(later).close()


def test_a_folder_that_comes_from_elsewhere_is_checked_and_prepared_anew(compacted, monkeypatch, tmp_path):
    monkeypatch.setattr(disk, "COMPACT_RECORDS", 1000)
    elsewhere = str(tmp_path.with_name("other user"))
    monkeypatch.setenv("XDG_STATE_HOME", elsewhere)
    monkeypatch.setenv("LOCALAPPDATA", elsewhere)
    foreign = opened(compacted)
    assert foreign.prepared is None
    assert foreign.unprepared
    before = files(compacted)
    conf = track({}, "conf", folder=compacted)
    assert conf == expected()
    tracker(conf).close()
    assert opened(compacted).prepared is not None
    # Nothing else was written, and whose it was before still has what was prepared there.
    assert len(files(compacted).items() - before.items()) == 1
    assert files(compacted).items() >= before.items()
    monkeypatch.undo()
    monkeypatch.setattr(prepared_files, "MIN_BYTES", 100)
    assert opened(compacted).prepared is not None


@pytest.mark.parametrize("where", [0, 3, 12, 60, -1])
def test_what_was_prepared_does_not_count_with_a_byte_changed(compacted, where):
    path = the_prepared(compacted)
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    assert opened(compacted).prepared is None
    conf = track({}, "conf", folder=compacted)
    assert conf == expected()
    tracker(conf).close()


def test_a_snapshot_that_another_one_was_prepared_for_is_checked(compacted, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    tracker(track(CONTENT | {"more": 1}, "conf", folder=other)).close()
    tracker(track({}, "conf", folder=other)).close()
    (snapshot,) = (compacted / ".tinysync" / "conf").glob("snapshot-*")
    (strange,) = (other / ".tinysync" / "conf").glob("snapshot-*")
    snapshot.write_bytes(strange.read_bytes())
    assert opened(compacted).prepared is None


def test_without_a_place_for_the_secret_all_is_checked_each_time(compacted, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "file"))
    found = opened(compacted)
    assert (found.prepared, found.unprepared) == (None, False)
    conf = track({}, "conf", folder=compacted)
    assert conf == expected()
    tracker(conf).close()


def test_opening_what_is_in_step_writes_nothing(tmp_path, monkeypatch):
    large = {f"key{number}": "x" * 90 for number in range(1000)}
    tracker(track(large, "conf", folder=tmp_path)).close()
    tracker(track({}, "conf", folder=tmp_path)).close()  # compacts
    tracker(track({}, "conf", folder=tmp_path)).close()  # writes the file, or notes that it need not
    monkeypatch.setattr(disk, "COMPACT_RECORDS", 1000)
    before = files(tmp_path)
    conf = track({}, "conf", folder=tmp_path)
    tracker(conf).close()
    assert files(tmp_path) == before
    conf = track({}, "conf", folder=tmp_path)
    conf.key1 = 5
    tracker(conf).close()
    assert "key1: 5\n" in (tmp_path / "conf.yaml").read_text()
    edited = (tmp_path / "conf.yaml").read_text().replace("key1: 5", "key1: 6")
    (tmp_path / "conf.yaml").write_text(edited)
    conf = track({}, "conf", folder=tmp_path)
    assert conf.key1 == 6
    tracker(conf).close()


def test_a_change_that_the_readable_file_never_got_is_written_at_the_next_opening(tmp_path):
    large = {f"key{number}": "x" * 90 for number in range(1000)}
    tracker(track(large, "conf", folder=tmp_path)).close()
    conf = track({}, "conf", folder=tmp_path)
    tracker(conf).close()
    old = files(tmp_path)
    conf = track({}, "conf", folder=tmp_path)
    conf.key1 = 5
    tracker(conf).close()
    # As if the process had been killed before it wrote the file and what it notes about it.
    for path in (tmp_path / "conf.yaml", tmp_path / ".tinysync" / "conf" / "base"):
        path.write_bytes(old[path])
    conf = track({}, "conf", folder=tmp_path)
    assert conf.key1 == 5
    tracker(conf).close()
    assert "key1: 5\n" in (tmp_path / "conf.yaml").read_text()
