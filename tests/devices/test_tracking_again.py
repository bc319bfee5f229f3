"""Tracking a name that is open already: the same object, or an error that says what is different."""

from __future__ import annotations

import pytest

from tinysync import KindMismatch, Peer, StructureClosed, UsageError, track, tracker


def test_another_kind_or_a_newer_version_is_refused(tmp_path):
    conf = track({"a": 1}, "conf", folder=tmp_path, version=1)
    with pytest.raises(KindMismatch, match="'conf' is open as a dict, but a list was given"):
        track([], "conf", folder=tmp_path)
    with pytest.raises(UsageError, match="'conf' is open with version=1; close it first"):
        track({}, "conf", folder=tmp_path, version=2)
    assert track({"b": 2}, "conf", folder=tmp_path) is conf
    assert conf == {"a": 1}
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


@pytest.mark.parametrize("device", [5, "", "x" * 101])
def test_a_device_name_that_nobody_could_show_is_refused(device):
    with pytest.raises(UsageError, match="device="):
        Peer(device=device)
