from __future__ import annotations

import pytest


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder, and a home folder without any key."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("TINYSYNC_KEY", raising=False)
    return tmp_path
