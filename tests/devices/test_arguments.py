"""What track() and Peer() are given by mistake is refused at once, with words."""

from __future__ import annotations

import pytest

from tinysync import InvalidAddress, Peer, UsageError, track


@pytest.mark.parametrize("wrong", [{"dispatch": 3}, {"callback": 3}, {"folder": 3}, {"folder": None}])
def test_track_refuses(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (name,) = wrong
    with pytest.raises(UsageError, match=f"{name}= must be"):
        track({}, "todo", **wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a\nb", "a\x1b[2J", "x" * 300, 3])
def test_a_name_of_a_device_is_one_printable_line(name):
    with pytest.raises(UsageError, match="device= must be"):
        Peer(device=name)


@pytest.mark.parametrize("wrong", [3, "ws://127.0.0.1:1"])
def test_connect_takes_a_list(wrong):
    with pytest.raises(InvalidAddress, match="takes a list"):
        Peer(connect=wrong)
