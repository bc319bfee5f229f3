"""The examples of the pages in docs/ run as they stand."""

import pytest

from .documents import ROOT, close_all, fenced_examples, run_examples


@pytest.mark.parametrize("page", ["formats.md", "storages.md"])
def test_the_examples_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    try:
        for line, block, _ in fenced_examples((ROOT / "docs" / page).read_text(encoding="utf-8")):
            run_examples(block, page, names, line)
    finally:
        close_all(names)
