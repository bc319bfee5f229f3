"""What both op logs promise, on one and the same suite."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import StorageError
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


# --- several sessions at a time ---------------------------------------------------------------------------


@pytest.fixture
def two(new_log):
    """Two sessions that are open at the same time, each with a record of its own that the other has read."""
    one, other = new_log(), new_log()
    one.open()
    one.append(record(1))
    assert other.open().records == [record(1)]
    other.append(record(2))
    assert one.tail() == [record(2)]
    yield one, other
    one.close()
    other.close()


def test_each_sees_what_the_other_appends_once(two):
    one, other = two
    assert not one.news()
    assert not other.news()
    assert (one.tail(), other.tail()) == ([], [])
    for n in range(3, 6):
        one.append(record(n))
        assert not one.news()
    assert other.news()
    assert other.tail() == [record(n) for n in range(3, 6)]
    assert not other.news()
    one.append(record(6))
    other.append(record(7))
    assert other.tail() == [record(6)]
    assert one.tail() == [record(7)]


def test_a_session_that_is_open_is_not_opened_again(two):
    with pytest.raises(StorageError, match="open"):
        two[0].open()
    two[0].append(record(3))
    assert two[1].tail() == [record(3)]


def test_rereading_gives_what_was_seen_of_others_and_no_more(two):
    one, other = two
    other.append(record(3))
    assert sorted(r.time_ms for r in one.reread()) == [record(n).time_ms for n in (1, 2)]
    assert one.tail() == [record(3)]
    one.append(record(4))
    assert sorted(r.time_ms for r in one.reread()) == [record(n).time_ms for n in (1, 2, 3, 4)]


def test_what_was_seen_is_not_news_after_the_other_has_gone(new_log, two):
    one, other = two
    other.append(record(3))
    other.close()
    assert one.tail() == [record(3)]
    third = new_log()
    assert len(third.open().records) == 3
    assert not one.news()
    third.append(record(4))
    assert one.tail() == [record(4)]
    third.close()


def test_compacting_leaves_the_records_of_others_that_live(new_log, two):
    one, other = two
    other.append(record(3))
    one.compact(b"1 and 2")
    assert one.tail() == [record(3)]
    one.append(record(4))
    other.append(record(5))
    # It knows what the compacted state covers, and may be told of that or not.
    assert [r for r in other.tail() if r.kind != SNAPSHOT_KIND] == [record(4)]
    third = new_log()
    records = third.open().records
    assert {r.updates for r in records} == {(b"1 and 2",), *(record(n).updates for n in (2, 3, 4, 5))}
    third.compact(b"all that the dead left")
    third.close()
    for log in (one, other):
        log.append(record(6))
        log.close()
    log = new_log()
    assert {r.updates for r in log.open().records} >= {record(n).updates for n in (2, 3, 4, 5, 6)}
    log.compact(b"all")
    assert [r.updates for r in log.reread()] == [(b"all",)]
    log.close()


def test_a_compacted_state_brings_what_was_not_seen_before(new_log, two):
    one, other = two
    other.append(record(3))
    one.tail()
    one.append(record(4))
    other.close()
    one.compact(b"1 to 4")
    third = new_log()
    third.open()
    third.append(record(5))
    third.tail()
    one.append(record(6))
    one.compact(b"1 to 4, 6")
    assert (b"1 to 4, 6",) in [r.updates for r in third.tail()]
    third.close()


def test_compacting_while_others_compact(new_log):
    logs = [new_log() for _ in range(3)]
    for number, log in enumerate(logs):
        log.open()
        log.append(record(number))
    for log in logs:
        log.tail()
        log.compact(b" ".join(r.updates[0] for r in log.reread()))
    for log in logs:
        log.close()
    log = new_log()
    there = b" ".join(r.updates[0] for r in log.open().records)
    assert all(record(n).updates[0] in there for n in range(3))


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
