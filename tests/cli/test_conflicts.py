"""``conflicts``, and what ``mirror`` and ``watch`` tell of them: hand edits of two devices that were apart."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import pytest
import yaml

from tests.peer.devices import wait_until
from tinysync import NOTHING, Conflict, Peer, track, tracker
from tinysync.cli.conflicts import _for_people
from tinysync.cli.structures import Structure

from .processes import command, here, printed


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def mirroring(file, *arguments):
    """A process that mirrors a file, and the first line it prints."""
    with subprocess.Popen(
        command("mirror", file, "--no-key", *arguments), stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield process, process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


@pytest.fixture
def apart(place):
    """The folders of two devices, A and B, that had conf.yaml and each edited its port since."""
    peer = Peer(listen="127.0.0.1:0", device="A")
    other = Peer(connect=[peer.url], device="B")
    structures = []
    for name, one in (("A", peer), ("B", other)):
        (place / name).mkdir()
        structures.append(track({"port": 0, "a": {"x": 1}}, "conf", folder=place / name, sync=one))
        tracker(structures[-1]).wait_synced(30)
    for one in (peer, other):
        one.close()
    for number, structure in enumerate(structures):
        structure.port = 1 + number
        tracker(structure).close()
    os.chdir(place / "A")
    return place


def lost_at(place):
    """The device whose edit was lost: it always notes it, the other one where it heard of it in time."""
    kept = yaml.safe_load((place / "A/conf.yaml").read_text())["port"]
    os.chdir(place / "AB"[kept % 2])
    return "AB"[kept % 2], kept


def meet(place):
    """Have the two devices meet; returns the one whose edit was lost, and what was kept."""
    with Peer(listen="127.0.0.1:0", device="A") as peer, Peer(connect=[peer.url], device="B") as other:
        structures = [
            track({}, "conf", folder=place / name, sync=one) for name, one in (("A", peer), ("B", other))
        ]
        for structure in structures:
            tracker(structure).wait_synced(30)
        for structure in structures:
            tracker(structure).close()
    return lost_at(place)


def test_mirror_prints_what_was_lost(apart):
    files = [apart / name / "conf.yaml" for name in "AB"]
    with (
        mirroring(files[0], "--listen", "127.0.0.1:0", "--device", "A") as (first, told),
        mirroring(files[1], "--connect", re.search(r"ws://\S+\d", told)[0], "--device", "B") as (
            second,
            _,
        ),
    ):
        wait_until(lambda: files[0].read_text() == files[1].read_text())
        loser, kept = lost_at(apart)
        process = first if loser == "A" else second
        line = process.stdout.readline()
        while "  conflict  " not in line:
            line = process.stdout.readline()
    text = f"conf.yaml  conflict  port: your {3 - kept} gave way to {kept} (by {'AB'[kept - 1]})\n"
    assert line.split(maxsplit=1)[1] == text


def test_the_journal_is_listed_and_what_was_lost_is_brought_back(apart):
    _, kept = meet(apart)
    lost = 3 - kept
    (told,) = lines(printed("conflicts", "conf", "--json"))
    assert (told["number"], told["path"], told["lost"], told["kept"]) == (1, ["port"], lost, kept)
    head, row = printed("conflicts", "conf.yaml").splitlines()
    assert head.split() == ["number", "when", "where", "lost", "kept"]
    assert row.split()[0] == "1"
    assert row.split()[2:] == ["port", "your", str(lost), str(kept), "(by", f"{'AB'[kept - 1]})"]
    text = printed("conflicts", "conf", "--restore", 1)
    assert text.startswith("What was lost at port is back. To take that back: tinysync restore conf ")
    assert printed("get", "conf", "port") == f"{lost}\n"
    printed(*text.split(": tinysync ")[1].split())
    assert printed("get", "conf", "port") == f"{kept}\n"
    printed("conflicts", "conf", "--restore", 1)
    told = json.loads(printed("conflicts", "conf", "--restore", 1, "--json"))
    assert (told["structure"], told["path"], told["changed"]) == ("conf", ["port"], False)


def test_wrong_numbers_and_no_conflicts(apart):
    assert printed("conflicts", "conf") == "conf has no conflicts.\n"
    assert printed("conflicts", "conf", "--json") == ""
    result = here("conflicts", "conf", "--restore", 1)
    assert (result.exit_code, "no conflict 1" in result.stderr) == (1, True), result.stderr


@contextmanager
def watching(folder, *arguments):
    with subprocess.Popen(
        command("watch", "--json", *arguments), stdout=subprocess.PIPE, encoding="utf-8", cwd=folder
    ) as process:
        try:
            assert json.loads(process.stdout.readline()) == {"watching": ["conf.yaml"]}
            yield process
        finally:
            process.kill()


def test_watch_prints_it_where_it_looks(apart):
    with (
        watching(apart / "A", "--path", "port") as first,
        watching(apart / "B") as second,
        watching(apart / "A", "--path", "a") as elsewhere,
    ):
        loser, kept = meet(apart)
        process = first if loser == "A" else second
        told = json.loads(process.stdout.readline())
        while "conflict" not in told:
            told = json.loads(process.stdout.readline())
        (apart / "A/conf.yaml").write_text("a: {x: 2}\nport: 1\n")
        assert json.loads(elsewhere.stdout.readline())["path"] == ["a", "x"]
    assert (told["structure"], told["path"], told["conflict"]) == ("conf", ["port"], "value")
    assert told["file"] == str(apart / loser / "conf.yaml")
    assert (told["lost"], told["lost_here"]) == (3 - kept, True)
    assert (told["kept"], told["kept_device"]) == (kept, "AB"[kept - 1])


def test_what_is_no_value(place):
    def line(**changed):
        conflict = Conflict(["a", 0], "value", 1, 2, "A", "B", True, datetime.now().astimezone(), lambda: None)
        return _for_people(replace(conflict, **changed), Structure("conf", place, ".yaml")).plain.split(": ")[1]

    assert line(lost=NOTHING) == "your deletion gave way to 2 (by B)"
    assert line(kept=NOTHING, lost_here=False, kept_device="", lost_device="") == (
        "1 (another device) gave way to your deletion"
    )
    assert line(kept=NOTHING) == "your 1 gave way to a deletion (by B)"
    assert line(kind="move") == "your move to 1 gave way to a move to 2 (by B)"
    assert line(via=True) == "your 1 gave way to 2 (via B)"
