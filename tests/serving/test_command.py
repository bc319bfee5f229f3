"""``tinysync serve`` as a process, which is killed and started again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.devices.conftest import device  # noqa: F401 - a fixture
from tests.devices.device import assert_equal, synced
from tests.peer.devices import DEADLINE, wait_until
from tinysync.protocol import Limits
from tinysync.protocol.yjs_codec import Answer, Ask, decode, encode

pytest.importorskip("click")


@pytest.fixture
def start(tmp_path):
    """Starts the command; returns the process and what it said first."""
    running = []

    def begin(*arguments, **streams):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tinysync", "serve", tmp_path / "kept", "--json", *arguments],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            **streams,
        )
        running.append(process)
        return process, json.loads(process.stdout.readline())

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def test_it_goes_on_after_kill_9_with_all_that_it_has_confirmed(start, device, tmp_path):  # noqa: F811
    process, told = start("--no-key", "--listen", "127.0.0.1:0")
    url = told["listening"]
    laptop = device(tmp_path / "laptop", connect=[url], device="laptop")
    ours = laptop.track({"log": []})
    for number in range(50):
        ours.log.append(number)
    synced(ours)
    process.kill()
    assert {"document": "todo"} in map(json.loads, process.stdout.read().splitlines())
    wait_until(lambda: not laptop.peer.connected_devices())
    laptop.peer.close()

    process, _ = start("--no-key", "--listen", url)
    phone = device(tmp_path / "phone", connect=[url], device="phone")
    theirs = phone.track({"log": []})
    synced(theirs)
    assert_equal(ours, theirs)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_patterns_and_what_it_takes(start, tmp_path):
    wrong = subprocess.run(
        [sys.executable, "-m", "tinysync", "serve", tmp_path / "kept", "--no-lan"],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (wrong.returncode, "nobody to link with" in wrong.stderr) == (2, True)


def test_it_takes_yjs_clients(start, device, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("TINYSYNC_YJS_TOKEN", "a-token-nobody-guesses")
    _, told = start("--no-key", "--listen", "127.0.0.1:0", "--yjs", "127.0.0.1:0")
    laptop = device(tmp_path / "laptop", connect=[told["listening"]], device="laptop")
    synced(laptop.track({"log": [1]}))
    with pytest.raises(InvalidStatus, match="401"):
        connect(f"{told['yjs']}/todo", proxy=None)
    with connect(f"{told['yjs']}/todo?token=a-token-nobody-guesses", proxy=None) as client:
        client.send(encode(Ask(b"\0")))
        assert isinstance(decode(client.recv(DEADLINE), Limits()), Answer)


def test_it_says_in_words_of_the_shell_why_a_page_is_turned_away(start):
    process, told = start("--no-key", "--yjs", "127.0.0.1:0", stderr=subprocess.PIPE)
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{told['yjs']}/todo", proxy=None, origin="http://elsewhere.example")
    line = process.stderr.readline()
    assert "'http://elsewhere.example'" in line
    assert "set the environment variable TINYSYNC_YJS_TOKEN, and give the page the token" in line
