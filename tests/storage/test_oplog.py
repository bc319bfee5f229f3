"""What is particular to files: locks, failures of the disk, damage, and crashes."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from tinysync.errors import DamagedFileWarning, DocumentInUse, StorageError
from tinysync.storage import oplog
from tinysync.storage.lock import FileLock, FolderLock
from tinysync.storage.names import document_paths
from tinysync.storage.oplog import FileOpLog
from tinysync.storage.records import HEADER_SIZE, OpRecord

unix = pytest.mark.skipif(sys.platform == "win32", reason="needs limits and signals of Unix")


@pytest.fixture
def paths(tmp_path):
    return document_paths("todo", tmp_path)


def record(number, size=20):
    return OpRecord("local", 1000 + number, 7, (b"%d:" % number + b"x" * size,), {})


def filled(paths, count=10):
    """Write records in one session; return its op file."""
    log = FileOpLog(paths)
    log.open()
    for n in range(count):
        log.append(record(n))
    log.close()
    return newest_ops(paths)


def newest_ops(paths):
    return max(paths.state.glob("*.ops"))


def reopened(paths):
    log = FileOpLog(paths)
    try:
        return log.open().records
    finally:
        log.close()


def run(script, *arguments):
    """Start a program of its own that has tinysync's names and ``paths``."""
    prelude = """
        import os, sys
        from tinysync.storage.names import document_paths
        from tinysync.storage.oplog import FileOpLog
        from tinysync.storage.records import OpRecord
        paths = document_paths("todo", sys.argv[1])
        log = FileOpLog(paths)
        def record(number, size=20):
            return OpRecord("local", 1000 + number, 7, (b"%d:" % number + b"x" * size,), {})
    """
    code = textwrap.dedent(prelude) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


# --- several processes ------------------------------------------------------------------------------------


def test_processes_share_a_folder(tmp_path, paths):
    script = """
        log.open(); log.append(record(1)); print("ready", flush=True)
        sys.stdin.readline(); print(len(log.tail()), flush=True)
        sys.stdin.read(); log.append(record(3)); log.close()
    """
    with run(script, tmp_path) as other:
        assert other.stdout.readline() == "ready\n"
        log = FileOpLog(paths)
        assert log.open().records == [record(1)]
        log.append(record(2))
        print(file=other.stdin, flush=True)
        assert other.stdout.readline() == "1\n"
        log.compact(b"1 and 2")
        other.stdin.close()
        other.wait()
    assert log.tail() == [record(3)]
    log.compact(b"all")
    log.close()
    assert [r.updates for r in reopened(paths)] == [(b"all",)]
    assert not list(paths.state.glob("live-*"))
    assert len(list(paths.state.glob("*.ops"))) == 0


def test_a_file_that_was_made_in_the_moment_of_an_interrupt_is_deleted_on_closing(paths, monkeypatch):
    made = []

    def interrupted(path, *arguments):
        made.append(path)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        raise KeyboardInterrupt

    log = FileOpLog(paths)
    log.open()
    log.append(record(1))
    log.reread()
    with monkeypatch.context() as patch:
        patch.setattr(oplog, "AppendFile", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                log.append(record(2))
    log.append(record(3))
    log.close()
    assert len(made) == 2
    assert not any(path.exists() for path in made)
    assert len(list(paths.state.glob("*.ops"))) == 2
    assert reopened(paths) == [record(1), record(3)]


def test_a_killed_process_is_no_session_any_more(tmp_path, paths):
    script = "log.open(); log.append(record(1)); print('ready', flush=True); sys.stdin.read()"
    with run(script, tmp_path) as holder:
        assert holder.stdout.readline() == "ready\n"
        holder.kill()
    newest_ops(paths).write_bytes(newest_ops(paths).read_bytes() + b"half a rec")
    with pytest.warns(DamagedFileWarning, match="interrupted"):
        assert reopened(paths) == [record(1)]
    assert not list(paths.state.glob("live-*"))


def test_what_a_living_session_is_just_writing_is_left_alone(paths):
    one, other = FileOpLog(paths), FileOpLog(paths)
    one.open()
    one.append(record(0))
    ops = newest_ops(paths)
    data = ops.read_bytes()
    one.append(record(1))
    whole = ops.read_bytes()
    ops.write_bytes(data)
    assert other.open().records == [record(0)]
    for cut in range(len(data), len(whole)):
        ops.write_bytes(whole[:cut])
        assert reopened(paths) == [record(0)]
        assert other.tail() == []
        assert ops.stat().st_size == cut
    one.close()
    ops.write_bytes(whole + b"half a rec")
    with pytest.warns(DamagedFileWarning, match="interrupted"):
        other.compact(b"only the first was read, and its writer is gone")
    assert ops.read_bytes() == whole
    assert other.tail() == [record(1)]
    other.compact(b"both")
    assert not ops.exists()
    other.close()


def test_a_session_never_takes_the_name_of_a_file_again(paths, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: 5_000_000_000)
    log = FileOpLog(paths)
    log.open()
    for n in range(4):
        log.append(record(n))
        log.compact(b"up to %d" % n)
    log.append(record(9))
    log.close()
    assert [r.updates for r in reopened(paths)] == [(b"up to 3",), record(9).updates]


def test_a_version_that_shares_in_another_way_is_named(paths):
    filled(paths, 1)
    sign = FileLock(paths.state / "live-7-12345-0123abcd")
    assert sign.try_acquire()
    with pytest.raises(DocumentInUse, match=f"{paths.readable} is open in process 12345, in a version"):
        FileOpLog(paths).open()
    sign.close()
    assert reopened(paths) == [record(0)]


def test_a_folder_that_somebody_holds_for_long(paths, monkeypatch):
    filled(paths, 1)
    monkeypatch.setattr("tinysync.storage.oplog.PATIENCE", 0.05)
    with FolderLock(paths.state).held(0), pytest.raises(DocumentInUse, match="locked by another process"):
        FileOpLog(paths).open()
    assert reopened(paths) == [record(0)]


def test_the_lock_of_a_folder_is_one_whoever_deletes_its_file(paths):
    paths.state.mkdir(parents=True)
    one, other = FolderLock(paths.state), FolderLock(paths.state)
    with one.held(0), one.held(0), pytest.raises(DocumentInUse), other.held(0):
        pass
    (paths.state / "lock").unlink()
    with other.held(0), pytest.raises(DocumentInUse), one.held(0.01):
        pass
    with one.held(0):
        pass


@unix
def test_a_forked_child_holds_no_locks(tmp_path, paths):
    script = """
        import time
        log.open(); log.append(record(1))
        if not os.fork():
            print(os.getpid(), flush=True)
            os.close(1)
            time.sleep(60)
        os.wait()
    """
    with run(script, tmp_path) as program:
        child = int(program.stdout.readline())
        program.kill()
    try:
        log = FileOpLog(paths)
        assert log.open().records == [record(1)]
        log.compact(b"all")
        assert not list(paths.state.glob("*.ops"))
        log.close()
    finally:
        os.kill(child, signal.SIGKILL)


# --- places that cannot be written ------------------------------------------------------------------------


def test_a_file_where_the_folder_should_be(tmp_path, paths):
    (tmp_path / ".tinysync").write_text("in the way")
    with pytest.raises(StorageError, match=r"Could not open the state folder .*todo.*folder="):
        FileOpLog(paths).open()
    assert (tmp_path / ".tinysync").read_text() == "in the way"


@pytest.mark.parametrize("name", ["lock", "device", "1.ops", "snapshot-1.bin"])
def test_a_folder_where_a_file_should_be(paths, name):
    (paths.state / name / "inside").mkdir(parents=True)
    with pytest.raises(StorageError, match=f"{paths.state}"):
        FileOpLog(paths).open()
    (paths.state / name / "inside").rmdir()
    (paths.state / name).rmdir()
    assert reopened(paths) == []


def test_a_failed_opening_holds_no_lock(paths):
    filled(paths, 1)
    (paths.state / "0.ops").write_bytes(b"something else entirely")
    for _ in range(2):
        with pytest.raises(StorageError, match="newer version"):
            FileOpLog(paths).open()
    (paths.state / "0.ops").unlink()
    assert reopened(paths) == [record(0)]


def test_a_damaged_device_id_is_replaced_with_a_warning(paths):
    filled(paths, 1)
    before = (paths.state / "device").read_text()
    (paths.state / "device").write_bytes(b"")
    with pytest.warns(DamagedFileWarning, match="goes on under a new one"):
        reopened(paths)
    after = (paths.state / "device").read_text()
    assert len(after.strip()) == 32
    assert after != before


@unix
def test_a_full_disk_leaves_the_log_as_it_was_and_goes_on_afterwards(tmp_path, paths):
    script = """
        import resource
        from tinysync.errors import StorageError
        log.open()
        for n in range(3):
            log.append(record(n))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
        failures = 0
        for n in range(3):
            try:
                log.append(record(100 + n, 1000))
            except StorageError as error:
                assert "not saved" in str(error), error
                failures += 1
            assert [r.time_ms for r in log.reread()] == [1000, 1001, 1002]
        log.append(record(3))
        try:
            log.compact(b"y" * 1000)
        except StorageError as error:
            failures += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.append(record(4))
        print(failures, flush=True)
        log.close()
    """
    with run(script, tmp_path) as program:
        assert program.stdout.read() == "4\n"
    assert reopened(paths) == [record(n) for n in range(5)]
    assert not list(paths.state.glob(".*"))
    assert all(file.stat().st_size > HEADER_SIZE for file in paths.state.glob("*.ops"))


@unix
def test_a_record_that_does_not_fit_whole_is_taken_back_from_the_same_file(tmp_path, paths):
    script = """
        import resource
        from tinysync.errors import StorageError
        log.open()
        log.append(record(0))
        (ops,) = paths.state.glob("*.ops")
        size = ops.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, resource.RLIM_INFINITY))
        try:
            log.append(record(1, 1000))
        except StorageError:
            print(ops.stat().st_size == size, flush=True)
    """
    with run(script, tmp_path) as program:
        assert program.stdout.read() == "True\n"
    assert reopened(paths) == [record(0)]


@unix
def test_a_deleted_state_folder_is_noticed_at_the_next_write(paths):
    log = FileOpLog(paths)
    log.open()
    log.append(record(1))
    for file in paths.state.iterdir():
        file.unlink()
    paths.state.rmdir()
    for _ in range(2):
        with pytest.raises(StorageError, match="Could not save a change"):
            log.append(record(2))
    with pytest.raises(StorageError, match="Could not read"):
        log.reread()
    log.close()


# --- damage -----------------------------------------------------------------------------------------------


def test_every_cut_is_repaired_once_and_keeps_what_is_whole(paths):
    whole = filled(paths, 4)
    data = whole.read_bytes()
    size = (len(data) - HEADER_SIZE) // 4
    for cut in range(len(data)):
        whole.write_bytes(data[:cut])
        kept = [record(n) for n in range(max(0, cut - HEADER_SIZE) // size)]
        if cut == 0 or (cut >= HEADER_SIZE and (cut - HEADER_SIZE) % size == 0):
            assert reopened(paths) == kept
        else:
            with pytest.warns(DamagedFileWarning, match="interrupted"):
                assert reopened(paths) == kept
        assert reopened(paths) == kept


def test_appending_goes_on_after_a_cut(paths):
    ops = filled(paths, 3)
    ops.write_bytes(ops.read_bytes()[:-5])
    log = FileOpLog(paths)
    with pytest.warns(DamagedFileWarning):
        log.open()
    log.append(record(9))
    log.close()
    assert reopened(paths) == [record(0), record(1), record(9)]


@pytest.mark.parametrize("seed", range(30))
def test_damage_in_the_middle_is_set_aside_and_what_stands_before_is_kept(paths, seed):
    ops = filled(paths, 6)
    data = ops.read_bytes()
    size = (len(data) - HEADER_SIZE) // 6
    damaged = bytearray(data)
    place = random.Random(seed).randrange(HEADER_SIZE, len(data) - size)
    damaged[place] ^= 0x41
    ops.write_bytes(damaged)
    kept = [record(n) for n in range((place - HEADER_SIZE) // size)]
    with pytest.warns(DamagedFileWarning, match=rf"first {len(kept)} changes are whole"):
        assert reopened(paths) == kept
    (aside,) = paths.state.glob("*.corrupt")
    assert aside.read_bytes() == damaged
    assert reopened(paths) == kept


def test_files_set_aside_do_not_overwrite_each_other(paths):
    ops = filled(paths, 3)
    data = bytearray(ops.read_bytes())
    data[HEADER_SIZE + 10] ^= 1
    for count in (1, 2, 3):
        ops.write_bytes(data)
        with pytest.warns(DamagedFileWarning, match="first 0 changes"):
            assert reopened(paths) == []
        assert len(list(paths.state.glob("*.corrupt"))) == count


def test_an_empty_op_file_is_nothing(paths):
    filled(paths, 1).write_bytes(b"")
    log = FileOpLog(paths)
    assert not log.open().existed


def test_a_newer_version_is_left_alone(paths):
    ops = filled(paths, 1)
    data = bytearray(ops.read_bytes())
    data[HEADER_SIZE - 1] = 9
    ops.write_bytes(data)
    with pytest.raises(StorageError, match="newer version"):
        reopened(paths)
    assert ops.read_bytes() == data


def compacted(paths):
    """Return a snapshot's file, with the op file that it replaced still there as ``(path, content)``."""
    ops = filled(paths, 3)
    data = ops.read_bytes()
    log = FileOpLog(paths)
    log.open()
    log.compact(b"all")
    log.close()
    (snapshot,) = paths.state.glob("snapshot-*")
    return snapshot, ops, data


def test_what_a_snapshot_replaced_is_deleted_when_it_is_still_there(paths):
    _snapshot, ops, data = compacted(paths)
    assert not ops.exists()
    ops.write_bytes(data)
    assert [r.updates for r in reopened(paths)] == [(b"all",)]
    assert not ops.exists()


def test_a_damaged_snapshot_whose_sources_are_still_there_is_set_aside(paths):
    snapshot, ops, data = compacted(paths)
    ops.write_bytes(data)
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[: whole.index(b"all")])
    with pytest.warns(DamagedFileWarning, match="nothing is lost"):
        assert reopened(paths) == [record(n) for n in range(3)]
    assert reopened(paths) == [record(n) for n in range(3)]
    assert len(list(paths.state.glob("*.corrupt"))) == 1


def test_no_damage_of_a_snapshot_without_sources_goes_unsaid(paths):
    snapshot, _ops, _data = compacted(paths)
    whole = snapshot.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x20
        snapshot.write_bytes(damaged)
        if place < whole.index(b"all") + 3:
            with pytest.raises(StorageError, match=r"backup|newer"):
                reopened(paths)
        else:
            with pytest.warns(DamagedFileWarning, match="its history"):
                assert [r.updates for r in reopened(paths)] == [(b"all",)]
        assert snapshot.read_bytes() == damaged
    snapshot.write_bytes(whole)
    assert [r.updates for r in reopened(paths)] == [(b"all",)]


def test_a_damaged_snapshot_that_another_replaces_is_deleted(paths):
    snapshot, _ops, _data = compacted(paths)
    whole = snapshot.read_bytes()
    log = FileOpLog(paths)
    log.open()
    log.compact(b"newer")
    log.close()
    snapshot.write_bytes(whole[: whole.index(b"all")])
    assert [r.updates for r in reopened(paths)] == [(b"newer",)]
    assert not snapshot.exists()


def test_compaction_leaves_files_that_were_not_read(paths):
    log = FileOpLog(paths)
    log.open()
    log.append(record(1))
    strange = paths.state / "arrived-meanwhile.ops"
    strange.write_bytes(newest_ops(paths).read_bytes())
    log.compact(b"all")
    log.close()
    assert strange.exists()
    assert [r.updates for r in reopened(paths)] == [(b"all",), record(1).updates]


# --- crashes ----------------------------------------------------------------------------------------------


@unix
def test_a_crash_at_any_step_loses_no_acknowledged_record(tmp_path):
    # The process dies before the n-th thing that it does to a file, for every n.
    script = """
        step, last = -10**9, 0  # this process lives, its children count from 0
        EVENTS = "open", "os.rename", "os.remove", "os.truncate", "os.mkdir"
        def die(event, arguments):
            global step
            if event in EVENTS and sys.argv[1] in str(arguments):
                step += 1
                if step == last:
                    os._exit(9)
        def work(folder):
            acknowledged = os.open(os.path.join(folder, "acknowledged"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            paths = document_paths("todo", folder)
            for session in range(2):
                log = FileOpLog(paths)
                log.open()
                for n in (0, 1):
                    log.append(record(10 * session + n))
                    os.write(acknowledged, b"%d\\n" % (1000 + 10 * session + n))
                log.compact(b" ".join(
                    b"%d" % r.time_ms if r.kind == "local" else r.updates[0] for r in log.reread()
                ))
                log.append(record(10 * session + 2))
                os.write(acknowledged, b"%d\\n" % (1000 + 10 * session + 2))
                log.close()
        sys.addaudithook(die)
        while True:
            last += 1
            folder = os.path.join(sys.argv[1], str(last))
            os.mkdir(folder)
            child = os.fork()
            if not child:
                step = 0
                work(folder)
                os._exit(0)
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
                break
        print(last)
    """
    with run(script, tmp_path) as program:
        crashes = int(program.stdout.read()) - 1
    assert crashes >= 30
    for crash in range(1, crashes + 2):
        folder = tmp_path / str(crash)
        printed = folder / "acknowledged"
        acknowledged = [int(line) for line in printed.read_text().split()] if printed.exists() else []
        log = FileOpLog(document_paths("todo", folder))
        records = log.open().records
        log.append(record(77))
        log.close()
        there = {int(text) for r in records if r.kind == "snapshot" for text in r.updates[0].split()}
        there |= {r.time_ms for r in records if r.kind == "local"}
        assert set(acknowledged) <= there
        assert not list(Path(folder).rglob("*.tmp"))
    assert len(acknowledged) == 6


@unix
def test_what_was_acknowledged_before_a_kill_is_there(tmp_path, paths):
    script = """
        import itertools
        log.open()
        for n in itertools.count():
            log.append(record(n, n % 500))
            os.write(1, b"%d\\n" % n)
    """
    source = random.Random(5)
    for _ in range(5):
        with run(script, tmp_path) as writer:
            for _ in range(source.randrange(50, 400)):
                line = writer.stdout.readline()
            writer.kill()
            acknowledged = int((line + writer.stdout.read()).split("\n")[-2])
        with warnings.catch_warnings():
            # A kill can cut the record that was just being written, at the end of a page.
            warnings.simplefilter("ignore", DamagedFileWarning)
            records = reopened(paths)
        assert records[: acknowledged + 1] == [record(n, n % 500) for n in range(acknowledged + 1)]
        newest_ops(paths).unlink()


def test_a_file_that_vanishes_while_reading_is_read_from_where_it_went(paths, monkeypatch):
    # What another process's compaction looks like from here.
    snapshot, ops, data = compacted(paths)
    ops.write_bytes(data)
    hidden = snapshot.with_suffix(".hidden")
    snapshot.rename(hidden)
    read_bytes = Path.read_bytes

    def vanish(path):
        if path == ops and hidden.exists():
            hidden.rename(snapshot)
            ops.unlink()
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", vanish)
    assert [r.updates for r in reopened(paths)] == [(b"all",)]


@unix
def test_a_dangling_link_is_an_error_and_no_endless_loop(paths):
    filled(paths, 1)
    (paths.state / "lost.ops").symlink_to(paths.state / "nowhere")
    with pytest.raises(StorageError, match=r"lost\.ops"):
        reopened(paths)


def test_sessions_do_not_share_files(paths):
    for _ in range(3):
        filled(paths, 1)
    assert len(list(paths.state.glob("*.ops"))) == 3
    assert (paths.state / "device").exists()


def test_the_order_is_that_of_writing_whatever_the_clock_says(paths, monkeypatch):
    expected = []
    for n, clock in enumerate([5_000, 5_000, 3_000, 9_000, 0]):
        monkeypatch.setattr("time.time_ns", lambda clock=clock: clock * 1_000_000)
        log = FileOpLog(paths)
        log.open()
        log.append(record(n))
        log.close()
        expected.append(record(n))
    assert reopened(paths) == expected
