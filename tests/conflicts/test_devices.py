"""Conflicts of real devices: over links, in real files, over restarts."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

import pytest

from tests.devices.conftest import cable, device  # noqa: F401 - fixtures
from tests.devices.device import assert_equal, synced
from tests.devices.processes import DeviceProcess
from tests.peer.devices import wait_until
from tinysync import NOTHING, Conflict, Pickle, UsageError, track, tracker
from tinysync.crdt.values import pack as pack_scalar
from tinysync.storage import conflict_journal
from tinysync.storage.conflict_journal import ConflictJournal, JournalEntry
from tinysync.storage.records import frame, header, pack
from tinysync.tracker import conflicts as tracking

START = {"port": 1, "tasks": ["a", "b"], "servers": {"x": {"on": True}}}


def edit_apart(ours, theirs):
    ours.port, theirs.port = 2, 3
    ours.tasks[0], theirs.tasks[0] = "ours", "theirs"
    del ours.servers["x"]
    theirs.servers.x.on = False


def conflicts(structure):
    return sorted(
        ((one.path, one.lost, one.kept, one.lost_here) for one in tracker(structure).conflicts()),
        key=repr,
    )


def check_both(ours, theirs):
    """Each knows what it lost."""
    assert (["servers", "x"], {"on": False}, NOTHING, True) in conflicts(theirs)
    lost = {
        (tuple(path), value)
        for structure in (ours, theirs)
        for path, value, _, here in conflicts(structure)
        if here and path[0] != "servers"
    }
    assert len(lost) == 2
    assert {value for _, value in lost} <= {2, 3, "ours", "theirs"}
    for structure in (ours, theirs):
        for path, value, kept, _ in conflicts(structure):
            now = structure
            for step in path:
                now = now[step] if step in now or isinstance(now, list) else NOTHING
            assert now == kept != value


def test_two_devices_with_a_cut_link(tmp_path, device, cable):  # noqa: F811
    told = {"ours": [], "theirs": []}
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    wire = cable(laptop.peer.url)
    phone = device(tmp_path / "phone", connect=[wire.url], device="phone")
    ours = laptop.track(START, conflict_callback=told["ours"].append)
    theirs = phone.track(START, conflict_callback=told["theirs"].append)
    synced(theirs)
    ours.port = 7
    synced(ours, theirs)
    theirs.port = 8
    synced(theirs, ours)
    assert conflicts(ours) == conflicts(theirs) == []
    wire.cut()
    wait_until(lambda: not laptop.peer.connected_devices() and not phone.peer.connected_devices())
    edit_apart(ours, theirs)
    wire.plug_in()
    synced(theirs, ours)
    assert_equal(ours, theirs)
    check_both(ours, theirs)
    for structure, name, other in ((ours, "laptop", "phone"), (theirs, "phone", "laptop")):
        for one in tracker(structure).conflicts():
            assert (one.lost_device, one.kept_device) == ((name, other) if one.lost_here else (other, name))
            assert one.when.tzinfo is not None
    assert told["ours"] == tracker(ours).conflicts()
    assert told["theirs"] == tracker(theirs).conflicts()
    [gone] = [one for one in tracker(theirs).conflicts() if one.path == ["servers", "x"]]
    gone.restore()
    synced(theirs, ours)
    assert ours.servers == {"x": {"on": False}}
    tracker(theirs).undo()
    synced(theirs, ours)
    assert ours.servers == {}
    check_both(ours, theirs)


def test_edits_of_an_earlier_run_count(tmp_path, device):  # noqa: F811
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track(START), phone.track(START)
    synced(theirs, ours)
    for one in (phone, laptop):
        tracker(one.structures.pop()).close()
        one.peer.close()
    ours, theirs = (track(START, "todo", folder=tmp_path / name) for name in ("laptop", "phone"))
    edit_apart(ours, theirs)
    for structure in (ours, theirs):
        tracker(structure).close()
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track(START), phone.track(START)
    synced(theirs, ours)
    assert_equal(ours, theirs)
    check_both(ours, theirs)
    kept = [conflicts(ours), conflicts(theirs)]
    for one in (phone, laptop):
        tracker(one.structures.pop()).close()
        one.peer.close()
    ours, theirs = (track(START, "todo", folder=tmp_path / name) for name in ("laptop", "phone"))
    assert [conflicts(ours), conflicts(theirs)] == kept
    for conflict in tracker(ours).conflicts():
        conflict.restore()
    tracker(ours).close()
    tracker(theirs).close()
    with pytest.raises(UsageError, match="track it again"):
        tracker(ours).conflicts()[0].restore()


def test_two_processes_of_one_folder(tmp_path):
    shared, other = tmp_path / "shared", tmp_path / "other"
    phone = DeviceProcess(other)
    phone.run("peer = Peer(listen='127.0.0.1:0', device='phone')")
    phone.run(f"x = track({START!r}, 'todo', folder={str(other)!r}, sync=peer)")
    first, second = DeviceProcess(shared), DeviceProcess(shared)
    try:
        url = phone.get("peer.url")
        for process in (first, second):
            process.run(f"x = track({START!r}, 'todo', folder={str(shared)!r})")
        first.run("x.port = 2")
        wait_until(lambda: second.get("x.port") == 2)
        # Both write without knowing of each other; they are one device, whatever comes of it.
        first.run("x.tasks[1] = 'first'")
        second.run("x.tasks[1] = 'second'")
        wait_until(lambda: first.get("x.tasks[1]") == second.get("x.tasks[1]"))
        assert first.get("len(tracker(x).conflicts())") == second.get("len(tracker(x).conflicts())") == 0
        phone.run("x.port = 3")
        second.run(f"peer = Peer(connect=[{url!r}], device='laptop')")
        second.run(f"track({{}}, 'todo', folder={str(shared)!r}, sync=peer)")
        second.sync()
        wait_until(lambda: first.get("x.port") == second.get("x.port") == phone.get("x.port"))
        now = phone.get("x.port")
        loser, value = (phone, 3) if now == 2 else (first, 2)
        found = "[(c.path, c.lost, c.kept) for c in tracker(x).conflicts() if c.lost_here]"
        assert loser.get(found) == [[["port"], value, now]]
        assert first.get(found) == second.get(found)
    finally:
        for process in (phone, first, second):
            process.kill()


def test_the_callback_runs_where_dispatch_says_and_after_the_other(device, cable):  # noqa: F811
    jobs: deque = deque()
    order = []
    laptop = device(listen="127.0.0.1:0")
    wire = cable(laptop.peer.url)
    phone = device(connect=[wire.url])
    ours = laptop.track({"a": 1})

    def heard(conflict):
        order.append((threading.get_ident(), conflict.path))
        raise ValueError("a callback that fails is logged")

    theirs = phone.track({"a": 1}, dispatch=jobs.append, callback=order.append, conflict_callback=heard)

    def run():
        while jobs:
            jobs.popleft()()
        return True

    wait_until(lambda: run() and len(phone.peer.connected_devices()) == 1)
    wire.cut()
    wait_until(lambda: not phone.peer.connected_devices() and not laptop.peer.connected_devices())
    theirs["l"] = ["theirs"]
    # Who replaces a container loses it, whoever has the higher client id.
    theirs["d"] = {"x": 1}
    wire.plug_in()
    wait_until(lambda: run() and ours.get("d") == {"x": 1} and theirs.get("d") == {"x": 1})
    wire.cut()
    wait_until(lambda: not phone.peer.connected_devices() and not laptop.peer.connected_devices())
    theirs.d.x = 2
    del ours["d"]
    order.clear()
    wire.plug_in()
    wait_until(lambda: run() and "d" not in theirs)
    assert [one.func_name if not isinstance(one, tuple) else one for one in order] == [
        "__delitem__",
        (threading.get_ident(), ["d"]),
    ]


def test_what_has_no_document_has_no_conflicts(tmp_path):
    with pytest.raises(UsageError, match="cannot be synced"):
        track({}, "x", folder=tmp_path, persist=Pickle, conflict_callback=print)
    with pytest.raises(UsageError, match="function"):
        track({}, "x", folder=tmp_path, conflict_callback=3)
    conf = track({}, "x", folder=tmp_path, persist=Pickle)
    with pytest.raises(UsageError):
        tracker(conf).conflicts()
    tracker(conf).close()


def test_a_conflict_cannot_be_changed():
    conflict = Conflict(["a"], "value", 1, 2, "laptop", "phone", True, None, print)
    with pytest.raises(AttributeError):
        conflict.lost = 3


# --- the journal --------------------------------------------------------------------------------------------


def entry(number, lost: object = 1):
    return JournalEntry(
        f"mark {number}", number, ["k", (1, 2)], "value", lost, NOTHING, "a", "b", True, "node", ("dict", "dict")
    )


@pytest.mark.parametrize("in_file", [False, True])
def test_the_journal_is_bounded(tmp_path, in_file, monkeypatch):
    monkeypatch.setattr(conflict_journal, "MAX_ENTRIES", 10)
    journal = ConflictJournal(tmp_path if in_file else None)
    for number in range(50):
        journal.add([entry(number), entry(number)])
        found = journal.entries()
        assert [one.time_ms for one in found] == list(range(max(0, number - 9), number + 1))
    monkeypatch.setattr(conflict_journal, "MAX_BYTES", 10_000)
    for number in range(50, 60):
        journal.add([entry(number, "x" * 3000)])
    assert [one.time_ms for one in journal.entries()] == [57, 58, 59]
    journal.add([entry(60, "x" * 30_000)])
    assert [one.time_ms for one in journal.entries()] == [60]
    if in_file:
        assert (tmp_path / "conflicts").stat().st_size < 31_000
        assert ConflictJournal(tmp_path).entries() == journal.entries()
    journal.close()


VALUE = {"a": [1, 1.0, {2, "x"}, None, {(1, 2): b"y"}], 1: 2**80, None: float("inf")}


def test_the_journal_of_two_processes_keeps_values_as_they_are(tmp_path):
    one, other = ConflictJournal(tmp_path), ConflictJournal(tmp_path)
    one.add([entry(1, VALUE)])
    other.add([entry(1, VALUE), entry(2, NOTHING)])
    one.add([entry(3)])
    for journal in (one, other):
        found = journal.entries()
        assert [e.time_ms for e in found] == [1, 2, 3]
        assert repr(found[0].lost) == repr(VALUE)
        assert found[1].lost is NOTHING
        assert found[0].path == ["k", (1, 2)]
        journal.close()


def test_entries_of_earlier_versions_are_read(tmp_path):
    """They did not say of which kinds the containers were; only a list's had an element."""
    rest = ["value", pack_scalar(1), None, "a", "b", True, "node"]
    (tmp_path / "conflicts").write_bytes(
        header(b"tsynCFL")
        + frame(pack(["one", 1, [pack_scalar("l"), pack_scalar(0)], *rest, [4, 2], False]))
        + frame(pack(["two", 2, [pack_scalar("d"), pack_scalar("k")], *rest, None, True]))
    )
    journal = ConflictJournal(tmp_path)
    assert [(one.path, one.element, one.is_part, one.kinds) for one in journal.entries()] == [
        (["l", 0], (4, 2), False, ("dict", "list")),
        (["d", "k"], None, True, ("dict", "dict")),
    ]
    journal.add([replace(entry(3), kinds=("dict", "set"))])
    assert journal.entries()[-1].kinds == ("dict", "set")
    journal.close()


def test_a_torn_end_of_the_journal_is_cut(tmp_path):
    journal = ConflictJournal(tmp_path)
    journal.add([entry(1), entry(2)])
    path = tmp_path / "conflicts"
    path.write_bytes(path.read_bytes()[:-3])
    assert [e.time_ms for e in journal.entries()] == [1]
    journal.add([entry(3)])
    assert [e.time_ms for e in ConflictJournal(tmp_path).entries()] == [1, 3]
    path.write_bytes(b"something else")
    journal.add([entry(4)])
    assert path.read_bytes() == b"something else"
    journal.close()


@pytest.mark.parametrize("restart", [False, True])
def test_a_deletion_that_nobody_had_heard_of(tmp_path, device, restart):  # noqa: F811
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    theirs = phone.track({})
    with ours:
        ours["known"], ours["offline"] = 1, 1
    synced(ours, theirs)
    # Somebody who knows of a deletion may well write there again, now or after a while apart.
    del theirs["known"]
    synced(theirs)
    ours["known"] = 2
    synced(ours, theirs)
    del theirs["known"]
    synced(theirs)
    phone.peer.close()
    ours["known"] = 3
    del theirs["offline"]
    ours["offline"] = 2
    if restart:
        tracker(phone.structures.pop()).close()
        assert (tmp_path / "phone/.tinysync/todo/deleted-untold").exists()
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    theirs = phone.track({})
    synced(theirs, ours)
    assert theirs == ours == {"known": 3, "offline": 2}
    assert conflicts(ours) == []
    assert conflicts(theirs) == [(["offline"], NOTHING, 2, True)]
    assert not (tmp_path / "phone/.tinysync/todo/deleted-untold").exists()
    [conflict] = tracker(theirs).conflicts()
    conflict.restore()
    synced(theirs)
    assert ours == {"known": 3}


def test_a_long_answer_makes_no_conflicts_of_what_was_known(tmp_path, device, monkeypatch):  # noqa: F811
    monkeypatch.setattr(tracking, "WAIT", 0.3)
    start = {"many": {f"key {number}": "x" * 50 for number in range(2000)}, "list": list(range(50))}
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    third = device(tmp_path / "third", connect=[laptop.peer.url], device="third")
    theirs, others = phone.track({}), third.track({})
    ours.update(start)
    synced(ours, theirs, others)
    with theirs:
        for number in range(2000):
            theirs.many[f"key {number}"] = "y" * 50
        theirs["lost"] = {"mine": 1}
    synced(theirs, ours, others)
    phone.peer.close()
    # All of this in the knowledge of what the phone wrote; but for the last.
    ours["many"] = "z" * 100
    ours["other"] = {f"key {number}": number for number in range(4000)}
    for number in range(0, 40, 3):
        ours.list.move(number, 20)
    ours["lost"] = 5
    theirs.lost.mine = 2
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    assert phone.track({}) is theirs
    synced(theirs, ours, others)
    wait_until(lambda: conflicts(theirs))
    wait_until(lambda: tracker(theirs)._replica.conflicts.is_settled)
    assert conflicts(theirs) == [(["lost"], {"mine": 2}, 5, True)]
    assert [one for one in conflicts(ours) if one[0] != ["lost"]] == conflicts(others) == []
