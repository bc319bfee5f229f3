"""The command line, as processes."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.peer.devices import wait_until
from tinysync import Peer, track, tracker

from .processes import command, here, out, printed


def test_entries_are_read_written_and_deleted(place):
    printed("set", "conf.yaml", "port", "8080")
    printed("set", "conf.yaml", "servers", "{a: {up: true}, b: [1, x]}")
    assert printed("get", "conf.yaml", "port") == "8080\n"
    printed("set", "conf.yaml", "servers/b/0", '{"deep": 1.5}', "--json")
    assert printed("get", "conf.yaml", "servers/b/0/deep") == "1.5\n"
    assert json.loads(printed("get", "conf.yaml", "--json")) == {
        "port": 8080,
        "servers": {"a": {"up": True}, "b": [{"deep": 1.5}, "x"]},
    }
    assert printed("get", "conf.yaml", "servers/b") == "- deep: 1.5\n- x\n"
    printed("delete", "conf.yaml", "servers/a")
    assert (place / "conf.yaml").read_text() == "port: 8080\nservers:\n  b:\n  - deep: 1.5\n  - x\n"


def test_a_key_that_is_no_text_is_named_as_the_file_or_the_log_does(place):
    (place / "conf.yaml").write_text("on: {level: 20}\n1.5: b\n2020-01-01: c\nnull: d\n8080: e\n")
    for shown in ("on", "true", "True"):
        assert printed("get", "conf.yaml", f"{shown}/level") == "20\n"
    for key in ("1.5", "2020-01-01", "null", "None", "8080"):
        printed("set", "conf.yaml", key, key)
        assert printed("get", "conf.yaml", key).strip() in {key, ""}
    printed("set", "conf.yaml", "True/level", "30")
    printed("set", "conf.yaml", "2020-13-99", "text")
    printed("delete", "conf.yaml", "null")
    text = (place / "conf.yaml").read_text()
    assert text.startswith("on: {level: 30}\n1.5: 1.5\n2020-01-01: 2020-01-01\n8080: 8080\n")
    assert yaml.safe_load(text)["2020-13-99"] == "text"
    assert here("get", "conf.yaml", "false").exit_code == 1


KEYS = [
    "a/b",
    "a\\",
    "a\\/b",
    "\\",
    "//",
    " ",
    "é",
    True,
    None,
    1.5,
    dt.date(2020, 1, 1),
    (1, "a/b"),
    b"x/y",
    10**30,
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_whatever_the_key_is_the_path_that_is_shown_leads_there(place, key):
    conf = track({"in": {key: {"x": 1}}}, "conf")
    conf["in"][key]["x"] = 2
    tracker(conf).close()
    told = printed("log", "conf").splitlines()[1].split("  ")
    shown = next(each for each in told if each.startswith("in/"))
    assert shown.endswith("/x")
    assert printed("get", "conf", shown.strip()) == "2\n"
    printed("set", "conf", shown.strip(), "3")
    assert printed("get", "conf", "--json", shown.strip()) == "3\n"
    assert here("get", "conf", f"{shown.strip()}/y").exit_code == 1


def test_a_key_with_a_slash_is_made_and_deleted(place):
    printed("set", "conf.yaml", r"hosts", "{}")
    printed("set", "conf.yaml", r"hosts/10.0.0.0\/8", "lan")
    assert (place / "conf.yaml").read_text() == "hosts:\n  10.0.0.0/8: lan\n"
    result = here("get", "conf.yaml", r"hosts/10.0.0.0\/9")
    assert (result.exit_code, result.stderr) == (1, "Error: conf.yaml has no entry hosts/10.0.0.0\\/9\n")
    printed("delete", "conf.yaml", r"hosts/10.0.0.0\/8")
    assert printed("get", "conf.yaml", "--json") == '{"hosts": {}}\n'


def test_text_goes_before_what_it_could_stand_for(place):
    (place / "conf.yaml").write_text("true: bool\n'true': text\n'on': switch\n")
    assert printed("get", "conf.yaml", "true") == "text\n"
    assert printed("get", "conf.yaml", "on") == "switch\n"
    assert printed("get", "conf.yaml", "True") == "bool\n"


def test_json_files_and_lists(place):
    (place / "list.json").write_text('[1, {"a": 2}]')
    printed("set", "list.json", "1/a", "3")
    assert json.loads((place / "list.json").read_text()) == [1, {"a": 3}]


def test_files_of_one_name_are_told_before_any_is_begun(place):
    (place / "there").mkdir()
    result = here("mirror", "conf.yaml", "there/conf.yaml", "--no-key", "--listen", "127.0.0.1:0")
    assert "conf.yaml and there/conf.yaml" in result.stderr
    assert (result.exit_code, [path.name for path in place.rglob("*")]) == (2, ["there"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["get", "conf.yaml"], 1, "there is no file conf.yaml"),
        (["get", "good.yaml", "a/b/c"], 1, "good.yaml has no entry a/b"),
        (["delete", "good.yaml", "l/7"], 1, "good.yaml has no entry l/7"),
        (["set", "good.yaml", "a", "[1"], 2, "VALUE is not understood as YAML: while parsing"),
        (["set", "good.yaml", "a", "[1"], 2, "; quote it, or use --json"),
        (["set", "good.yaml", "a", "[1", "--json"], 2, "VALUE is no JSON: "),
        (["set", "good.yaml", "a", "NaN", "--json"], 2, "VALUE is no JSON: NaN is no number of JSON"),
        (["set", "good.yaml", "a", "[1e999]", "--json"], 2, "VALUE is no JSON: the number 1e999 is too large"),
        (["set", "good.yaml", "a"], 2, "Missing argument 'VALUE'"),
        (["set", "good.yaml", "", "1"], 2, "PATH is empty"),
        (["delete", "good.yaml"], 2, "Missing argument 'PATH'"),
        (["get", "bad.yaml"], 1, "bad.yaml"),
        (["get", "conf.toml"], 1, "there is no file"),
        (["set", "conf.toml", "a", "1"], 2, "must end with .yaml or .json"),
        (["mirror", "good.yaml", "--no-lan"], 2, "nobody to link with"),
        (["mirror", "good.yaml", "--no-key"], 2, "nobody to link with"),
        (["mirror", "good.yaml", "--no-key", "--lan"], 2, "--lan"),
        (["serve", "kept", "--no-key", "--lan", "--listen", "127.0.0.1:0"], 2, "--lan"),
        (["serve", "kept", "--no-key"], 2, "nobody to link with"),
        (["mirror", "good.yaml"], 1, "'tinysync key new' makes one"),
        (
            ["mirror", "good.yaml", "good.json", "--no-key", "--listen", "127.0.0.1:0"],
            2,
            "good.yaml and good.json",
        ),
        (["mirror", "good.yaml", "./good.yaml", "--no-key", "--listen", "127.0.0.1:0"], 2, "one document, 'good'"),
        (
            ["mirror", "good.yaml", "--listen", "127.0.0.1:0", "--key", "none"],
            1,
            "there is no key in none: 'tinysync",
        ),
        (["mirror", "good.yaml", "--listen", "0.0.0.0:0", "--no-key"], 1, "without a key"),
        (["mirror", "good.yaml", "--listen", "0.0.0.0:0", "--no-key"], 1, "'tinysync key new'"),
        (
            ["serve", "kept", "--no-key", "--yjs", "0.0.0.0:0"],
            1,
            "set the environment variable TINYSYNC_YJS_TOKEN as well",
        ),
        (["key", "show"], 1, "'tinysync key new'"),
        (["fingerprint"], 1, "'tinysync key new'"),
        (["pair", "12", "phone"], 1, "fingerprint"),
        (["log", "good.yaml", "-n", "-3"], 2, "'-n' / '--number': -3 is not in the range x>=0"),
        (["log", "good.yaml", "-n", "1.5"], 2, "not a valid integer"),
        (["conflicts", "good.yaml", "--restore", "0"], 2, "'--restore': 0 is not in the range x>=1"),
        (["compact", "good.yaml", "--history", "-1"], 2, "'--history': -1.0 is not in the range x>=0"),
        (["compact", "good.yaml", "--history", "nan"], 2, "'--history': nan is no number of days"),
        (["at", "good.yaml", "9999999999d"], 2, "'9999999999d' is no version and no time"),
        (["at", "good.yaml", "9999999d"], 2, "'9999999d' is no version and no time"),
        (["at", "good.yaml", "-5"], 2, "No such option"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_errors_are_a_line_and_an_exit_code(place, arguments, code, message):
    (place / "good.yaml").write_text("a: 1\nl:\n- 1\n")
    (place / "bad.yaml").write_text("a: [1\n")
    result = here(*arguments)
    assert (result.exit_code, "Traceback" in result.stderr) == (code, False), result.stderr
    assert message in result.stderr
    assert not re.search(r"Key\.new|key=|token=", result.stderr)
    assert (place / "good.yaml").read_text() == "a: 1\nl:\n- 1\n"


def test_a_token_that_is_too_short_is_called_what_it_is_in_a_shell(place, monkeypatch):
    monkeypatch.setenv("TINYSYNC_YJS_TOKEN", "short")
    error = here("serve", "kept", "--no-key", "--yjs", "127.0.0.1:0").stderr
    assert error.startswith("Error: TINYSYNC_YJS_TOKEN must be a text of at least 16 characters")
    assert "secrets." not in error


def test_a_key_is_made_once_shown_and_entered(place):
    made = json.loads(out("key", "new", "--json"))
    assert Path(made["path"]).stat().st_mode & 0o77 == 0
    assert here("key", "new").exit_code == 1
    secret = printed("key", "show")
    assert "'tinysync key enter'" in here("key", "enter", "--path", "third", stdin="no key").stderr
    entered = json.loads(printed("key", "enter", "--path", "other", "--json", stdin=secret).splitlines()[-1])
    assert entered["group"] == made["group"]
    fingerprint = printed("fingerprint").strip()
    assert fingerprint == printed("fingerprint").strip()
    assert "phone is allowed" in printed("pair", fingerprint, "phone")


@pytest.mark.parametrize("way", ["key", "lan", "no key"])
def test_two_devices_mirror_a_file(place, way):
    secure = way != "no key"
    lan = ["--lan"] if way == "lan" else []
    key = [] if secure else ["--no-key"]
    if secure:
        out("key", "new")
    laptop, phone = place / "laptop", place / "phone"
    laptop.mkdir()
    phone.mkdir()
    (laptop / "conf.yaml").write_text("a: 1\n")
    running = []

    def mirror(folder, *arguments):
        process = subprocess.Popen(
            command("mirror", folder / "conf.yaml", "--json", *key, *arguments),
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        running.append(process)
        return process

    def content(folder):
        file = folder / "conf.yaml"
        return file.read_text() if file.exists() else ""

    try:
        first = mirror(laptop, "--listen", "127.0.0.1:0", "--device", "laptop", *lan)
        url = json.loads(first.stdout.readline())["listening"]
        assert url.startswith("wss://" if secure else "ws://")
        found = [*lan, "--listen", "127.0.0.1:0"] if lan else ["--connect", url]
        mirror(phone, *found, "--device", "phone")
        wait_until(lambda: content(phone) == "a: 1\n")
        (phone / "conf.yaml").write_text("a: 1\nb: [2]\n")
        wait_until(lambda: "b:" in content(laptop))
        told = json.loads(first.stdout.readline())
        while "linked" in told:
            told = json.loads(first.stdout.readline())
        assert told["origin"] == "remote"
        assert told["device"] == "phone"
        assert told["path"] == ["b"]
        for process in running:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert yaml.safe_load(content(laptop)) == yaml.safe_load(content(phone)) == {"a": 1, "b": [2]}


def test_mirror_tells_where_nobody_answers_and_when_a_link_comes_up(place):
    arguments = "mirror", "conf.yaml", "--no-key", "--connect", "ws://127.0.0.1:9"
    (place / "other").mkdir()
    with subprocess.Popen(
        command(*arguments, "--listen", "127.0.0.1:0"), stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            url = re.search(r"ws://\S+\d", process.stdout.readline())[0]
            told = process.stdout.readline()
            assert re.fullmatch(r"ws://127.0.0.1:9: nobody answers there \(.*\); it is tried again.\n", told)
            with Peer(connect=[url], device="phone"):
                assert process.stdout.readline() == "Linked with phone.\n"
        finally:
            process.kill()
    with subprocess.Popen(command(*arguments, "--json"), stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            process.stdout.readline()
            told = json.loads(process.stdout.readline())
            assert (told["address"], told["linked"]) == ("ws://127.0.0.1:9", False)
            assert "nobody answers" in told["reason"]
        finally:
            process.kill()


def test_serve_tells_where_nobody_answers_before_it_keeps_anything(place):
    with subprocess.Popen(
        command("serve", "kept", "--no-key", "--connect", "ws://127.0.0.1:9"),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout.readline().startswith("Serving kept")
            assert "nobody answers there" in process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--listen", "127.0.0.1:0"],
            r"others connect to wss://127\.0\.0\.1:\d+; devices on this machine find it",
        ),
        (["--listen", "127.0.0.1:0", "--no-lan"], r"others connect to wss://127\.0\.0\.1:\d+"),
        (["--listen", "0.0.0.0:0", "--no-lan"], rf"others connect to wss://{re.escape(socket.gethostname())}:\d+"),
        (["--listen", "localhost:0", "--no-key"], r"others connect to ws://127\.0\.0\.1:\d+"),
        (["--no-key", "--yjs", "127.0.0.1:0"], r"Yjs clients connect to ws://127\.0\.0\.1:\d+"),
        (["--no-lan", "--yjs", "127.0.0.1:0"], r"Yjs clients connect to ws://127\.0\.0\.1:\d+"),
    ],
)
def test_serve_says_how_others_get_there(place, arguments, told):
    printed("key", "new")
    with subprocess.Popen(
        command("serve", "kept", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            line = process.stdout.readline()
            assert re.fullmatch(rf"Serving kept; {told}\. Ctrl-C ends it\.\n", line), (line, process.poll())
        finally:
            process.kill()


@pytest.mark.parametrize(
    "arguments",
    [["a", '"x'], ["a/b", "1"], ["", "1"], ["a", "9" * 5000], ["a", "[1", "--json"]],
)
def test_a_set_that_fails_makes_no_file(place, arguments):
    assert here("set", "new.json", *arguments).exit_code in {1, 2}
    assert list(place.iterdir()) == []
    printed("set", "new.json", "a", "1")
    assert json.loads((place / "new.json").read_text()) == {"a": 1}


def test_numbers_that_json_cannot_say_are_printed_as_in_json_files(place):
    printed("set", "conf.json", "a", "[.inf, -.inf, .nan, 1.5]")
    told = printed("get", "conf.json", "--json")
    assert told == '{"a": ["inf", "-inf", "nan", 1.5]}\n'
    assert json.loads(told) == json.loads((place / "conf.json").read_text())


@pytest.mark.parametrize("arguments", [["nosuch", "--json"], ["key", "nosuch", "--json"]])
def test_an_unknown_command_is_an_error_in_json_where_that_was_asked_for(place, arguments):
    result = here(*arguments)
    told = json.loads(result.stderr)
    assert (result.exit_code, told["exit"]) == (2, 2)
    assert "nosuch" in told["error"]


def test_what_is_logged_is_one_line(place):
    with subprocess.Popen(
        command("mirror", "conf.yaml", "--no-key", "--listen", "127.0.0.1:0", "--device", "A"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            url = re.search(r"ws://\S+\d", process.stdout.readline())[0]
            with Peer(connect=[url], device="a device with a name that makes lines long" * 2) as peer:
                other = track([], "conf", persist=False, sync=peer)
                line = process.stderr.readline()
                tracker(other).close()
            assert line.startswith("'conf' cannot be shared with a device")
            assert "list" in line
        finally:
            process.kill()


def test_help_says_which_commands_end_with_0_at_ctrl_c(place):
    assert "(mirror, serve, watch and status --live: 0)" in printed("--help")


def test_what_is_written_again_is_no_version(place):
    for value in ("1", "1", "1.0", "true", "true", "{x: [1]}", "{x: [1]}", "null", "null"):
        printed("set", "conf.yaml", "a", value)
    assert len(printed("log", "conf").splitlines()) == 1 + 1 + 5
    printed("set", "conf.yaml", "b", "null")
    assert len(printed("log", "conf").splitlines()) == 1 + 1 + 6


def test_json_that_does_not_parse_is_shown_with_its_place_and_what_to_do(place):
    (place / "conf.json").write_text('{"a": 1,\n "b": }')
    for arguments in (["get", "conf.json"], ["set", "conf.json", "a", "2"]):
        result = here(*arguments)
        assert result.exit_code == 1
        assert "conf.json, line 2, column 7: expecting value. The file was left as it is; correct" in result.stderr
    assert (place / "conf.json").read_text() == '{"a": 1,\n "b": }'


def test_a_folder_that_cannot_be_written_is_told_without_python(place):
    (place / "conf.yaml").write_text("a: 1\n")
    (place / ".tinysync").write_text("a file where the folder belongs")
    result = here("set", "conf.yaml", "a", "2")
    assert result.exit_code == 1
    assert "is no folder, and 'conf' is to be kept in one: move it away, or use another folder." in result.stderr
    assert (place / "conf.yaml").read_text() == "a: 1\n"
