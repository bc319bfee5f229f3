"""The console sessions of a page run as they stand, in one folder: a command, and what it prints."""

import doctest
import re
import shlex
import subprocess

import pytest
from click.testing import CliRunner

from tinysync.cli.commands import tinysync

from .documents import ROOT

SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def output_of(command):
    """Run a line of a shell; those of tinysync in this process, which is many times faster."""
    name, *arguments = shlex.split(command)
    if name == "tinysync":
        result = CliRunner().invoke(tinysync, arguments, prog_name=name)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output, result.exit_code
    done = subprocess.run(["sh", "-c", command], capture_output=True, encoding="utf-8", timeout=60, check=False)
    return done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize("page", ["docs/command-line.md", "README.md"])
def test_the_console_sessions_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    sessions = SESSION.findall((ROOT / page).read_text(encoding="utf-8"))
    assert sessions
    for command, expected in (found for session in sessions for found in COMMAND.findall(session)):
        output, code = output_of(command)
        got = output + (f"[exit code {code}]\n" if code else "")
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(expected, got, options), (command, got)
