"""Tracking a name that is open already: the same object, or an error that says what is different."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.peer.devices import DEADLINE
from tinysync import History, KindMismatch, Peer, SQLite, StructureClosed, UsageError, track, tracker
from tinysync.storage.lock import FolderLock
from tinysync.storage.names import document_paths


def test_another_kind_or_a_newer_version_is_refused(tmp_path):
    conf = track({"a": 1}, "conf", folder=tmp_path, version=1)
    with pytest.raises(KindMismatch, match="'conf' is open as a dict, but a list was given"):
        track([], "conf", folder=tmp_path)
    with pytest.raises(UsageError, match="'conf' is open with version=1; close it first"):
        track({}, "conf", folder=tmp_path, version=2)
    assert track({"b": 2}, "conf", folder=tmp_path) is conf
    assert conf == {"a": 1}
    tracker(conf).close()


def first(job):
    job()


def second(job):
    job()


@pytest.mark.parametrize(
    ("present", "other", "told"),
    [
        (
            {},
            {"durability": "disk"},
            "'conf' is open with durability='os'; close it first to open it with durability",
        ),
        ({"durability": "disk"}, {"durability": "os"}, "is open with durability='disk'"),
        (
            {},
            {"history": History(days=1)},
            r"is open with history=History\(days=30, megabytes=10\); close it first",
        ),
        (
            {"history": History(days=1)},
            {"history": History()},
            r"open with history=History\(days=1, megabytes=10\)",
        ),
        ({}, {"dispatch": first}, "'conf' is open without dispatch=; close it first"),
        ({"dispatch": first}, {"dispatch": second}, "'conf' is open with another dispatch=; close it first"),
    ],
)
def test_an_option_that_differs_is_refused_and_one_that_is_the_same_is_not(tmp_path, present, other, told):
    conf = track({}, "conf", folder=tmp_path, **present)
    with pytest.raises(UsageError, match=told):
        track({}, "conf", folder=tmp_path, **other)
    assert track({}, "conf", folder=tmp_path) is conf
    assert track({}, "conf", folder=tmp_path, **present) is conf
    tracker(conf).close()
    conf = track({}, "conf", folder=tmp_path, **other)
    assert track({}, "conf", folder=tmp_path, **other) is conf
    tracker(conf).close()


def test_the_options_of_a_database_are_compared_too(tmp_path):
    conf = track({}, "conf", folder=tmp_path, persist=SQLite)
    with pytest.raises(UsageError, match="'conf' is open with durability='os'"):
        track({}, "conf", folder=tmp_path, persist=SQLite, durability="disk")
    assert track({}, "conf", folder=tmp_path, persist=SQLite, durability="os") is conf
    tracker(conf).close()


def test_a_dispatch_takes_the_place_of_a_loop_that_has_ended_only(tmp_path):
    async def main():
        conf = track({}, "conf", folder=tmp_path)
        with pytest.raises(UsageError, match="'conf' is open with another dispatch=, the event loop that it was"):
            track({}, "conf", folder=tmp_path, dispatch=first)
        return conf

    conf = asyncio.run(main())
    assert track({}, "conf", folder=tmp_path, dispatch=first) is conf
    with pytest.raises(UsageError, match="'conf' is open with another dispatch=; close it first"):
        track({}, "conf", folder=tmp_path, dispatch=second)
    tracker(conf).close()


def test_a_callback_that_is_given_again_is_called_too(tmp_path):
    first, second = [], []
    conf = track({}, "conf", folder=tmp_path, callback=first.append)
    track({}, "conf", folder=tmp_path, callback=second.append)
    conf.a = 1
    assert len(first) == len(second) == 1
    tracker(conf).close()


def test_a_closed_structure_has_no_peers_to_wait_for(tmp_path):
    with Peer(listen="127.0.0.1:0") as peer:
        conf = track({}, "conf", folder=tmp_path, sync=peer)
        tracker(conf).close()
        with pytest.raises(StructureClosed, match="'conf'"):
            tracker(conf).wait_synced(1)


def test_a_name_that_is_just_being_closed_is_opened_anew_when_it_is_closed(tmp_path):
    conf = track({"n": 0}, "conf", folder=tmp_path)
    replica = tracker(conf)._replica
    paths = document_paths("conf", tmp_path)
    # Closing writes the file, and has to wait for that as long as another process has the folder.
    other = FolderLock(paths.state)
    other.acquire(0)
    conf.n = 1
    closer = threading.Thread(target=tracker(conf).close)
    closer.start()
    while "owner=0 " in repr(replica.lock.native):
        assert closer.is_alive()
    again = []

    def open_again():
        again.append(track({"n": 0}, "conf", folder=tmp_path))
        again[0].n += 1

    opener = threading.Thread(target=open_again)
    opener.start()
    opener.join(0.2)
    assert opener.is_alive()
    # Others are opened meanwhile.
    others = track({}, "others", folder=tmp_path)
    tracker(others).close()
    other.release()
    for thread in (closer, opener):
        thread.join(DEADLINE)
        assert not thread.is_alive()
    other.close()
    assert again == [{"n": 2}]
    assert again[0] is not conf
    with pytest.raises(StructureClosed):
        conf.n = 3
    tracker(again[0]).close()
    assert paths.readable.read_text() == "n: 2\n"


def test_a_structure_that_is_tracked_and_closed_by_many_threads_loses_nothing(tmp_path):
    made = []

    def work(label):
        for number in range(15):
            while True:
                conf = track({"log": []}, "conf", folder=tmp_path)
                try:
                    conf.log.append(f"{label} {number}")
                except StructureClosed:
                    continue
                made.append(f"{label} {number}")
                break
            if not number % 3:
                tracker(conf).close()

    threads = [threading.Thread(target=work, args=[label]) for label in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    conf = track({"log": []}, "conf", folder=tmp_path)
    assert sorted(conf.log) == sorted(made)
    assert len(made) == 45
    tracker(conf).close()


def test_tracking_a_name_inside_its_own_block_gives_the_same_also_while_it_is_to_be_closed(tmp_path):
    conf = track({"n": 0}, "conf", folder=tmp_path)
    replica = tracker(conf)._replica
    with conf:
        closer = threading.Thread(target=tracker(conf).close)
        closer.start()
        assert track({"n": 0}, "conf", folder=tmp_path) is conf
        conf.n = 1
    closer.join(DEADLINE)
    assert replica.closed
    again = track({"n": 0}, "conf", folder=tmp_path)
    assert again == {"n": 1}
    tracker(again).close()


@pytest.mark.parametrize("device", [5, "", "x" * 101])
def test_a_device_name_that_nobody_could_show_is_refused(device):
    with pytest.raises(UsageError, match="device="):
        Peer(device=device)
