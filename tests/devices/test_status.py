"""Who has what: devices that come and go, and what is remembered of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import queue
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.processes import printed
from tests.devices.processes import DeviceProcess
from tests.group.members import GROUP
from tests.peer.devices import DEADLINE, wait_until
from tinysync import Peer, StructureClosed, SyncTimeout, UsageError, pair, track, tracker
from tinysync.storage.names import document_paths
from tinysync.tracker.stored import read_stored

from .device import synced


@pytest.fixture
def kept(device, tmp_path):
    """Two linked devices that keep what they have on disk."""
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    return laptop, device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")


def only(status):
    (device,) = status.devices
    return device


def test_devices_in_step(kept):
    laptop, phone = kept
    ours, theirs = laptop.track({}), phone.track({})
    theirs.update(a=1, b=2)
    synced(theirs)
    before = datetime.now(UTC)
    told = only(tracker(theirs).status())
    assert (told.name, told.connected, told.pending, told.durable, told.synced) == ("laptop", True, 0, True, True)
    assert told.acked >= 2
    assert told.address == laptop.peer.url
    assert told.last_seen is not None
    assert timedelta(0) <= told.last_seen - before < timedelta(seconds=DEADLINE)
    assert told.reason == ""
    other = only(tracker(ours).status())
    assert (other.name, other.address) == ("phone", None)
    assert other.id != told.id
    # What it is: the folder of state, known on both sides.
    assert told.id == tracker(ours)._replica.known.here
    assert tracker(theirs).status().synced
    assert tracker(theirs).status().durable


def test_who_is_linked_is_written_down_at_once(kept, tmp_path, monkeypatch):
    # What is written in a while would come too late for who is killed.
    monkeypatch.setattr("tinysync.peer.saving.SAVE_SECONDS", 3600)
    for each in kept:
        each.track({})
    for name in ("laptop", "phone"):
        wait_until((tmp_path / name / ".tinysync/todo/peers").exists)


def test_of_a_device_that_was_taken_off_the_list_it_is_told_that_it_is_not_on_it(device, tmp_path):
    allowed = tmp_path / "allowed"
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", key=GROUP, identity=tmp_path / "one", allow=allowed)
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], key=GROUP, identity=tmp_path / "other")
    pair(phone.peer.fingerprint, "phone", allowed)
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    allowed.write_text("")
    wait_until(lambda: not only(tracker(ours).status()).linked)
    why = only(tracker(ours).status()).reason
    assert f"the device {phone.peer.fingerprint} is not in the list of allowed devices" in why
    stored = document_paths("todo", tmp_path / "laptop")
    wait_until(lambda: only(read_stored("todo", stored).status()).reason == why)
    pair(phone.peer.fingerprint, "phone", allowed)
    synced(theirs)
    assert (only(tracker(ours).status()).state, only(tracker(ours).status()).reason) == ("in step", "")
    phone.peer.close()
    wait_until(lambda: only(tracker(ours).status()).reason == "it is not connected")


def test_a_device_that_was_never_there(device):
    phone = device(connect=["ws://127.0.0.1:9"], device="phone")
    todo = phone.track({"a": 1})
    wait_until(lambda: "nobody" in only(tracker(todo).status()).reason)
    told = only(tracker(todo).status())
    assert (told.name, told.id, told.last_seen, told.connected) == ("", None, None, False)
    assert told.pending > 0
    assert told.acked == 0
    assert not told.durable
    assert "127.0.0.1:9" in str(tracker(todo).status())
    assert "nobody answers" in str(tracker(todo).status())


def test_no_other_device():
    alone = track({}, persist=False)
    assert tracker(alone).status().devices == ()
    assert not tracker(alone).status().synced
    assert "no other devices" in str(tracker(alone).status())


def test_changes_that_are_pending_are_counted_while_offline_and_after_a_restart(kept, tmp_path):
    laptop, phone = kept
    ours, theirs = laptop.track({}), phone.track({"old": 0, "gone": 1})
    synced(theirs)
    phone.peer.close()
    assert only(tracker(theirs).status()).pending == 0
    theirs.a = 1
    theirs.b = 2
    theirs.old = 3
    del theirs["gone"]
    told = only(tracker(theirs).status())
    # Each is one change: written anew, overwritten, deleted.
    assert told.pending == 4
    assert (told.name, told.connected, told.durable, told.reason) == (
        "laptop",
        False,
        False,
        "it is not connected",
    )
    tracker(theirs).close()
    again = track({}, "todo", folder=tmp_path / "phone")
    try:
        after = only(tracker(again).status())
        assert (after, after.last_seen) == (told, told.last_seen)
        phone.peer = Peer(connect=[laptop.peer.url], device="phone")
        assert track({}, "todo", folder=tmp_path / "phone", sync=phone.peer) is again
        synced(again)
        told = only(tracker(again).status())
        assert (told.pending, told.synced, told.durable) == (0, True, True)
    finally:
        tracker(again).close()
    assert ours.a == 1


@pytest.mark.parametrize("close_first", ["structure", "peer"])
def test_what_was_confirmed_is_remembered_by_who_closes_right_after(kept, tmp_path, close_first):
    laptop, phone = kept
    laptop.track({})
    theirs = phone.track({"a": 0})
    theirs.a = 1
    del theirs["a"]
    synced(theirs)
    if close_first == "peer":
        phone.peer.close()
    tracker(theirs).close()
    again = track({}, "todo", folder=tmp_path / "phone")
    told = only(tracker(again).status())
    tracker(again).close()
    assert (told.pending, told.durable, told.name) == (0, True, "laptop")
    assert told.last_seen is not None


def test_who_is_off_and_has_no_address_is_not_waited_for_and_not_synced(kept):
    laptop, phone = kept
    ours, theirs = laptop.track({}), phone.track({})
    synced(ours, theirs)
    phone.peer.close()
    wait_until(lambda: not only(tracker(ours).status()).connected)
    ours.a = 1
    tracker(ours).wait_synced(DEADLINE)
    status = tracker(ours).status()
    assert (status.synced, status.pending) == (False, 1)


def test_a_deletion_alone_is_pending(kept):
    laptop, phone = kept
    laptop.track([1])
    theirs = phone.track([1])
    synced(theirs)
    phone.peer.close()
    del theirs[0]
    assert only(tracker(theirs).status()).pending == 1


def test_a_device_that_keeps_nothing_is_not_durable_and_not_remembered(device, tmp_path):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path, connect=[laptop.peer.url], device="phone")
    laptop.track({})
    theirs = phone.track({})
    theirs.a = 1
    synced(theirs)
    told = only(tracker(theirs).status())
    assert (told.id, told.pending, told.synced, told.durable) == (None, 0, True, False)
    phone.peer.close()
    assert tracker(theirs).status().devices == ()


def test_a_device_that_refuses_says_why(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    phone = device(connect=[laptop.peer.url], device="phone")
    laptop.track([])
    theirs = phone.track({})
    wait_until(lambda: "it is a" in only(tracker(theirs).status()).reason)
    told = only(tracker(theirs).status())
    assert (told.name, told.connected, told.durable) == ("laptop", False, False)
    assert told.state == only(phone.peer.status()).state == "refused"


def test_a_device_that_had_it_and_shares_it_no_more_is_not_shared(kept):
    laptop, phone = kept
    ours, theirs = laptop.track({}), phone.track({})
    theirs.a = 1
    synced(theirs)
    tracker(theirs).close()
    # What it had confirmed is looked at when it has gone.
    wait_until(
        lambda: (only(tracker(ours).status()).state, only(tracker(ours).status()).pending) == ("not shared", 0)
    )
    told = only(tracker(ours).status())
    assert told.id == tracker(theirs)._replica.known.here
    assert "does not share" in told.reason


def test_a_device_that_does_not_share_it(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    phone = device(connect=[laptop.peer.url], device="phone")
    theirs = phone.track({})
    wait_until(lambda: "does not share 'todo'" in only(tracker(theirs).status()).reason)
    told = only(tracker(theirs).status())
    assert (told.name, told.state, told.connected) == ("laptop", "not shared", False)
    assert told.last_seen is not None
    assert only(phone.peer.status()).state == told.state
    # The cells: who, how far, when.
    assert str(told).splitlines()[1].split("  ")[1:3] == ["not shared", "now"]
    # One that is shared as well makes it no other.
    for each in (laptop, phone):
        each.track({}, "more")
    wait_until(lambda: only(phone.peer.status()).connected)
    assert only(phone.peer.status()).state == "not shared"
    assert laptop.peer.status().devices[0].name == "phone"
    assert laptop.peer.status().devices[0].connected


def test_events_tell_of_changes_only(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    heard: list = []
    arrived = threading.Condition()

    def hear(status):
        with arrived:
            heard.append(status)
            arrived.notify_all()
        # Whatever is asked in a callback is answered.
        assert tracker(ours).status() is not None
        assert laptop.peer.connected_devices() is not None

    def until(condition):
        with arrived:
            assert arrived.wait_for(lambda: any(condition(status) for status in heard), DEADLINE), heard

    stop = tracker(ours).on_status(hear)
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    theirs = phone.track({})
    until(lambda status: status.synced)
    phone.peer.close()
    until(lambda status: status.devices and not status.devices[0].connected)
    ours.a = 1
    until(lambda status: status.pending == 1)
    with arrived:
        assert all(one != following for one, following in itertools.pairwise(heard))
        heard.clear()
    stop()
    stop()
    ours.b = 1
    assert tracker(ours).status().pending == 2
    assert not heard
    assert theirs == {}


def test_events_of_a_peer(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    came, went = threading.Event(), threading.Event()

    def hear(status):
        names = [one.name for one in status.devices if one.connected]
        (came if names == ["phone"] else went).set()

    with laptop.peer.on_status(hear):
        phone = device(connect=[laptop.peer.url], device="phone")
        assert came.wait(DEADLINE)
        went.clear()
        phone.peer.close()
        assert went.wait(DEADLINE)
    laptop.peer.close()
    with pytest.raises(UsageError, match="closed"):
        laptop.peer.on_status(hear)


def test_a_callback_that_fails_is_logged_and_the_others_are_called(device, caplog):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    heard = threading.Event()

    def fail(_status):
        raise ValueError("no")

    with tracker(ours).on_status(fail), tracker(ours).on_status(lambda _: heard.set()), caplog.at_level("ERROR"):
        phone = device(connect=[laptop.peer.url], device="phone")
        phone.track({})
        assert heard.wait(DEADLINE)
    assert "callback for the status" in caplog.text
    tracker(ours).close()
    with pytest.raises(StructureClosed):
        tracker(ours).on_status(fail)


def test_a_peer_tells_of_all_structures(kept):
    laptop, phone = kept
    for name in ("one", "two"):
        laptop.track({}, name)
        theirs = phone.track({}, name)
        theirs.a = 1
        synced(theirs)
    status = phone.peer.status()
    assert [one.name for one in status.structures] == ["one", "two"]
    assert only(status).name == "laptop"
    assert only(status).synced
    assert status.synced
    assert "laptop" in str(status)
    phone.peer.close()
    status = phone.peer.status()
    assert [one.devices[0].pending for one in status.structures] == [0, 0]
    assert not status.synced


def test_a_damaged_note_is_reported_and_made_anew(kept, tmp_path, caplog):
    laptop, phone = kept
    laptop.track({})
    theirs = phone.track({})
    theirs.a = 1
    synced(theirs)
    phone.peer.close()
    tracker(theirs).close()
    (file,) = (tmp_path / "phone").rglob("peers")
    note = json.loads(file.read_text())
    assert [entry["name"] for entry in note["devices"].values()] == ["laptop"]
    addresses = b'{"version": 1, "devices": {}, "unreached": [1]}'
    for damaged in (b"", b"{", b"[]", b'{"version": 1, "devices": {"x": {}}}', b"\xff", addresses):
        file.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            again = track({}, "todo", folder=tmp_path / "phone")
        assert "cannot be read" in caplog.text
        caplog.clear()
        assert tracker(again).status().devices == ()
        tracker(again).close()


def test_a_note_of_an_earlier_version_is_read(kept, tmp_path):
    laptop, phone = kept
    laptop.track({})
    theirs = phone.track({})
    synced(theirs)
    phone.peer.close()
    tracker(theirs).close()
    (file,) = (tmp_path / "phone").rglob("peers")
    note = json.loads(file.read_text())
    del note["unreached"]
    for entry in note["devices"].values():
        del entry["refused"]
    file.write_text(json.dumps(note))
    again = track({}, "todo", folder=tmp_path / "phone")
    assert (confirmed(again), only(tracker(again).status()).reason) == (
        ("laptop", False, 0, True),
        "it is not connected",
    )
    tracker(again).close()


PROGRAM = """
import sys
from tinysync import Peer, track, tracker
peer = Peer(connect=[sys.argv[1]], device="phone")
todo = track({}, "todo", folder=sys.argv[2], sync=peer)
todo.a = 1
tracker(todo).wait_synced(20)
"""


def test_a_program_that_just_ends_remembers(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    laptop.track({})
    subprocess.run([sys.executable, "-c", PROGRAM, laptop.peer.url, tmp_path / "phone"], check=True, timeout=60)
    again = track({}, "todo", folder=tmp_path / "phone")
    told = only(tracker(again).status())
    tracker(again).close()
    assert (told.name, told.pending, told.durable) == ("laptop", 0, True)


ENDS_SLOWLY = """
import atexit
from tests.peer.devices import wait_until
wait_until(lambda: peer._saving.waiting)
# By then no threads begin any more.
atexit.register(wait_until, lambda: not peer._saving.waiting)
"""


def test_a_program_that_takes_long_to_end_does_so_quietly(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    laptop.track({})
    command = [sys.executable, "-c", PROGRAM + ENDS_SLOWLY, laptop.peer.url, tmp_path / "phone"]
    ended = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert ended.stderr == ""


def test_with_asyncio_the_loop_calls_back(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")

    async def main():
        ours = laptop.track({})
        heard = asyncio.get_running_loop().create_future()

        def hear(status):
            assert asyncio.get_running_loop()
            if status.synced and not heard.done():
                heard.set_result(status)

        with tracker(ours).on_status(hear):
            phone = await asyncio.to_thread(device, connect=[laptop.peer.url], device="phone")
            await asyncio.to_thread(phone.track, {})
            return await asyncio.wait_for(heard, DEADLINE)

    assert asyncio.run(main()).devices[0].name == "phone"


def test_one_device_over_two_links_is_told_once(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path / "phone", listen="127.0.0.1:0", connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    laptop.peer.connect(phone.peer.url)
    theirs.a = 1
    synced(ours, theirs)
    assert only(tracker(ours).status()).synced
    assert only(tracker(theirs).status()).synced


def confirmed(structure):
    """What is known of the only other device."""
    told = only(tracker(structure).status())
    return told.name, told.connected, told.pending, told.durable


@pytest.mark.parametrize("leave", ["structure", "peer"])
def test_what_was_confirmed_is_remembered_of_who_leaves_right_after(kept, leave):
    laptop, phone = kept
    ours, theirs = laptop.track({}), phone.track({})
    ours.a = 1
    theirs.b = 2
    synced(ours, theirs)
    assert confirmed(ours) == ("phone", True, 0, True)
    if leave == "structure":
        tracker(theirs).close()
    phone.peer.close()
    wait_until(lambda: confirmed(ours) == ("phone", False, 0, True))
    ours.c = 3
    assert confirmed(ours) == ("phone", False, 1, False)


def test_what_is_written_while_the_other_leaves_is_pending(kept):
    laptop, phone = kept
    ours, theirs = laptop.track({}), phone.track({})
    synced(ours, theirs)
    # The other one leaves while this structure is in a transaction, so nobody can look what it holds.
    with ours:
        tracker(theirs).close()
        ours.late = 1
        phone.peer.close()
    wait_until(lambda: not confirmed(ours)[1])
    assert confirmed(ours)[2] > 0


def test_devices_that_connect_to_each_other_are_told_about_once(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path / "phone", listen="127.0.0.1:0", connect=[laptop.peer.url], device="phone")
    laptop.peer.connect(phone.peer.url)
    ours, theirs = laptop.track({}), phone.track({})
    theirs.a = 1
    synced(ours, theirs)
    wait_until(lambda: phone.peer.url in tracker(ours)._replica.sharing._peers[0][0]._links._identities)
    phone.peer.close()
    wait_until(lambda: not any(one.connected for one in tracker(ours).status().devices))
    assert confirmed(ours) == ("phone", False, 0, True)


def test_a_copy_of_the_folder_is_another_device(device, tmp_path, caplog):
    tracker(track({"n": 1}, "todo", folder=tmp_path / "laptop")).close()
    shutil.copytree(tmp_path / "laptop", tmp_path / "phone")
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    theirs.n = 2
    synced(ours, theirs)
    wait_until(lambda: confirmed(theirs) == ("laptop", True, 0, True))
    wait_until(lambda: confirmed(ours) == ("phone", True, 0, True))
    assert "laptop keeps 'todo' in a copy of this device's folder" in caplog.text
    phone.peer.close()
    wait_until(lambda: confirmed(ours) == ("phone", False, 0, True))
    theirs.n = 3
    assert confirmed(theirs) == ("laptop", False, 1, False)


def test_another_process_in_the_same_folder_is_no_other_device(device, tmp_path):
    laptop = device(tmp_path, listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    other = DeviceProcess(tmp_path)
    try:
        other.track("{}", connect=[laptop.peer.url], device="other")
        other.run("x.a = 1")
        other.sync()
        assert other.get("[one.name for one in tracker(x).status().devices + peer.status().devices]") == []
        assert ours.a == 1
        status = tracker(ours).status()
        assert (status.devices, status.synced, status.durable, status.pending) == ((), False, False, 0)
        assert laptop.peer.status().devices == ()
        assert "no other devices were met" in printed("status", tmp_path / "todo.yaml")
        # With its structure closed, the process is as little another device.
        other.run("tracker(x).close()")
        wait_until(lambda: not any(link.opened for link in laptop.peer._connections))
        assert tracker(ours).status().devices == laptop.peer.status().devices == ()
    finally:
        other.kill()


def test_a_device_that_is_linked_to_two_processes_of_a_folder_tells_of_that_folder_once(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    phone = device(tmp_path / "phone", listen="127.0.0.1:0", connect=[laptop.peer.url], device="phone")
    theirs = phone.track({})
    other = DeviceProcess(tmp_path / "laptop")
    try:
        other.track("{}", connect=[laptop.peer.url, phone.peer.url], device="laptop")
        other.run("x.a = 1")
        other.sync()
        synced(theirs)
        assert [(one.name, one.durable) for one in tracker(theirs).status().devices] == [("laptop", True)]
        assert other.get("[(one.name, one.durable) for one in tracker(x).status().devices]") == [["phone", True]]
        wait_until(lambda: only(tracker(ours).status()).durable)
    finally:
        other.kill()


def test_two_peers_of_one_structure_that_link_to_each_other_are_no_other_device(device, tmp_path):
    laptop = device(tmp_path, listen="127.0.0.1:0", device="laptop")
    again = device(tmp_path, connect=[laptop.peer.url], device="again")
    ours = laptop.track({})
    assert again.track({}) is ours
    synced(ours)
    assert tracker(ours).status().devices == ()


def test_an_address_that_leads_back(device, caplog):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    laptop.peer.connect(laptop.peer.url)
    ours = laptop.track({})
    wait_until(lambda: "leads back to this peer itself" in only(tracker(ours).status()).reason)
    with pytest.raises(SyncTimeout, match="leads back to this peer itself"):
        tracker(ours).wait_synced(0.5)
    reported = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(reported) == 1


def test_what_cannot_be_called_is_refused(device):
    laptop = device()
    ours = laptop.track({})
    for subscribe in (tracker(ours).on_status, laptop.peer.on_status, tracker(ours).presence.on):
        with pytest.raises(UsageError, match="must be a function"):
            subscribe(3)


def test_a_device_with_two_addresses_is_told_about_once(device, cable, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    other_way = cable(laptop.peer.url)
    phone = device(tmp_path / "phone", connect=[laptop.peer.url, other_way.url], device="phone")
    laptop.track({})
    theirs = phone.track({})
    theirs.a = 1
    synced(theirs)
    links = phone.peer._links
    wait_until(lambda: len(links._identities) == 2 and len(links.connections) == 1)
    laptop.peer.close()
    wait_until(lambda: not any(one.connected for one in tracker(theirs).status().devices))
    assert confirmed(theirs) == ("laptop", False, 0, True)


def test_what_a_device_writes_before_it_leaves_is_not_pending_for_it(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    arrived, applied = queue.SimpleQueue(), threading.Event()
    ours, theirs = laptop.track({}, dispatch=arrived.put), phone.track({})
    applying = threading.Thread(target=lambda: [job() for job in iter(arrived.get, None)])
    applying.start()
    theirs.a = 1
    synced(theirs)
    arrived.put(lambda: applied.wait(DEADLINE))
    theirs.b = 2
    tracker(theirs).close()
    wait_until(lambda: not confirmed(ours)[1])
    applied.set()
    wait_until(lambda: ours == {"a": 1, "b": 2})
    wait_until(lambda: confirmed(ours) == ("phone", False, 0, True))
    arrived.put(None)
    applying.join()
