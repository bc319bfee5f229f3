"""The examples of docs/formats.md run as they stand."""

from .documents import ROOT, close_all, fenced_examples, run_examples


def test_the_examples_on_file_formats(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    try:
        for line, block, _ in fenced_examples((ROOT / "docs/formats.md").read_text(encoding="utf-8")):
            run_examples(block, "docs/formats.md", names, line)
    finally:
        close_all(names)
