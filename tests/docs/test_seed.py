"""The document that the library began with: its examples run as they stand."""

import tinysync

from .documents import ROOT, close_all, run_examples


class Catcher:
    """Keeps the latest change, as the document describes its ``catcher``."""

    def __init__(self):
        self.change = None

    def cb(self, change):
        self.change = change

    def __getattr__(self, name):
        return getattr(self.change, name)


def test_the_examples_of_the_seed_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {name: getattr(tinysync, name) for name in tinysync.__all__} | {"catcher": Catcher()}
    try:
        run_examples((ROOT / "docs" / "seed.md").read_text(encoding="utf-8"), "docs/seed.md", names)
    finally:
        close_all(names)
    assert [path.name for path in tmp_path.glob("*.yaml")] == ["example-config.yaml"]
