"""``watch``: changes of hand edits, other processes and other devices, as they come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager

from tinysync import Peer, track, tracker
from tinysync.cli.changes import Printer
from tinysync.cli.structures import Structure

from .processes import command, here


@contextmanager
def watching(*arguments):
    """A process that watches, once it does."""
    with subprocess.Popen(
        command("watch", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0, process.stderr.read()
        finally:
            process.kill()


def told(process):
    return json.loads(process.stdout.readline())


def test_changes_are_told_with_path_device_and_origin(place):
    os.chdir(place)
    with (
        Peer(listen="127.0.0.1:0", device="laptop") as laptop,
        Peer(connect=[laptop.url], device="phone") as phone,
    ):
        todo = track({"tasks": []}, "todo", sync=laptop)
        theirs = track({"tasks": []}, "todo", folder=place / "phone", sync=phone)
        with watching("todo", "--json") as process:
            assert told(process) == {"watching": ["todo.yaml"]}
            todo["title/1"] = "Draft"
            change = told(process)
            assert (change["structure"], change["origin"], change["path"]) == ("todo", "remote", ["title/1"])
            assert change["device"] == tracker(todo)._replica.known.here
            assert (change["change"], change["values"]) == ("__setitem__", ["Draft"])
            theirs.tasks.append("milk")
            change = told(process)
            assert (change["origin"], change["device"]) == ("remote", "phone")
            assert (change["path"], change["change"], change["values"]) == (["tasks"], "insert", [0, "milk"])
        for each in (todo, theirs):
            tracker(each).close()


def test_hand_edits_and_a_pattern(place):
    for name in ("conf", "todo"):
        tracker(track({"a": 1, "servers": {}}, name)).close()
    with watching("--json", "--path", "servers/**") as process:
        assert told(process) == {"watching": ["conf.yaml", "todo.yaml"]}
        (place / "conf.yaml").write_text("a: 2\nservers: {web: 80}\n")
        change = told(process)
        assert (change["structure"], change["origin"], change["device"]) == ("conf", "file", None)
        assert change["path"] == ["servers", "web"]


def test_lines_for_people(place):
    tracker(track({"tasks": []}, "todo")).close()
    with watching("todo.yaml") as process:
        todo = track({}, "todo")
        # It tells nobody when it begins: so something is changed until it has told it.
        number = 0
        os.set_blocking(process.stdout.fileno(), False)
        line = ""
        while not line:
            number += 1
            todo.number = number
            line = process.stdout.readline()
        os.set_blocking(process.stdout.fileno(), True)
        assert line.split()[1:6] == ["todo.yaml", "a", "program", "here", "number"]
        assert "\x1b" not in line
        tracker(todo).close()


def test_a_range_of_a_list_is_told_apart_from_its_path(place, capsys):
    structure = Structure("todo", place, ".yaml")
    todo = track({"tasks": ["milk"]}, "todo", callback=Printer(structure, as_json=True))
    people = Printer(structure, as_json=False)
    tracker(todo).on("**", people)
    todo.tasks[1:1] = ["bread", "eggs"]
    del todo.tasks[::2]
    tracker(todo).close()
    lines = capsys.readouterr().out.splitlines()
    first, second = (json.loads(line) for line in lines if line.startswith("{"))
    assert (first["path"], first["range"], first["values"]) == (["tasks"], [1, 1, None], [["bread", "eggs"]])
    assert (second["path"], second["range"], second["change"]) == (["tasks"], [None, None, 2], "__delitem__")
    texts = [line.split("  ", 3)[3] for line in lines if not line.startswith("{")]
    assert texts == ["tasks[1:1] = [bread, eggs]", "tasks[::2] deleted"]


def test_it_ends_when_nobody_reads(place):
    tracker(track({"a": 1}, "todo")).close()
    with subprocess.Popen(
        command("watch", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        told(process)
        process.stdout.close()
        (place / "todo.yaml").write_text("a: 2\n")
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == ""


def test_nothing_to_watch(place):
    assert "there are no structures in" in here("watch").stderr
    tracker(track({}, "todo")).close()
