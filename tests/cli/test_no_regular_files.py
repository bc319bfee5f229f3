"""Commands that meet a pipe or a device where a file belongs: they say so, and do not wait for it to end."""

from __future__ import annotations

import json
import sys

import pytest

from tests.tracker.test_no_regular_files import a_device, a_pipe
from tinysync import Pickle, SQLite, track, tracker

from .processes import here

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these are files of Unix")

KINDS = pytest.mark.parametrize(("make", "kind"), [(a_pipe, "a named pipe"), (a_device, "a device")])


@KINDS
@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@pytest.mark.parametrize(
    "command",
    [("mirror", "{}", "--no-key", "--listen", "127.0.0.1:0"), ("set", "{}", "a", "1"), ("get", "{}")],
    ids=lambda command: command[0],
)
def test_it_is_refused(place, command, make, kind, suffix):
    make(place / f"conf{suffix}")
    result = here(*(word.format(f"conf{suffix}") for word in command))
    assert (result.exit_code, result.stdout) == (1, "")
    told = f"Error: {place}/conf{suffix} is {kind}, not a file that can be read and replaced: move it away"
    assert result.stderr.startswith(told)
    assert not (place / ".tinysync").exists()


def unreadable(*arguments):
    """The names of the files that the doctor cannot read, and what it says of each."""
    result = here("doctor", "--json", *arguments)
    assert result.exit_code == 3, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {
        (each["file"], each["message"], each["repairable"]) for each in found if each["finding"] == "unreadable"
    }


@KINDS
@pytest.mark.parametrize("persist", [True, SQLite])
@pytest.mark.parametrize("repair", [(), ("--repair",)])
def test_the_doctor_finds_one_in_the_place_of_a_structure(place, make, kind, persist, repair):
    tracker(track({"a": 1}, "conf", persist=persist)).close()
    path = place / ("conf.yaml" if persist is True else "conf.sqlite")
    path.unlink()
    make(path)
    assert unreadable(*repair) == {(str(path), f"{path.name} is {kind} where a file belongs", False)}
    assert not path.is_file()


@KINDS
@pytest.mark.parametrize("name", ["device", "peers", "base", "kept-as", "conflicts", "ops"])
def test_the_doctor_finds_one_in_a_state_folder(place, make, kind, name):
    tracker(track({"a": 1}, "conf")).close()
    tracker(track({"a": 1}, "other", persist=Pickle)).close()
    state = place / ".tinysync/conf"
    path = next(state.glob("*.ops")) if name == "ops" else state / name
    path.unlink(missing_ok=True)
    make(path)
    assert unreadable() == {(str(path), f"{path.name} is {kind} where a file belongs", False)}
    assert unreadable(str(place), str(place)) == unreadable()
    result = here("log", "conf")
    assert result.exit_code == 1
    assert f"{path.name}" in result.stderr
