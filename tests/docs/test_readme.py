"""The README's examples run as they stand, one after the other."""

from .documents import ROOT, close_all, fenced_examples, run_examples


def test_the_examples_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    try:
        for line, block, _ in fenced_examples((ROOT / "README.md").read_text(encoding="utf-8")):
            run_examples(block, "README.md", names, line)
    finally:
        close_all(names)
