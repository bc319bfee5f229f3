"""Devices that will not come back, and are forgotten; those that do come back are met again."""

from __future__ import annotations

import json
import shutil
import threading

import pytest

from tests.devices.processes import DeviceFailed, DeviceProcess
from tests.peer.devices import DEADLINE, wait_until
from tinysync import StorageError, StructureClosed, UsageError, track, tracker

from .device import synced


def started_anew(device, tmp_path):
    """A laptop, and a phone whose folder was lost, so that it began anew: the laptop knows two phones."""
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({})
    for _ in range(2):
        phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
        theirs = phone.track({})
        theirs.a = 1
        synced(theirs)
        wait_until(lambda: tracker(ours).status().devices[0].connected)
        if len(tracker(ours).status().devices) == 1:
            phone.peer.close()
            tracker(theirs).close()
            shutil.rmtree(tmp_path / "phone")
    return laptop, ours, theirs


def phone_calls(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", device="laptop")
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    return laptop, phone, ours, theirs


def laptop_calls(device, tmp_path):
    phone = device(tmp_path / "phone", listen="127.0.0.1:0", device="phone")
    laptop = device(tmp_path / "laptop", connect=[phone.peer.url], device="laptop")
    ours, theirs = laptop.track({}), phone.track({})
    return laptop, phone, ours, theirs


def names(structure):
    return [(one.name, one.connected) for one in tracker(structure).status().devices]


def in_file(folder):
    (file,) = folder.rglob("peers")
    return list(json.loads(file.read_text())["devices"])


def test_a_device_that_began_anew_is_in_step_once_the_lost_one_is_forgotten(device, tmp_path):
    laptop, ours, theirs = started_anew(device, tmp_path)
    assert names(ours) == [("phone", True), ("phone", False)]
    assert not tracker(ours).status().synced
    heard, by_peer = threading.Event(), threading.Event()
    with (
        tracker(ours).on_status(lambda status: status.synced and heard.set()),
        laptop.peer.on_status(lambda status: status.synced and by_peer.set()),
    ):
        tracker(ours).forget(tracker(ours).status().devices[1])
        assert heard.wait(DEADLINE)
        assert by_peer.wait(DEADLINE)
    assert tracker(ours).status().synced
    # It stays forgotten.
    laptop.peer.close()
    tracker(ours).close()
    again = track({}, "todo", folder=tmp_path / "laptop")
    assert names(again) == [("phone", False)]
    assert [one.id for one in tracker(again).status().devices] == [tracker(theirs)._replica.known.here]
    tracker(again).close()


def test_a_device_that_comes_back_is_met_again(device, tmp_path):
    laptop, phone, ours, theirs = phone_calls(device, tmp_path)
    synced(ours, theirs)
    phone.peer.close()
    wait_until(lambda: names(ours) == [("phone", False)])
    ours.b = 2
    (lost,) = tracker(ours).status().devices
    tracker(ours).forget(lost.id)
    assert tracker(ours).status().devices == ()
    again = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    assert again.track({}) is theirs
    synced(theirs)
    wait_until(lambda: tracker(ours).status().synced)
    assert [one.id for one in tracker(ours).status().devices] == [lost.id]
    assert theirs == {"b": 2}


@pytest.mark.parametrize("goes", ["the link", "the structure"])
def test_who_is_forgotten_while_it_is_noted_that_it_went_stays_forgotten(device, tmp_path, goes):
    laptop, phone, ours, theirs = phone_calls(device, tmp_path)
    synced(ours, theirs)
    wait_until(lambda: tracker(ours).status().synced)
    (link,) = laptop.peer._connections
    with ours:  # keeps it from being noted what the phone has
        phone.peer.close() if goes == "the link" else tracker(theirs).close()
        wait_until(lambda: names(ours) == [("phone", False)])
        looks = [*link._last_looks]
        tracker(ours).forget(tracker(ours).status().devices[0])
    wait_until(lambda: all(look.done() for look in looks) if goes == "the structure" else link.ended.is_set())
    assert not tracker(ours)._replica.known.all()
    tracker(ours).close()
    assert in_file(tmp_path / "laptop") == []


def test_of_who_was_at_an_address_only_the_address_is_left(device, tmp_path):
    laptop, phone, ours, theirs = laptop_calls(device, tmp_path)
    synced(ours, theirs)
    phone.peer.close()
    wait_until(lambda: names(ours) == [("phone", False)])
    tracker(ours).forget(tracker(ours).status().devices[0])
    wait_until(lambda: not laptop.peer._connections)
    (left,) = tracker(ours).status().devices
    assert (left.id, left.address, left.acked) == (None, laptop.peer._links.missing()[0], 0)
    with pytest.raises(UsageError, match="nothing is remembered of phone.*a peer is to connect"):
        tracker(ours).forget(left)


def test_of_who_is_linked_and_shares_it_no_more_only_the_link_is_left(device, tmp_path):
    _, phone, ours, theirs = laptop_calls(device, tmp_path)
    synced(ours, theirs)
    tracker(theirs).close()
    wait_until(lambda: tracker(ours).status().devices[0].unshared)
    tracker(ours).forget(tracker(ours).status().devices[0])
    (left,) = tracker(ours).status().devices
    assert (left.name, left.id, left.unshared, left.acked) == ("phone", None, True, 0)
    again = phone.track({})
    synced(ours, again)
    wait_until(lambda: tracker(ours).status().synced)
    assert tracker(ours).status().devices[0].id == tracker(again)._replica.known.here


def test_who_cannot_be_forgotten(device, tmp_path):
    laptop = device(tmp_path / "laptop", listen="127.0.0.1:0", connect=["ws://127.0.0.1:9"], device="laptop")
    phone = device(tmp_path / "phone", connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    wait_until(lambda: len(names(ours)) == 2 and names(ours)[0] == ("phone", True))
    linked, nobody = tracker(ours).status().devices
    with pytest.raises(UsageError, match="phone is linked.* offline"):
        tracker(ours).forget(linked)
    with pytest.raises(UsageError, match=r"ws://127.0.0.1:9 was never met.*a peer is to connect"):
        tracker(ours).forget(nobody)
    for unknown in ("", "f" * 32, "phone"):
        with pytest.raises(UsageError, match=f"'todo' knows no device with the id '{unknown}'"):
            tracker(ours).forget(unknown)
    with pytest.raises(UsageError, match="entry of status"):
        tracker(ours).forget(3)
    tracker(ours).close()
    with pytest.raises(StructureClosed, match="forget"):
        tracker(ours).forget(linked)


def test_other_processes_of_the_folder_do_not_bring_it_back(device, tmp_path):
    laptop, ours, theirs = started_anew(device, tmp_path)
    other = DeviceProcess(tmp_path / "laptop")
    try:
        other.track("{}")
        assert other.get("len(tracker(x).status().devices)") == 2
        lost, kept = tracker(ours).status().devices[1].id, tracker(ours).status().devices[0].id
        # The link is one of this process.
        with pytest.raises(DeviceFailed, match="phone is linked with another program"):
            other.run(f"tracker(x).forget({kept!r})")
        other.run(f"tracker(x).forget({lost!r})")
        wait_until(lambda: tracker(ours).status().synced)
        # What is noted and written from here on brings nobody back.
        theirs.c = 3
        synced(theirs)
        laptop.peer.close()
        tracker(ours).close()
        assert in_file(tmp_path / "laptop") == [kept]
        assert other.get("[one.id for one in tracker(x).status().devices]") == [kept]
        other.run("tracker(x).close()")
        assert in_file(tmp_path / "laptop") == [kept]
    finally:
        other.kill()


def test_a_file_that_is_gone_or_damaged_meanwhile_forgets_nobody(device, tmp_path):
    laptop, ours, _ = started_anew(device, tmp_path)
    laptop.peer.close()
    (file,) = (tmp_path / "laptop").rglob("peers")
    for damage in (file.unlink, lambda: file.write_bytes(b"{"), lambda: file.write_bytes(b'{"version": 99}')):
        damage()
        assert not tracker(ours)._replica.known.look()
        assert len(tracker(ours).status().devices) == 2


def is_in_the_way_of(file):
    """Put a folder in the place of a file; what was noted a moment ago may just be written there."""
    file.unlink(missing_ok=True)
    try:
        (file / "in the way").mkdir(parents=True)
    except (FileExistsError, NotADirectoryError):
        return False
    return True


def test_what_cannot_be_written_is_said_and_nobody_is_forgotten(device, tmp_path):
    _, ours, _ = started_anew(device, tmp_path)
    lost = tracker(ours).status().devices[1]
    (file,) = (tmp_path / "laptop").rglob("peers")
    content = file.read_bytes()
    wait_until(lambda: is_in_the_way_of(file))
    with pytest.raises(StorageError, match="Could not forget phone in .*peers"):
        tracker(ours).forget(lost)
    assert len(tracker(ours).status().devices) == 2
    shutil.rmtree(file)
    file.write_bytes(content)
    tracker(ours).forget(lost)
    assert tracker(ours).status().synced
