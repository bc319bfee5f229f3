"""Whatever is known to hurt the engine or a parser is refused, each in a process that survives it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .cases import CASES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", [case.__name__ for case in CASES])
def test_it_does_no_harm(case):
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.hazards.cases", case],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "survived\n"
