"""The command line as a process, and in this one."""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner

from tinysync.cli.commands import tinysync


def command(*arguments):
    return [sys.executable, "-W", "error", "-m", "tinysync", *map(str, arguments)]


def run(*arguments, stdin=None):
    return subprocess.run(
        command(*arguments), capture_output=True, encoding="utf-8", input=stdin, timeout=60, check=False
    )


def out(*arguments, stdin=None):
    result = run(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


def here(*arguments, stdin=None):
    """Run a command in this process; much faster. What is not its own exit is raised."""
    result = CliRunner().invoke(tinysync, [*map(str, arguments)], input=stdin, prog_name="tinysync")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def printed(*arguments, stdin=None):
    result = here(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout
