"""Mirrors with editors at work: for moments here, for an hour in a soak run."""

from __future__ import annotations

import os

import pytest

from .long_mirror import run


def check(result):
    assert result.equal
    assert not result.lost
    assert not result.back
    assert result.codes == [0, 0, 0]
    # An editor that is kept waiting between emptying its file and writing it is told that the file was empty.
    assert [line for line in result.errors.splitlines() if "holds nothing" not in line] == []
    assert result.comment_kept


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


def test_edits_in_three_folders_come_to_all(capfd):
    result = run(0.08, pause=0.1)
    assert result.edits > 10
    check(result)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_mirrors_work_for_an_hour(capfd):
    def say(text):
        with capfd.disabled():
            print(text, flush=True)

    result = run(float(os.environ.get("TINYSYNC_MIRROR_MINUTES", "60")), say=say)
    check(result)
    assert max(result.memory_grew) < 1.25
