"""What is kept of the records that a snapshot took the place of: both storages, and crashes at every step."""

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import DamagedFileWarning
from tinysync.storage.history import first_missing
from tinysync.storage.names import document_paths
from tinysync.storage.oplog import FileOpLog
from tinysync.storage.oplog_contract import Retention
from tinysync.storage.oplog_memory import MemoryDisk, MemoryOpLog
from tinysync.storage.records import OpRecord

DAY = 86_400_000


def now_ms():
    return time.time_ns() // 1_000_000


def folded(updates):
    """Fold updates that are texts of words into one such."""
    return [b" ".join(updates)]


def everything(retention=10**9, days=30):
    return Retention(days * DAY, retention, folded)


@pytest.fixture(params=["memory", "files"])
def place(request, tmp_path):
    """Return what makes storages of one and the same place, given a retention."""
    if request.param == "memory":
        disk = MemoryDisk()
        return lambda retention: MemoryOpLog(disk, retention)
    return lambda retention: FileOpLog(document_paths("todo", tmp_path), "os", retention)


class Session:
    """A storage that is opened, with what it should hold: one word for each record."""

    def __init__(self, place, retention, words):
        self.storage = place(retention)
        self.storage.open()
        self.words = words

    def write(self, count=1, age_ms=0, size=0):
        for _ in range(count):
            word = b"w%d" % len(self.words) + b"x" * size
            self.words.append(word)
            self.storage.append(OpRecord("local", now_ms() - age_ms, 7, (word,), {"some": "meta"}))

    def compact(self):
        self.storage.compact(b" ".join(self.words))

    def check(self):
        """Return the past, after making sure that it is whole, and numbered as ever."""
        past = self.storage.past()
        assert words_of(past.start.updates) == self.words[: past.start.version]
        versions = [version for version, _ in past.records]
        assert versions == list(range(past.start.version + 1, len(self.words) + 1))
        assert [record.updates for _, record in past.records] == [(self.words[v - 1],) for v in versions]
        assert all(record.meta == {"some": "meta"} for _, record in past.records)
        assert words_of(past.later.updates) == self.words[: past.later.version]
        assert past.later.version >= past.start.version
        return past

    def close(self):
        self.storage.close()


def words_of(updates):
    return b" ".join(updates).split()


def test_what_was_compacted_can_still_be_read_under_its_version(place):
    words = []
    for sessions in range(4):
        session = Session(place, everything(), words)
        session.write(3)
        session.check()
        session.compact()
        past = session.check()
        assert (past.start.version, past.later.version) == (0, len(words))
        session.write(2)
        session.check()
        session.close()
        assert len(words) == 5 * (sessions + 1)


def test_only_so_many_bytes_are_kept_and_the_rest_is_in_the_state_before(place):
    words = []
    session = Session(place, everything(10_000), words)
    for _ in range(20):
        session.write(10, size=100)
        session.compact()
        past = session.check()
        kept = sum(len(record.updates[0]) for _, record in past.records)
        assert kept <= 10_000
        assert kept >= min(4_000, sum(map(len, words)))
    session.close()


def test_what_is_older_than_the_days_is_let_go(place):
    words = []
    session = Session(place, everything(days=2), words)
    session.write(4, age_ms=3 * DAY)
    session.write(4, age_ms=DAY)
    session.compact()
    assert session.check().start.version == 4
    session.close()
    session = Session(place, everything(), words)
    assert session.check().start.version == 4
    session.close()


def test_nothing_is_kept_where_nothing_is_asked_for(place):
    words = []
    for retention in (None, everything(0), everything(days=0)):
        session = Session(place, retention, words)
        session.write(3)
        session.compact()
        past = session.check()
        assert (past.records, past.start.version) == ([], len(words))
        session.close()


def test_the_past_begins_with_the_snapshot_where_none_was_kept_before(place):
    words = []
    session = Session(place, None, words)
    session.write(3)
    session.compact()
    session.close()
    session = Session(place, everything(), words)
    session.write(2)
    session.compact()
    session.write(2)
    assert session.check().start.version == 3
    session.compact()
    assert session.check().start.version == 3
    session.close()


def test_less_is_asked_for_than_is_kept(place):
    words = []
    session = Session(place, everything(), words)
    session.write(3)
    session.compact()
    session.close()
    storage = place(None)
    assert storage.open().past_due
    storage.compact(b" ".join(words))
    storage.close()
    assert not place(everything(0)).open().past_due


STEPS = st.sampled_from(["write", "write", "write", "old", "reopen", "compact", "large", "few", "none", "all"])
KEPT = {"few": everything(300), "none": None, "all": everything(), "": everything(2_000)}


@settings(max_examples=many(60), deadline=None)
@given(files=st.booleans(), steps=st.lists(STEPS, max_size=25))
def test_any_order_of_use_keeps_the_past_whole(tmp_path_factory, files, steps):
    disk, paths = MemoryDisk(), document_paths("todo", tmp_path_factory.mktemp("past"))
    words, retention = [], KEPT[""]

    def place(kept):
        return FileOpLog(paths, "os", kept) if files else MemoryOpLog(disk, kept)

    session = Session(place, retention, words)
    for step in steps:
        if step in ("write", "large"):
            session.write(size=200 if step == "large" else 0)
        elif step == "old":
            session.write(age_ms=40 * DAY)
        elif step == "compact":
            session.compact()
        else:
            session.close()
            retention = KEPT.get(step, retention)
            session = Session(place, retention, words)
        session.check()
    session.close()


# --- files only -------------------------------------------------------------------------------------------


@pytest.fixture
def paths(tmp_path):
    return document_paths("todo", tmp_path)


def with_past(paths):
    words = []
    session = Session(lambda retention: FileOpLog(paths, "os", retention), everything(1000), words)
    for _ in range(3):
        session.write(5, size=100)
        session.compact()
    session.write(1)
    session.close()
    return words


@pytest.mark.parametrize("name", ["base-*.past", "0*.past"])
@pytest.mark.parametrize("damage", ["lost", "cut", "flipped", "empty", "header", "first"])
def test_damage_of_the_past_costs_no_more_than_the_past(paths, name, damage):
    words = with_past(paths)
    path = min(paths.state.glob(name))
    data = path.read_bytes()
    length = int.from_bytes(data[8:12], "little")
    match damage:
        case "lost":
            path.unlink()
        case "cut":
            path.write_bytes(data[:-5])
        case "flipped":
            path.write_bytes(data[:30] + b"!" + data[31:])
        case "empty":
            path.write_bytes(b"")
        case "header":
            path.write_bytes(data[:8])
        case "first":
            path.write_bytes(data[:8] + data[8 + 8 + length :])
    session = Session(lambda retention: FileOpLog(paths, "os", retention), everything(), words)
    with pytest.warns(DamagedFileWarning, match="history from before"):
        past = session.check()
    assert past.start.version == 15
    session.compact()
    assert session.check().start.version == 15
    session.close()


def test_what_is_missing_behind_a_whole_record_is_told(paths):
    """The end of a file is gone where the next record began; all of these were made in one millisecond."""
    words = []
    session = Session(lambda retention: FileOpLog(paths, "os", retention), everything(), words)
    moment = now_ms()
    for _ in range(5):
        words.append(b"w%d" % len(words))
        session.storage.append(OpRecord("local", moment, 7, (words[-1],), {"some": "meta"}))
    session.compact()
    session.write(1)
    (path,) = paths.state.glob("*.past")
    data = path.read_bytes()
    end = 8
    for _ in range(3):
        end += 8 + int.from_bytes(data[end : end + 4], "little")
    path.write_bytes(data[:end])
    with pytest.warns(DamagedFileWarning, match="lacks version 4.* to 5 cannot be shown"):
        past = session.storage.past()
    assert first_missing(past) == 4
    assert [version for version, _ in past.records] == [1, 2, 3, 6]
    session.close()


def test_opening_reads_no_file_of_the_past(paths):
    words = with_past(paths)
    for path in paths.state.glob("*.past"):
        path.write_bytes(b"not read")
    storage = FileOpLog(paths, "os", everything(1000))
    assert [words_of(record.updates) for record in storage.open().records] == [words[:15], words[15:]]
    storage.close()


def test_what_an_older_version_compacted_has_no_past(paths):
    """A snapshot as it was written before there was a history."""
    words = with_past(paths)
    (snapshot,) = paths.state.glob("snapshot-*")
    data = snapshot.read_bytes()
    length = int.from_bytes(data[8:12], "little")
    second = 8 + 8 + length
    snapshot.write_bytes(data[: second + 8 + int.from_bytes(data[second : second + 4], "little")])
    storage = FileOpLog(paths, "os", everything())
    storage.open()
    assert not list(paths.state.glob("*.past"))
    past = storage.past()
    assert (past.start.version, words_of(past.start.updates)) == (0, words[:15])
    assert [record.updates[0] for _, record in past.records] == words[15:]
    storage.close()


@pytest.fixture
def in_memory():
    """A folder that is in memory where the system has one: no disk can keep up with so many deaths."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_kill_9_at_every_step_of_compactions_loses_nothing(in_memory):
    # A process that is killed before the n-th thing that it does to a file, for every n.
    script = """
        import os, signal, sys
        from tests.storage.test_past import Session, everything
        from tinysync.storage import compaction
        from tinysync.storage.names import document_paths
        from tinysync.storage.oplog import FileOpLog
        compaction.CHUNK = 300
        armed, step, last = False, 0, 0
        EVENTS = "open", "os.rename", "os.remove", "os.truncate", "os.mkdir"
        def die(event, arguments):
            global step
            if armed and event in EVENTS and sys.argv[1] in str(arguments):
                step += 1
                if step == last:
                    os.kill(os.getpid(), signal.SIGKILL)
        def work(folder):
            paths = document_paths("todo", folder)
            acknowledged = os.open(os.path.join(folder, "acknowledged"), os.O_WRONLY | os.O_CREAT)
            words = []
            for kept in (1000, 500, 500):
                session = Session(lambda r: FileOpLog(paths, "os", r), everything(kept), words)
                for size in (100, 200):
                    session.write(2, size=size)
                    os.pwrite(acknowledged, b"%06d" % len(words), 0)
                    session.compact()
                session.write(1)
                os.pwrite(acknowledged, b"%06d" % len(words), 0)
                session.close()
        sys.addaudithook(die)
        while True:
            last += 1
            folder = os.path.join(sys.argv[1], "%03d" % last)
            os.mkdir(folder)
            child = os.fork()
            if not child:
                armed = True
                work(folder)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status != -signal.SIGKILL:
                sys.exit(status)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(in_memory)]
    subprocess.run(command, check=True, timeout=200, cwd=Path.cwd())
    folders = sorted(path for path in in_memory.iterdir() if path.name.isdecimal())
    assert len(folders) > 100
    for folder in folders:
        printed = folder / "acknowledged"
        acknowledged = int(printed.read_text() or 0) if printed.exists() else 0
        storage = FileOpLog(document_paths("todo", folder), "os", everything(700))
        storage.open()
        past = storage.past()
        newer = [record.updates[0] for version, record in past.records if version > past.later.version]
        words = words_of([*past.later.updates, *newer])
        # What was being written at the moment of the kill may be there.
        assert acknowledged <= len(words) <= acknowledged + 2
        session = Session.__new__(Session)
        session.storage, session.words = storage, words
        session.check()
        session.write(2)
        session.compact()
        session.check()
        names = {path.name for path in folder.rglob("*.past")}
        session.close()
        assert not list(folder.rglob("*.tmp"))
        # Nothing is left of what was cut short.
        (snapshot,) = folder.rglob("snapshot-*")
        assert all(name.encode() in snapshot.read_bytes() for name in names)
    assert acknowledged == 15
