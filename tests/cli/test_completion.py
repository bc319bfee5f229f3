"""Shell completion, help, and what all commands have in common."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tinysync import track, tracker
from tinysync.cli.commands import tinysync

from .processes import command, printed


def commands():
    context = click.Context(tinysync)
    return [*tinysync.list_commands(context), "key new", "key enter", "key show"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_and_a_way_to_install_it(shell, monkeypatch):
    assert "_TINYSYNC_COMPLETE" in printed("completion", shell)
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert f"tinysync completion {shell} > ~/" in printed("completion")
    assert shell in json.loads(printed("completion", "--json"))
    assert json.loads(printed("completion", shell, "--json"))["shell"] == shell


@pytest.mark.parametrize("name", commands())
def test_every_command_explains_itself(name):
    text = printed(*name.split(), "--help")
    assert "--json" in text or name in {"delete", "key"}
    found = tinysync
    for word in name.split():
        found = found.get_command(click.Context(tinysync), word)
    assert len(found.get_short_help_str(200)) <= 65
    assert name.startswith(("key", "pair", "fingerprint")) or "Examples:" in text


def test_the_exit_codes_are_documented():
    text = printed("--help")
    assert all(code in text for code in ("130", "141", "Exit codes"))


def test_ctrl_c_ends_a_command_without_a_word(place):
    (place / "pipe.yaml").write_text("a: 1\n")
    # It waits for what is typed in.
    with subprocess.Popen(
        command("key", "enter"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_for_input(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read().strip() == b""


@pytest.mark.parametrize("library", ["_pycrdt", "msgpack", "_yaml"])
def test_ctrl_c_ends_a_command_that_is_just_starting(place, library):
    if not sys.platform.startswith("linux"):
        pytest.skip("it is not known how far it is")
    program = "from _tinysync_command import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "key", "enter"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        # What it has loaded tells how far it is.
        while library not in Path("/proc", str(process.pid), "maps").read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read().strip() == b""


def wait_for_input(process):
    """Wait until a process sleeps in a read from its standard input."""
    if not sys.platform.startswith("linux"):
        pytest.skip("it is not known when it waits")
    while True:
        own = Path("/proc", str(process.pid))
        if "pipe" in (own / "wchan").read_text() or (own / "syscall").read_text().split()[:2] == ["0", "0x0"]:
            return
        assert process.poll() is None


def test_warnings_are_a_line_on_standard_error(place):
    tracker(track({}, "todo")).close()
    (place / ".tinysync/todo/device").write_text("damaged")
    result = subprocess.run(
        [sys.executable, "-m", "tinysync", "get", "todo"],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert result.stdout == "{}\n"
    assert result.stderr.startswith("Warning: ")
    assert result.stderr.count("\n") == 1
