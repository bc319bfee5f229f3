"""The pictures of the README show what happens: drawn again, they say the same."""

from __future__ import annotations

import html
import re
import runpy

import pytest

from .documents import ROOT

pytest.importorskip("textual")
DRAWN = runpy.run_path(str(ROOT / "docs" / "draw.py"))


def said(picture):
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", picture)]


@pytest.mark.parametrize("name", DRAWN["PICTURES"])
def test_a_picture_is_true(name):
    drawn = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert said(DRAWN["draw"](name)) == said(drawn), "run 'make pictures' and look at them"
    assert f"docs/pictures/{name}.svg" in (ROOT / "README.md").read_text(encoding="utf-8")
