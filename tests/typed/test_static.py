"""What a type checker makes of a program with typed views."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from dataclasses import dataclass
from tinysync import DictWrapper, ListWrapper, track, tracker

@dataclass
class Server:
    port: int = 80

@dataclass
class Settings:
    server: Server
    name: str = ''

settings: Settings = track(Settings(Server()), 'settings', version=2)
port: int = settings.server.port
with tracker(settings):
    settings.server.port = 'x'
settings.nme = 'x'
conf: DictWrapper = track({'a': 1}, 'conf')
numbers: ListWrapper = track([1], 'numbers')
track(object())
"""

CONFIGURATION = """
[mypy]
follow_imports = skip
[mypy-tinysync,tinysync.api,tinysync.tracked.*,tinysync.tracker,tinysync.tracker.tracker]
follow_imports = silent
"""


def test_mypy_knows_the_class(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mypy.ini").write_text(CONFIGURATION)
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"MYPYPATH": str(Path(__file__).parents[2]), "MYPY_CACHE_DIR": str(tmp_path / "cache")},
        check=False,
    )
    errors = [line for line in ran.stdout.splitlines() if " error: " in line]
    assert [line.split(":")[1] for line in errors] == ["17", "18", "21"], ran.stdout + ran.stderr
    assert 'expression has type "str", variable has type "int"' in errors[0]
