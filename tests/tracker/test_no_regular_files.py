"""What lies in the place of a structure's file and is no file that could be read and replaced."""

from __future__ import annotations

import logging
import os
import socket
import sys

import pytest

from tests.peer.devices import wait_until
from tests.tracker.opened import open_in
from tinysync import JSON, Pickle, SQLite, StorageError, track, tracker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these are files of Unix")


def a_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_device(path):
    path.symlink_to("/dev/zero")


def a_folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "told"),
    [(a_pipe, "a named pipe"), (a_socket, "a socket"), (a_device, "a device"), (a_folder, "a folder")],
)
@pytest.mark.parametrize("persist", [True, JSON, Pickle, SQLite])
def test_it_is_refused_and_left_as_it_is(tmp_path, monkeypatch, make, told, persist):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    suffix = ".yaml" if persist is True else persist().suffix
    path = tmp_path / f"conf{suffix}"
    make(path.relative_to(tmp_path) if make is a_socket else path)
    before = os.lstat(path)
    with pytest.raises(StorageError, match=rf"conf\{suffix} is {told}, not a file .*: move it away"):
        track({}, "conf", folder=tmp_path, persist=persist)
    assert os.lstat(path) == before
    path.rmdir() if make is a_folder else path.unlink()
    tracker(track({}, "conf", folder=tmp_path, persist=persist)).close()


def test_one_that_comes_while_the_structure_is_open_is_reported(tmp_path, caplog):
    path = tmp_path / "conf.yaml"
    with caplog.at_level(logging.ERROR, "tinysync"):
        replica = open_in(tmp_path, {"a": 1})
        path.unlink()
        os.mkfifo(path)
        wait_until(lambda: "conf.yaml is a named pipe" in caplog.text)
        path.unlink()
        path.write_text("a: 2\n")
        wait_until(lambda: replica.root == {"a": 2})
        replica.close()


@pytest.mark.parametrize("persist", [True, Pickle, SQLite])
def test_a_link_to_nothing_is_refused_and_nothing_is_made_where_it_leads(tmp_path, persist):
    suffix = ".yaml" if persist is True else persist().suffix
    target = tmp_path / "drive" / "here" / "conf"
    path = tmp_path / f"conf{suffix}"
    path.symlink_to(target)
    with pytest.raises(
        StorageError, match=rf"conf\{suffix} is a link to {target}, which is not there: bring that"
    ):
        track({"a": 1}, "conf", folder=tmp_path, persist=persist)
    assert not (tmp_path / "drive").exists()
    path.unlink()
    tracker(track({}, "conf", folder=tmp_path, persist=persist)).close()


def test_a_link_whose_file_goes_while_the_structure_is_open_is_reported(tmp_path, caplog):
    drive, elsewhere = tmp_path / "drive", tmp_path / "elsewhere"
    drive.mkdir()
    (drive / "real.yaml").write_text("a: 1\n")
    (tmp_path / "conf.yaml").symlink_to(drive / "real.yaml")
    with caplog.at_level(logging.ERROR, "tinysync"):
        replica = open_in(tmp_path, {})
        drive.rename(elsewhere)
        wait_until(lambda: "conf.yaml is a link to" in caplog.text)
        assert not drive.exists()
        elsewhere.rename(drive)
        (drive / "real.yaml").write_text("a: 2\n")
        wait_until(lambda: replica.root == {"a": 2})
        replica.close()
