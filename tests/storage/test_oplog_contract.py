"""What both op logs promise, on one and the same suite."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import DocumentInUse, StorageError
from tinysync.storage.names import document_paths
from tinysync.storage.oplog import FileOpLog
from tinysync.storage.oplog_contract import SNAPSHOT_KIND
from tinysync.storage.oplog_memory import MemoryDisk, MemoryOpLog
from tinysync.storage.records import OpRecord


@pytest.fixture(params=["memory", "os", "disk"])
def new_log(request, tmp_path):
    """Return what makes op logs of one and the same place."""
    if request.param == "memory":
        disk = MemoryDisk()
        return lambda: MemoryOpLog(disk)
    return lambda: FileOpLog(document_paths("home/lights", tmp_path), request.param)


def record(number):
    return OpRecord("local", 1_700_000_000_000 + number, 2**52 + number, (b"update %d" % number,), {"n": number})


def test_a_new_place_is_empty(new_log):
    log = new_log()
    opened = log.open()
    assert (opened.records, opened.existed, opened.file_bytes) == ([], False, 0)
    assert len(opened.device) == 32
    log.close()
    assert new_log().open().device == opened.device


def test_what_was_appended_is_there_after_reopening(new_log):
    log = new_log()
    log.open()
    records = [record(n) for n in range(20)]
    for each in records:
        log.append(each)
    log.close()
    opened = new_log().open()
    assert opened.records == records
    assert opened.existed
    assert opened.file_bytes > 0


def test_every_session_adds_to_those_before(new_log):
    for n in range(5):
        log = new_log()
        assert log.open().records == [record(m) for m in range(n)]
        log.append(record(n))
        log.close()


def test_a_session_that_only_looks_leaves_nothing(new_log):
    for _ in range(3):
        log = new_log()
        assert not log.open().existed
        log.close()


def test_rereading_gives_what_was_there_and_what_was_appended(new_log):
    log = new_log()
    log.open()
    log.append(record(1))
    log.close()
    log = new_log()
    log.open()
    log.append(record(2))
    assert log.reread() == [record(1), record(2)]
    log.append(record(3))
    assert log.reread() == [record(1), record(2), record(3)]


def test_compacting_puts_one_update_in_the_place_of_all(new_log):
    log = new_log()
    log.open()
    for n in range(3):
        log.append(record(n))
    log.compact(b"all of it")
    (snapshot,) = log.reread()
    assert (snapshot.kind, snapshot.updates) == (SNAPSHOT_KIND, (b"all of it",))
    log.append(record(3))
    log.close()
    log = new_log()
    opened = log.open()
    assert opened.existed
    assert opened.records == [snapshot, record(3)]
    log.compact(b"and more")
    log.compact(b"and more")
    log.close()
    assert [r.updates for r in new_log().open().records] == [(b"and more",)]


def test_a_compacted_nothing_exists(new_log):
    log = new_log()
    log.open()
    log.compact(b"\0\0")
    log.close()
    assert new_log().open().existed


def test_only_one_at_a_time(new_log):
    log = new_log()
    log.open()
    log.append(record(1))
    with pytest.raises(DocumentInUse, match="already open in this process"):
        new_log().open()
    with pytest.raises(DocumentInUse):
        log.open()
    log.append(record(2))
    log.close()
    assert new_log().open().records == [record(1), record(2)]


def test_a_refused_one_takes_nothing_with_it_when_it_closes(new_log):
    log, refused = new_log(), new_log()
    log.open()
    with pytest.raises(DocumentInUse):
        refused.open()
    refused.close()
    with pytest.raises(DocumentInUse):
        new_log().open()


def test_closing_twice_and_before_opening_is_fine(new_log):
    log = new_log()
    log.close()
    log.open()
    log.close()
    log.close()
    log.open()


@pytest.mark.parametrize("use", [lambda s: s.append(record(1)), lambda s: s.reread(), lambda s: s.compact(b"x")])
def test_a_closed_one_refuses(new_log, use):
    log = new_log()
    with pytest.raises(StorageError, match="not open"):
        use(log)
    log.open()
    log.close()
    with pytest.raises(StorageError, match="not open"):
        use(log)


def test_a_record_is_kept_as_it_is(new_log):
    log = new_log()
    log.open()
    meta = {"device": "abc", "deep": [1, {"x": None, "y": 2.5}], "bytes": b"\0\xff", "text": "ä"}
    each = OpRecord("remote", 2**47, 2**53 - 1, (b"", b"\0", b"x" * 100_000), meta)
    log.append(each)
    meta["device"] = "changed after it was appended"
    (got,) = log.reread()
    assert got == OpRecord(each.kind, each.time_ms, each.client, each.updates, {**meta, "device": "abc"})


@settings(deadline=None)
@given(steps=st.lists(st.sampled_from(["append", "append", "append", "reopen", "reread", "compact"]), max_size=25))
def test_any_order_of_use_agrees_with_a_list(steps):
    disk = MemoryDisk()
    agree_with_a_list(lambda: MemoryOpLog(disk), steps)


@settings(max_examples=many(40))
@given(steps=st.lists(st.sampled_from(["append", "append", "append", "reopen", "reread", "compact"]), max_size=12))
def test_any_order_of_use_agrees_with_a_list_on_disk(tmp_path_factory, steps):
    paths = document_paths("todo", tmp_path_factory.mktemp("steps"))
    agree_with_a_list(lambda: FileOpLog(paths), steps)


def agree_with_a_list(new_log, steps):
    expected = []
    log = new_log()
    log.open()
    for number, step in enumerate(steps):
        if step == "append":
            log.append(record(number))
            expected.append(record(number).updates)
        elif step == "compact":
            update = b"snapshot %d" % number
            log.compact(update)
            expected = [(update,)]
        elif step == "reread":
            assert [r.updates for r in log.reread()] == expected
        else:
            log.close()
            log = new_log()
            assert [r.updates for r in log.open().records] == expected
    log.close()
