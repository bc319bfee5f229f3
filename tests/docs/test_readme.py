"""The README's examples run as they stand, one after the other, each terminal being a process in its folder."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack

from .documents import ROOT, fenced_examples
from .test_examples import free_port


def open_terminal(folder):
    folder.mkdir(exist_ok=True)
    home = str(folder / "home")
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.docs.terminal"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "XDG_DATA_HOME": home},
    )


def test_the_examples_of_the_readme(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = fenced_examples(text.replace("8765", free_port()))
    with ExitStack() as stack:
        terminals = {}
        for name in dict.fromkeys(terminal for *_, terminal in examples):
            terminals[name] = stack.enter_context(open_terminal(tmp_path / name))
        for line, block, name in examples:
            terminal = terminals[name]
            terminal.stdin.write(json.dumps([block, "README.md", line]) + "\n")
            terminal.stdin.flush()
            report = json.loads(terminal.stdout.readline())
            assert not report, report
        for terminal in terminals.values():
            terminal.stdin.close()
            assert terminal.wait(timeout=60) == 0
    assert (tmp_path / "laptop/todo.yaml").read_text() == (tmp_path / "phone/todo.yaml").read_text()
