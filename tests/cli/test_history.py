"""``log``, ``at`` and ``restore``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.peer.devices import wait_until
from tinysync import History, Peer, Pickle, track, tracker
from tinysync.cli.changes import Printer
from tinysync.cli.structures import Structure
from tinysync.cli.times import When, ago, moment

from .processes import command, here, printed, run


@pytest.fixture
def todo(place):
    """The folder of a structure with three versions."""
    structure = track({"title": "Draft", "tasks": []}, "todo")
    structure.tasks.append("milk")
    structure["1/2"] = {3: "deep"}
    tracker(structure).close()
    return place


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_log_tells_versions(todo):
    before = files(todo)
    text = printed("log", "todo").splitlines()
    assert text[0].split() == ["version", "when", "who", "what"]
    assert [(line.split()[0], line.split()[2:]) for line in text[1:]] == [
        ("3", ["here", r"1\/2"]),
        ("2", ["here", "tasks"]),
        ("1", ["defaults", "tasks,", "title"]),
    ]
    (newest,) = lines(printed("log", "todo.yaml", "-n", 1, "--json"))
    assert (newest["structure"], newest["version"], newest["origin"]) == ("todo", 3, "local")
    assert newest["paths"] == [["1/2"]]
    assert abs(datetime.fromisoformat(newest["when"]) - datetime.now().astimezone()) < timedelta(minutes=5)
    assert [each["version"] for each in lines(printed("log", "todo", "--json", "-n", 0))] == [3, 2, 1]
    assert files(todo) == before


def test_what_was_is_shown_as_yaml_and_json(todo):
    before = files(todo)
    assert printed("at", "todo", 1) == "tasks: []\ntitle: Draft\n"
    assert json.loads(printed("at", "todo", 2, "--json")) == {"tasks": ["milk"], "title": "Draft"}
    assert printed("at", "todo", "v2", "tasks/0") == "milk\n"
    assert json.loads(printed("at", "todo", "0m", "--json"))["1/2"] == {"3": "deep"}
    assert files(todo) == before


def test_restoring_all_and_a_part(todo):
    assert "to take that back: tinysync restore todo 3" in printed("restore", "todo", 1).lower()
    assert json.loads(printed("get", "todo", "--json")) == {"tasks": [], "title": "Draft"}
    told = json.loads(printed("restore", "todo.yaml", 2, "tasks/0", "--json"))
    assert told == {"structure": "todo", "path": ["tasks", 0], "changed": True, "version": 5}
    assert printed("get", "todo", "tasks") == "- milk\n"
    assert "Nothing to do" in printed("restore", "todo", 2)
    assert "1/2" not in (todo / "todo.yaml").read_text()


def test_a_command_keeps_the_history_that_a_program_keeps(place):
    structure = track({}, "long", history=History(days=10_000))
    structure.a = 1
    tracker(structure).close()
    state = place / ".tinysync" / "long"
    printed("compact", "long")
    assert len(lines(printed("log", "long", "--json"))) == 2
    printed("set", "long.yaml", "b", 2)
    assert len(lines(printed("log", "long", "--json"))) == 3
    assert list(state.glob("*.past"))


def test_the_history_while_another_process_writes_it(todo):
    program = (
        "from tinysync import track, tracker\n"
        "todo = track({}, 'todo')\n"
        "todo.title = 'Other'\n"
        "print(flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as other:
        other.stdout.readline()
        before = files(todo)
        assert printed("at", "todo", 4, "title") == "Other\n"
        assert len(lines(printed("log", "todo", "--json"))) == 4
        assert files(todo) == before
        assert "title is as it was then" in printed("restore", "todo", 3, "title")
        other.communicate("\n", timeout=60)
    assert printed("get", "todo", "title") == "Draft\n"


def test_a_file_that_does_not_parse_hides_no_history(todo):
    (todo / "todo.yaml").write_text("title: [\n")
    assert printed("at", "todo", 1, "title") == "Draft\n"
    assert here("restore", "todo", 1).exit_code == 1


def test_lists_sets_and_names_in_folders(place):
    for name, value in (("home/lights", ["a"]), ("words", {"b"})):
        tracker(track(value, name)).close()
    assert printed("at", "home/lights.yaml", 1) == "- a\n"
    assert json.loads(printed("at", "words", 1, "--json")) == ["b"]
    assert printed("get", place / "home" / "lights") == "- a\n"
    (place / "words.yaml").unlink()
    assert json.loads(printed("get", "words", "--json")) == ["b"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["log", "tood"], 1, "there is no structure tood here: did you mean todo?"),
        (["log", "other.yaml"], 1, "there is no file other.yaml"),
        (["log", "new.yaml"], 1, "new.yaml was not tracked yet"),
        (["log", "things"], 1, "kept in a file that ends in .pickle"),
        (["restore", "things", "1"], 1, "kept in a file that ends in .pickle"),
        (["at", "todo", "99"], 1, "version 99 is not kept: there are 0 to 3"),
        (["at", "todo", "soonish"], 2, "'soonish' is no version and no time"),
        (["at", "todo", "1", "tasks/7"], 1, "todo at that time has no entry tasks/7"),
        (["restore", "todo", "1999-01-01"], 1, "the history that is kept begins at"),
        (["get", "todo.json"], 1, "there is no file todo.json; todo is kept in todo.yaml"),
        (["log"], 2, "Missing argument 'NAME'"),
    ],
)
def test_errors(todo, arguments, code, message):

    tracker(track({}, "things", persist=Pickle)).close()
    (todo / "new.yaml").write_text("a: 1\n")
    result = here(*arguments)
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert message in result.output
    if code == 1:
        told = here(*arguments, "--json")
        assert told.exit_code == 1
        assert json.loads(told.stderr) == {"error": json.loads(told.stderr)["error"], "exit": 1}
        assert message in json.loads(told.stderr)["error"]


def test_times():
    when = When()
    now = datetime.now().astimezone()
    assert when.convert("12", None, None) == 12
    for text, back in (("10m", 600), ("2 hours ago", 7200), ("1.5d", 129_600), ("1w", 604_800)):
        assert abs((now - when.convert(text, None, None)).total_seconds() - back) < 60
    assert when.convert("2026-05-01 12:30", None, None) == datetime.fromisoformat("2026-05-01T12:30")
    assert when.convert("00:30", None, None).hour == 0
    assert when.convert("yesterday", None, None) < now - timedelta(hours=23)
    assert moment(now) == f"{now:%H:%M:%S}"
    assert moment(now - timedelta(days=3)).startswith("20")
    assert (ago(None), ago(now)) == ("never", "just now")
    assert ago(now - timedelta(minutes=3, seconds=5)) == "3 min ago"


def test_a_reader_that_goes_away_ends_it_quietly(todo):
    for arguments in (["log", "todo"], ["log", "todo", "--json"]):
        reader, writer = os.pipe()
        os.close(reader)
        with subprocess.Popen(command(*arguments), stdout=writer, stderr=subprocess.PIPE) as process:
            os.close(writer)
            assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == 141


def test_a_process_prints_no_colours_into_a_pipe(todo):
    result = run("log", "todo")
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert "─" not in result.stdout


def test_the_first_version_of_a_file_that_was_there_is_the_file(place):
    (place / "notes.yaml").write_text("a: 1\n")
    printed("get", "notes.yaml")
    assert printed("log", "notes").splitlines()[1].split()[2:] == ["the", "file", "a"]


def test_a_time_before_all_versions_is_told_as_the_one_it_is_before(todo):
    result = here("at", "todo", "1d")
    moment_ = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"Error: the history that is kept begins at {moment_}, after {moment_}\n", result.stderr)


def test_what_another_device_passed_on_is_told_as_that_of_its_author(place, capsys):
    changes = []
    with (
        Peer(listen="127.0.0.1:0", device="hub") as hub,
        Peer(connect=[hub.url], device="phone") as phone,
    ):
        between = track({}, "todo", folder=place / "hub", sync=hub)
        theirs = track({}, "todo", folder=place / "phone", sync=phone)
        ours = track({}, "todo", callback=changes.append)
        with Peer(connect=[hub.url], device="laptop") as laptop:
            assert track({}, "todo", sync=laptop) is ours
            tracker(ours).wait_synced(20)
            theirs.note = "from the phone"
            tracker(theirs).wait_synced(20)
            wait_until(lambda: changes and changes[-1].args == ("note", "from the phone"))
        for structure in (between, theirs, ours):
            tracker(structure).close()
    assert (changes[-1].device, changes[-1].via) == ("phone", False)
    show = Printer(Structure("todo", place, ".yaml"), as_json=False)
    show(changes[-1])
    assert capsys.readouterr().out.split("  ", 1)[1] == "todo.yaml  by phone  note = from the phone\n"
    assert printed("log", "todo", "-n", 1).splitlines()[1].split("  ")[-2:] == ["by phone", "note"]
    assert "via" not in json.loads(printed("log", "todo", "-n", 1, "--json"))
    show(replace(changes[-1], device="hub", via=True))
    assert capsys.readouterr().out.split("  ", 1)[1] == "todo.yaml  via hub  note = from the phone\n"
    Printer(Structure("todo", place, ".yaml"), as_json=True)(replace(changes[-1], device="hub", via=True))
    assert json.loads(capsys.readouterr().out)["via"] is True


def test_what_nobody_is_known_to_have_written_is_told_as_come_that_way(place):
    with Peer(listen="127.0.0.1:0", device="hub") as hub, Peer(connect=[hub.url], device="phone") as phone:
        theirs = track({}, "todo", folder=place / "phone", sync=phone)
        ours = track({}, "todo", sync=hub)
        theirs.note = 1
        tracker(theirs).wait_synced(20)
        del theirs["note"]  # a deletion does not say whose it is
        tracker(theirs).wait_synced(20)
        for structure in (theirs, ours):
            tracker(structure).close()
    assert printed("log", "todo", "-n", 1).splitlines()[1].split("  ")[-2:] == ["via phone", "note"]
    assert json.loads(printed("log", "todo", "-n", 1, "--json"))["via"] is True
