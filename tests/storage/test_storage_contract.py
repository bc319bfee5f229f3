"""What both storages promise, on one and the same suite."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import DocumentInUse, StorageError
from tinysync.storage.contract import SNAPSHOT_KIND
from tinysync.storage.memory import MemoryDisk, MemoryStorage
from tinysync.storage.names import document_paths
from tinysync.storage.oplog import FileStorage
from tinysync.storage.records import OpRecord


@pytest.fixture(params=["memory", "os", "disk"])
def new_storage(request, tmp_path):
    """Return what makes storages of one and the same place."""
    if request.param == "memory":
        disk = MemoryDisk()
        return lambda: MemoryStorage(disk)
    return lambda: FileStorage(document_paths("home/lights", tmp_path), request.param)


def record(number):
    return OpRecord("local", 1_700_000_000_000 + number, 2**52 + number, (b"update %d" % number,), {"n": number})


def test_a_new_place_is_empty(new_storage):
    storage = new_storage()
    opened = storage.open()
    assert (opened.records, opened.existed, opened.file_bytes) == ([], False, 0)
    assert len(opened.device) == 32
    storage.close()
    assert new_storage().open().device == opened.device


def test_what_was_appended_is_there_after_reopening(new_storage):
    storage = new_storage()
    storage.open()
    records = [record(n) for n in range(20)]
    for each in records:
        storage.append(each)
    storage.close()
    opened = new_storage().open()
    assert opened.records == records
    assert opened.existed
    assert opened.file_bytes > 0


def test_every_session_adds_to_those_before(new_storage):
    for n in range(5):
        storage = new_storage()
        assert storage.open().records == [record(m) for m in range(n)]
        storage.append(record(n))
        storage.close()


def test_a_session_that_only_looks_leaves_nothing(new_storage):
    for _ in range(3):
        storage = new_storage()
        assert not storage.open().existed
        storage.close()


def test_rereading_gives_what_was_there_and_what_was_appended(new_storage):
    storage = new_storage()
    storage.open()
    storage.append(record(1))
    storage.close()
    storage = new_storage()
    storage.open()
    storage.append(record(2))
    assert storage.reread() == [record(1), record(2)]
    storage.append(record(3))
    assert storage.reread() == [record(1), record(2), record(3)]


def test_compacting_puts_one_update_in_the_place_of_all(new_storage):
    storage = new_storage()
    storage.open()
    for n in range(3):
        storage.append(record(n))
    storage.compact(b"all of it")
    (snapshot,) = storage.reread()
    assert (snapshot.kind, snapshot.updates) == (SNAPSHOT_KIND, (b"all of it",))
    storage.append(record(3))
    storage.close()
    storage = new_storage()
    opened = storage.open()
    assert opened.existed
    assert opened.records == [snapshot, record(3)]
    storage.compact(b"and more")
    storage.compact(b"and more")
    storage.close()
    assert [r.updates for r in new_storage().open().records] == [(b"and more",)]


def test_a_compacted_nothing_exists(new_storage):
    storage = new_storage()
    storage.open()
    storage.compact(b"\0\0")
    storage.close()
    assert new_storage().open().existed


def test_only_one_at_a_time(new_storage):
    storage = new_storage()
    storage.open()
    storage.append(record(1))
    with pytest.raises(DocumentInUse, match="already open in this process"):
        new_storage().open()
    with pytest.raises(DocumentInUse):
        storage.open()
    storage.append(record(2))
    storage.close()
    assert new_storage().open().records == [record(1), record(2)]


def test_a_refused_one_takes_nothing_with_it_when_it_closes(new_storage):
    storage, refused = new_storage(), new_storage()
    storage.open()
    with pytest.raises(DocumentInUse):
        refused.open()
    refused.close()
    with pytest.raises(DocumentInUse):
        new_storage().open()


def test_closing_twice_and_before_opening_is_fine(new_storage):
    storage = new_storage()
    storage.close()
    storage.open()
    storage.close()
    storage.close()
    storage.open()


@pytest.mark.parametrize("use", [lambda s: s.append(record(1)), lambda s: s.reread(), lambda s: s.compact(b"x")])
def test_a_closed_one_refuses(new_storage, use):
    storage = new_storage()
    with pytest.raises(StorageError, match="not open"):
        use(storage)
    storage.open()
    storage.close()
    with pytest.raises(StorageError, match="not open"):
        use(storage)


def test_a_record_is_kept_as_it_is(new_storage):
    storage = new_storage()
    storage.open()
    meta = {"device": "abc", "deep": [1, {"x": None, "y": 2.5}], "bytes": b"\0\xff", "text": "ä"}
    each = OpRecord("remote", 2**47, 2**53 - 1, (b"", b"\0", b"x" * 100_000), meta)
    storage.append(each)
    meta["device"] = "changed after it was appended"
    (got,) = storage.reread()
    assert got == OpRecord(each.kind, each.time_ms, each.client, each.updates, {**meta, "device": "abc"})


@settings(deadline=None)
@given(steps=st.lists(st.sampled_from(["append", "append", "append", "reopen", "reread", "compact"]), max_size=25))
def test_any_order_of_use_agrees_with_a_list(steps):
    disk = MemoryDisk()
    agree_with_a_list(lambda: MemoryStorage(disk), steps)


@settings(max_examples=many(40))
@given(steps=st.lists(st.sampled_from(["append", "append", "append", "reopen", "reread", "compact"]), max_size=12))
def test_any_order_of_use_agrees_with_a_list_on_disk(tmp_path_factory, steps):
    paths = document_paths("todo", tmp_path_factory.mktemp("steps"))
    agree_with_a_list(lambda: FileStorage(paths), steps)


def agree_with_a_list(new_storage, steps):
    expected = []
    storage = new_storage()
    storage.open()
    for number, step in enumerate(steps):
        if step == "append":
            storage.append(record(number))
            expected.append(record(number).updates)
        elif step == "compact":
            update = b"snapshot %d" % number
            storage.compact(update)
            expected = [(update,)]
        elif step == "reread":
            assert [r.updates for r in storage.reread()] == expected
        else:
            storage.close()
            storage = new_storage()
            assert [r.updates for r in storage.open().records] == expected
    storage.close()
