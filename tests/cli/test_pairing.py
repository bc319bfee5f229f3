"""Only paired devices are let in: ``pair``, and ``--paired`` of the commands that link."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from tests.group.members import GROUP
from tinysync.group.fingerprint import fingerprint_of

from .processes import command, here, printed


class Home:
    """A user on a device: its own folders, and the commands run there."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = os.environ | {
            **dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder)),
            "TINYSYNC_KEY": GROUP.text(),
        }
        self._running = []
        folder.mkdir()

    def run(self, *arguments):
        done = subprocess.run(
            command(*arguments), cwd=self.folder, env=self.environment, capture_output=True, encoding="utf-8",
            timeout=60, check=True,
        )  # fmt: skip
        return done.stdout

    def start(self, *arguments):
        process = subprocess.Popen(
            command(*arguments, "--device", self.folder.name),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._running.append(process)
        return process

    def close(self):
        for process in self._running:
            process.kill()
            process.communicate()


@pytest.fixture
def homes(place):
    made = Home(place / "laptop"), Home(place / "phone")
    yield made
    for home in made:
        home.close()


def line_with(stream, text):
    """The first line that says something; it is waited for until the test is given up."""
    return next(line for line in stream if text in line)


@pytest.mark.parametrize("kind", ["mirror", "serve"])
def test_only_paired_devices_are_let_in(homes, kind):
    laptop, phone = homes
    what = "conf.yaml" if kind == "mirror" else "kept"
    listening = laptop.start(kind, what, "--listen", "127.0.0.1:0", "--no-lan", "--paired")
    first = listening.stdout.readline()
    assert "only paired devices are let in" in first
    assert "nobody is in" in (note := listening.stderr.readline())
    assert "'tinysync pair FINGERPRINT NAME'" in note
    calling = phone.start("mirror", "conf.yaml", "--connect", re.search(r"wss://\S+\d", first)[0])

    # Both say why, and what to do.
    own = phone.run("fingerprint").strip()
    refused = line_with(listening.stderr, "Refused the link from")
    assert f"the device {own} is not in the list of allowed devices" in refused
    assert f"'tinysync pair {own} NAME'" in refused
    turned_away = line_with(calling.stderr, "Refused the link to")
    assert f"this device is not in its list of allowed devices; on that device, pair {own}" in turned_away

    told = laptop.run("pair", own, "my phone")
    assert told.startswith(f"my phone is allowed: {own}\n")
    assert line_with(listening.stdout, "Linked") == "Linked with phone.\n"
    assert line_with(calling.stdout, "Linked") == "Linked with laptop.\n"


def test_the_other_device_has_to_pair_this_one_too(homes):
    laptop, phone = homes
    (laptop.folder / "friends").touch(mode=0o600)
    listening = laptop.start("mirror", "conf.yaml", "--listen", "127.0.0.1:0")
    url = re.search(r"wss://\S+\d", listening.stdout.readline())[0]
    calling = phone.start("mirror", "conf.yaml", "--connect", url, "--paired-in", "friends")
    own = laptop.run("fingerprint").strip()
    assert "'tinysync pair FINGERPRINT NAME --file friends'" in calling.stderr.readline()
    assert f"'tinysync pair {own} NAME --file friends'" in line_with(calling.stderr, "Refused the link to")
    turned_away = line_with(listening.stderr, "Refused the link from")
    assert f"there, pair {own}" in turned_away
    told = phone.run("pair", own, "laptop", "--file", "friends", "--json")
    assert json.loads(told) == {"fingerprint": own, "device": "laptop", "path": str(phone.folder / "friends")}
    assert line_with(calling.stdout, "Linked") == "Linked with laptop.\n"


@pytest.mark.parametrize(
    ("options", "way"),
    [
        ([], "--paired"),
        (["--file", "friends"], "--paired-in friends"),
        (["--file", "my friends"], "--paired-in 'my friends'"),
    ],
)
def test_pair_says_what_takes_effect_where(place, options, way):
    told = printed("pair", fingerprint_of(b"phone"), "phone", *options)
    assert f"with {way}" in told
    assert "'tinysync fingerprint'" in told
    if options:
        assert str(place / options[1]) in told


def test_who_pairs_the_own_digits_is_told(place, monkeypatch):
    monkeypatch.setenv("TINYSYNC_KEY", GROUP.text())
    other = here("pair", fingerprint_of(b"phone"), "phone")
    assert (other.exit_code, other.stderr) == (0, "")
    own = printed("fingerprint").strip()
    told = here("pair", own, "phone")
    assert (told.exit_code, "the digits of this device itself" in told.stderr) == (0, True)
    assert here("pair", fingerprint_of(b"phone"), "phone").stderr == ""


@pytest.mark.parametrize("option", [["--paired"], ["--paired-in", "friends"]])
def test_without_a_key_nobody_is_paired(place, option):
    result = here("mirror", "conf.yaml", "--no-key", "--listen", "127.0.0.1:0", *option)
    assert (result.exit_code, "leave out --no-key" in result.stderr) == (2, True)
