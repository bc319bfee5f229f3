"""The programs in examples/ run, as the commands in their texts say."""

import os
import socket
import subprocess
import sys

import pytest

from .documents import ROOT

EXAMPLES = ROOT / "examples"


def start(folder, example, *arguments):
    return subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / example, *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"},
    )


def run(folder, example):
    with start(folder, example) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def test_a_hand_edit_of_the_configuration_is_there_at_the_next_run(tmp_path):
    assert run(tmp_path, "config.py").startswith("run 1: https://docs.python.org")
    file = tmp_path / "example-config.yaml"
    file.write_text(file.read_text().replace("docs.python.org", "www.python.org"))
    assert run(tmp_path, "config.py").startswith("run 2: https://www.python.org")


def test_two_devices_in_one_event_loop(tmp_path):
    lines = run(tmp_path, "asyncio_sensors.py").splitlines()
    assert all(room in lines[-1] for room in ("kitchen", "hall", "attic"))


ROOMS = ("kitchen", "hall", "attic")


def shows_the_readings(line):
    return all(f"{room} " in line for room in ROOMS) and line.count("°C") == len(ROOMS)


def test_a_thread_with_a_queue(tmp_path):
    lines = run(tmp_path, "thread_readings.py").splitlines()
    assert "a task of its own" in lines
    assert shows_the_readings(lines[-1])


def test_textual(tmp_path):
    pytest.importorskip("textual")
    assert shows_the_readings(run(tmp_path, "textual_readings.py").splitlines()[-1])


def test_tk(tmp_path):
    tkinter = pytest.importorskip("tkinter")
    try:
        tkinter.Tk().destroy()
    except tkinter.TclError as error:
        pytest.skip(f"there is no display: {error}")
    assert shows_the_readings(run(tmp_path, "tk_readings.py").splitlines()[-1])


def test_the_demo_ends_with_equal_files(tmp_path):
    assert run(tmp_path, "demo.py").endswith("The two files are the same.\n")


def test_a_todo_list_in_two_terminals(tmp_path):
    port = free_port()
    with (
        start(tmp_path, "todo_sync.py", "laptop", "--listen", port) as laptop,
        start(tmp_path, "todo_sync.py", "phone", "--connect", port) as phone,
    ):
        say(laptop, "add water the plants")
        hear(phone, "[ ] water the plants")
        say(phone, "done 1")
        hear(laptop, "[x] water the plants")
        for terminal in (laptop, phone):
            _, errors = terminal.communicate("quit\n", timeout=60)
            assert terminal.returncode == 0, errors
    assert (tmp_path / "laptop/todo.yaml").read_text() == (tmp_path / "phone/todo.yaml").read_text()


def say(terminal, line):
    terminal.stdin.write(f"{line}\n")
    terminal.stdin.flush()


def hear(terminal, text):
    """Read what a terminal shows until it shows ``text``; the time limit of the test is the deadline."""
    for line in terminal.stdout:
        if text in line:
            return
    raise AssertionError(f"it ended without showing {text!r}: {terminal.stderr.read()}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])
