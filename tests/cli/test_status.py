"""``status``: which devices have what, read from the disk while others have the structures open."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess

import pytest
from click.shell_completion import ShellComplete

from tests.peer.devices import wait_until
from tinysync import Peer, Pickle, track, tracker
from tinysync.cli.commands import tinysync

from .processes import command, here, printed


@pytest.fixture
def devices(place):
    """Two linked devices, with the structures of the one."""
    folders = place / "laptop", place / "phone"
    laptop = Peer(listen="127.0.0.1:0", device="laptop")
    phone = Peer(connect=[laptop.url], device="phone")
    todo = track({}, "todo", folder=folders[0], sync=laptop)
    theirs = track({}, "todo", folder=folders[1], sync=phone)
    os.chdir(folders[0])
    yield todo, theirs, laptop, phone
    for each in (laptop, phone):
        each.close()
    for each in (todo, theirs):
        tracker(each).close()


def status(*arguments):
    (line,) = printed("status", "--json", *arguments).splitlines()
    return json.loads(line)


def settled(*arguments):
    """The only other device, once it is in step."""
    wait_until(lambda: [each["synced"] for each in status(*arguments)["devices"]] == [True])
    return status(*arguments)["devices"][0]


def test_a_connected_device_is_in_step_behind_and_gone(devices):
    todo, theirs, laptop, phone = devices
    todo.tasks = ["milk"]
    tracker(todo).wait_synced(20)
    device = settled("todo")
    assert (device["name"], device["connected"], device["pending"], device["durable"]) == ("phone", True, 0, True)
    assert device["id"] == tracker(theirs)._replica.known.here
    told = status()
    assert (told["structure"], told["open_in"], told["synced"]) == ("todo", [os.getpid()], True)
    text = printed("status").splitlines()
    assert text[0] == f"todo, open in process {os.getpid()}"
    assert text[1].split()[:2] == ["device", "state"]
    assert text[2].split()[:5] == ["phone", "in", "step", "now", "0"]

    phone.close()
    wait_until(lambda: not status()["devices"][0]["connected"])
    todo.tasks.append("bread")
    (offline,) = status()["devices"]
    assert (offline["pending"], offline["durable"], offline["synced"]) == (1, False, False)
    assert offline["reason"] == "it is not connected"

    laptop.close()
    tracker(todo).close()
    (offline,) = status()["devices"]
    assert (offline["pending"], offline["reason"]) == (1, "no program has it open here")
    assert "todo, not open" in printed("status", "todo.yaml")


def test_the_process_that_had_a_link_was_killed(place):
    program = (
        "import sys, time\n"
        "from tinysync import Peer, Pickle, track, tracker\n"
        "peer = Peer(connect=[sys.argv[1]], device='phone')\n"
        "todo = track({'a': 1}, 'todo', sync=peer)\n"
        "tracker(todo).wait_synced(30)\n"
        "time.sleep(100)\n"
    )
    (place / "there").mkdir()
    with Peer(listen="127.0.0.1:0", device="laptop") as laptop:
        todo = track({}, "todo", folder=place / "there", sync=laptop)
        python = command()[0]
        with subprocess.Popen([python, "-c", program, laptop.url]) as process:
            try:
                wait_until((place / ".tinysync/todo/peers").exists)
                assert settled()["name"] == "laptop"
                assert status()["open_in"] == [process.pid]
            finally:
                process.kill()
        told = status()
        assert told["open_in"] == []
        assert [device["connected"] for device in told["devices"]] == [False]
        tracker(todo).close()


def test_structures_without_other_devices_and_without_a_document(place):
    alone = track({}, "alone")
    assert printed("status") == f"alone, open in process {os.getpid()}: no other devices were met yet\n"
    tracker(alone).close()
    tracker(track({}, "things", persist=Pickle)).close()
    assert printed("status") == "alone, not open: no other devices\n"
    assert "without a document" in here("status", "things").stderr
    os.chdir("/")
    assert "there are no structures in" in here("status").stderr


def test_the_live_table_ends_with_0_and_shows_changes(devices):
    todo, _, _, phone = devices
    settled()
    with subprocess.Popen(
        command("status", "--live", "--json"), stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert json.loads(process.stdout.readline())["devices"][0]["connected"]
        phone.close()
        while json.loads(process.stdout.readline())["devices"][0]["connected"]:
            pass
        todo.more = 1
        while not json.loads(process.stdout.readline())["pending"]:
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_a_terminal_gets_a_live_table_with_colours(devices):
    settled()
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "CI"}}
    with subprocess.Popen(
        command("status", "--live"),
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment | {"TERM": "xterm-256color", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        shown = b""
        while b"Ctrl-C" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, process.stderr.read()
        os.close(ours)
    assert "╭" in shown.decode()
    assert b"in step" in shown
    assert b"\x1b[" in shown


def test_a_device_is_forgotten_by_its_name_or_id(devices):
    todo, _, laptop, phone = devices
    settled()
    refused = here("forget", "todo", "phone")
    assert (refused.exit_code, "phone is linked with another program" in refused.stderr) == (1, True)
    assert "'tinysync status todo'" in here("forget", "todo", "tablet").stderr
    phone.close()
    wait_until(lambda: not status()["devices"][0]["connected"])
    (lost,) = status()["devices"]
    told = json.loads(printed("forget", "todo", lost["id"], "--json"))
    assert told == {"structure": "todo", "device": "phone", "id": lost["id"]}
    assert status()["devices"] == []
    wait_until(lambda: tracker(todo).status().devices == ())
    # What this process writes from here on brings nobody back.
    todo.more = 1
    laptop.close()
    tracker(todo).close()
    assert status()["devices"] == []


def offered(*words):
    complete = ShellComplete(tinysync, {}, "tinysync", "_TINYSYNC_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


def test_those_that_can_be_forgotten_are_offered(devices):
    todo, _, _, phone = devices
    settled()
    assert offered("forget", "todo", "") == []
    phone.close()
    wait_until(lambda: offered("forget", "todo", "") == ["phone"])
    assert offered("forget", "todo", "ph") == ["phone"]
    assert offered("forget", "todo", "t") == offered("forget", "nothing", "") == []
    tracker(todo).close()


def test_of_devices_of_one_name_the_one_that_is_gone_is_forgotten(place):
    def links():
        return sorted(each["connected"] for each in status()["devices"])

    with Peer(listen="127.0.0.1:0", device="laptop") as laptop:
        todo = track({}, "todo", sync=laptop)
        for number in range(3):
            with Peer(connect=[laptop.url], device="phone") as phone:
                theirs = track({}, "todo", folder=place / f"phone{number}", sync=phone)
                wait_until(lambda: sum(links()) == 1)
                if number == 1:
                    assert links() == [False, True]
                    assert printed("forget", "todo", "phone").startswith("todo: phone is forgotten.")
                    assert links() == [True]
                tracker(theirs).close()
            wait_until(lambda: not any(links()))
        assert links() == [False, False]
        refused = here("forget", "todo", "phone")
        assert (refused.exit_code, "give the id" in refused.stderr) == (1, True)
        for each in status()["devices"]:
            assert each["id"] in refused.stderr
        assert sorted(offered("forget", "todo", "")) == sorted(each["id"] for each in status()["devices"])
        tracker(todo).close()
