"""The console sessions of a page run as they stand, in one folder: a command, and what it prints."""

import doctest
import os
import re
import shlex
import subprocess
import sys

import pytest

from .documents import ROOT

SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@pytest.mark.parametrize("page", ["docs/command-line.md", "README.md"])
def test_the_console_sessions_of_a_page(page, tmp_path):
    program = tmp_path / "bin" / "tinysync"
    program.parent.mkdir()
    python = [sys.executable, "-W", "error", "-m", "tinysync"]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(python)} "$@"\n')
    program.chmod(0o755)
    folder = tmp_path / "folder"
    folder.mkdir()
    environment = os.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XDG_DATA_HOME": str(tmp_path / "home"),
    }
    sessions = SESSION.findall((ROOT / page).read_text(encoding="utf-8"))
    assert sessions
    for command, expected in (found for session in sessions for found in COMMAND.findall(session)):
        result = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        got = result.stdout + (f"[exit code {result.returncode}]\n" if result.returncode else "")
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(expected, got, options), (command, got)
