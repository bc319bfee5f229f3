"""A device that was cut off while it caught up: what it says of itself, and of those that sent it what it has."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest

from tests.peer.devices import wait_until
from tinysync import DeviceStatus, tracker
from tinysync.storage.names import document_paths
from tinysync.tracker.stored import read_stored

from .device import assert_equal, synced
from .processes import DeviceProcess
from .test_catching_up import START

if TYPE_CHECKING:
    from pathlib import Path


def of(structure, name):
    (found,) = (device for device in tracker(structure).status().devices if device.name == name)
    return found


def on_disk(folder: Path):
    return read_stored("todo", document_paths("todo", folder)).status()


@pytest.fixture
def kept(device, tmp_path):
    """Makes devices that keep what they have in a folder."""

    def make(name, **options):
        return device(tmp_path / name, device=name, **options)

    return make


@pytest.fixture
def filled(kept):
    """A device with much in it, of which some was overwritten and removed."""
    laptop = kept("laptop", listen="127.0.0.1:0")
    ours = laptop.track({})
    ours.update(START)
    ours.update({key: value.lower() for key, value in list(START.items())[:50]})
    for key in list(START)[50:60]:
        del ours[key]
    return laptop, ours


def receive_some(theirs, jobs):
    """Bring in the first of what comes; the rest stays where it is, as nothing more is called."""
    while len(theirs) <= 60:
        wait_until(lambda: jobs)
        jobs.popleft()()
    # What was removed is noted in a while.
    wait_until(lambda: of(theirs, "laptop").pending == 0)


def test_what_comes_from_a_device_is_not_pending_for_it(filled, kept):
    laptop, ours = filled
    phone, jobs = kept("phone", connect=[laptop.peer.url]), deque()
    theirs = phone.track({}, dispatch=jobs.append)
    receive_some(theirs, jobs)
    told = of(theirs, "laptop")
    assert told.durable
    assert told.missing > 0
    assert not told.synced
    assert "receiving" in told.state
    assert tracker(theirs).status().missing == told.missing
    synced(theirs)
    assert (of(theirs, "laptop").missing, of(theirs, "laptop").receiving) == (0, None)
    assert_equal(ours, theirs)


def test_a_device_that_was_cut_off_knows_that_it_is_behind(filled, kept, cable, tmp_path):
    laptop, ours = filled
    link = cable(laptop.peer.url)
    phone, jobs = kept("phone", connect=[link.url]), deque()
    theirs = phone.track({}, dispatch=jobs.append)
    receive_some(theirs, jobs)
    link.cut()
    wait_until(lambda: not of(theirs, "laptop").connected)
    here = of(theirs, "laptop")
    assert (here.state, here.pending, here.durable) == ("offline", 0, True)
    assert here.missing > 50
    assert here.receiving is not None
    assert 0 < here.receiving.done < here.receiving.total
    assert f"this device is behind: {here.receiving} received" in str(tracker(theirs).status())
    assert not tracker(theirs).status().synced
    phone.peer.close()
    tracker(theirs).close()
    (after,) = on_disk(tmp_path / "phone").devices
    assert (after.pending, after.missing, after.receiving) == (0, here.missing, here.receiving)
    assert "no program has it open here; this device is behind" in after.remarks
    link.plug_in()
    again = kept("phone", connect=[link.url])
    theirs = again.track({})
    synced(theirs)
    assert_equal(ours, theirs)
    again.peer.close()
    assert (of(theirs, "laptop").missing, of(theirs, "laptop").receiving) == (0, None)
    assert of(theirs, "laptop").remarks == "it is not connected"


def test_what_was_missing_of_one_device_comes_from_another(filled, kept, cable):
    laptop, ours = filled
    tablet = kept("tablet", listen="127.0.0.1:0", connect=[laptop.peer.url])
    synced(tablet.track({}))
    link = cable(laptop.peer.url)
    phone, jobs = kept("phone", connect=[link.url]), deque()
    theirs = phone.track({}, dispatch=jobs.append)
    receive_some(theirs, jobs)
    link.cut()
    wait_until(lambda: not of(theirs, "laptop").connected)
    phone.peer.connect(tablet.peer.url)

    def all_is_here():
        while jobs:
            jobs.popleft()()
        return of(theirs, "laptop").receiving is None

    wait_until(all_is_here)
    # Whether it knows what was removed, and came from the other one, it has not said.
    assert of(theirs, "laptop").missing == 0
    assert_equal(ours, theirs)


def test_a_device_that_was_killed_knows_it_too(filled, kept, tmp_path):
    laptop, ours = filled
    phone = DeviceProcess(tmp_path / "phone")
    phone.run(
        "jobs = []\n"
        f"peer = Peer(connect=[{laptop.peer.url!r}], device='phone')\n"
        f"x = track({{}}, 'todo', folder={str(phone.folder)!r}, sync=peer, dispatch=jobs.append)"
    )
    while phone.get("len(x)") < 60:
        phone.run("while jobs and len(x) < 60: jobs.pop(0)()")
    wait_until(lambda: '"receiving": [' in (phone.folder / ".tinysync/todo/peers").read_text("utf-8"))
    # What was removed is noted in a while.
    wait_until(lambda: not on_disk(phone.folder).pending)
    phone.kill()
    (told,) = on_disk(tmp_path / "phone").devices
    assert (told.name, told.pending, told.synced) == ("laptop", 0, False)
    assert told.missing > 50
    assert "this device is behind" in str(told)
    theirs = kept("phone", connect=[laptop.peer.url]).track({})
    synced(theirs)
    assert_equal(ours, theirs)


@pytest.mark.parametrize(("missing", "told"), [(1, "it lacks 1 change"), (2, "it lacks 2 changes")])
def test_how_many_changes_are_missing(missing, told):
    assert DeviceStatus("phone", missing=missing).remarks == f"this device is behind: {told}"
