"""Runs the examples of a text as they stand, in the order in which they stand."""

import doctest
import io
import re
from pathlib import Path

from tinysync import Peer, Serving, Tracker

ROOT = Path(__file__).resolve().parents[2]

BLOCK = re.compile(r"^```pycon *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def close_all(names):
    """Close the structures and peers of a namespace."""
    for value in list(names.values()):
        handle = getattr(value, "_tracker", value)
        if isinstance(handle, Tracker | Peer | Serving):
            handle.close()


def run_examples(text, name, names, first_line=0):
    """Run the examples of a text in the namespace ``names``; fail with doctest's report."""
    parsed = doctest.DocTestParser().get_doctest(text, names, name, name, first_line)
    # The parser copies the namespace: other blocks of the same document go on in this one.
    parsed.globs = names
    report = io.StringIO()
    results = doctest.DocTestRunner().run(parsed, out=report.write, clear_globs=False)
    assert results.attempted
    assert not results.failed, report.getvalue()


def fenced_examples(text):
    """Return (line number, content, terminal) for each block of a console session; '' is the first terminal."""
    return [(text.count("\n", 0, match.start(2)), match[2], match[1]) for match in BLOCK.finditer(text)]
