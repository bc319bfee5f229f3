import copy
import datetime as dt
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.storage.layout import keep
from tinysync.storage.layout.places import Places
from tinysync.storage.layout.text import Text
from tinysync.storage.plain import identity
from tinysync.storage.yaml_dump import dump_yaml
from tinysync.storage.yaml_format import YAML
from tinysync.storage.yaml_load import load_yaml

from .layouts import DICTS, LISTS, SETS, Editor, Item, Written, losses, note_unclear


def edited(text, edit):
    """Return a file as it is after an edit of what it says; it says exactly that then."""
    data = text if isinstance(text, bytes) else text.encode()
    value = load_yaml(data, "before")
    wanted = copy.deepcopy(value)
    # Aliases are one object in what was loaded, and are none in a structure.
    wanted = apart(wanted)
    edit(wanted)
    result = YAML().writer()(wanted, data)
    assert identity(load_yaml(result, "after")) == identity(wanted)
    return result if isinstance(text, bytes) else result.decode()


def apart(value):
    if isinstance(value, dict):
        return {key: apart(item) for key, item in value.items()}
    if isinstance(value, list):
        return [apart(item) for item in value]
    return set(value) if isinstance(value, set) else value


def set_at(*path):
    *path, value = path

    def edit(structure):
        for key in path[:-1]:
            structure = structure[key]
        structure[path[-1]] = value

    return edit


def delete_at(*path):
    def edit(structure):
        for key in path[:-1]:
            structure = structure[key]
        del structure[path[-1]]

    return edit


CONF = """\
# The settings of the demo.

# What it is called.
name: demo    # shown in the title
port: 8080
"quoted": 'single'

servers:      # in order of preference
    # the fast one
    fast:
        host: a   # a host
        tags: [x, y]

    # the slow one
    slow:
        host: b

        # port: 80
retry:
  - 1
  # after a while
  - 5

# The end.
"""


def changed(text, *replacements):
    for old, new in replacements:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("edit", "replacements"),
    [
        (set_at("port", 8081), [("8080", "8081")]),
        (set_at("port", True), [("8080", "true")]),
        (set_at("name", "it"), [("demo    #", "it      #")]),
        (set_at("name", "a longer name"), [("demo    #", "a longer name  #")]),
        (set_at("quoted", "it's"), [("'single'", "'it''s'")]),
        (set_at("quoted", None), [("'single'", "null")]),
        (set_at("servers", "fast", "host", "c: d"), [("host: a   #", "host: 'c: d'  #")]),
        (set_at("servers", "fast", "tags", 1, 3), [("[x, y]", "[x, 3]")]),
        (set_at("servers", "fast", "tags", ["x", "z", "y", "a,b"]), [("[x, y]", "[x, z, y, 'a,b']")]),
        (set_at("servers", "fast", "tags", []), [("[x, y]", "[]")]),
        (set_at("servers", "fast", "tags", {"a": [1]}), [("[x, y]", "{a: [1]}")]),
        (set_at("servers", "fast", "tags", "no"), [("[x, y]", "'no'")]),
        (set_at("servers", "fast", "port", 1), [("tags: [x, y]\n", "tags: [x, y]\n        port: 1\n")]),
        (set_at("servers", "slow", "port", 81), [("host: b\n", "host: b\n        port: 81\n")]),
        (
            set_at("servers", "new", {"h": "c", "tags": ["z"], "none": {}}),
            [
                (
                    "        # port: 80\n",
                    "        # port: 80\n    new:\n        h: c\n        none: {}\n        tags:\n          - z\n",
                )
            ],
        ),
        (set_at("new", {1, 2}), [("  - 5\n", "  - 5\nnew: !!set\n    1: null\n    2: null\n")]),
        (set_at("retry", [1, 5, 25]), [("  - 5\n", "  - 5\n  - 25\n")]),
        (set_at("retry", [0, 1, 5]), [("  - 1\n", "  - 0\n  - 1\n")]),
        (set_at("retry", [1, 2, 5]), [("  - 1\n", "  - 1\n  - 2\n")]),
        (set_at("retry", [1]), [("  # after a while\n  - 5\n", "")]),
        (set_at("retry", [5]), [("  - 1\n", "")]),
        (set_at("retry", [5, 1]), [("  - 1\n  # after a while\n  - 5\n", "  # after a while\n  - 5\n  - 1\n")]),
        (set_at("retry", []), [("retry:\n  - 1\n  # after a while\n  - 5\n", "retry: []\n")]),
        (set_at("retry", 3), [("retry:\n  - 1\n  # after a while\n  - 5\n", "retry: 3\n")]),
        (set_at("retry", 0, {"n": 1, "m": 2}), [("  - 1\n", "  - m: 2\n    n: 1\n")]),
        (set_at("port", {"http": 1}), [("port: 8080\n", "port:\n    http: 1\n")]),
        (set_at("name", [1]), [("name: demo    #", "name:    #"), ("title\n", "title\n  - 1\n")]),
        (set_at("name", "two\nlines\n"), [("demo    #", "|       #"), ("title\n", "title\n    two\n    lines\n")]),
        (delete_at("name"), [("# What it is called.\nname: demo    # shown in the title\n", "")]),
        (delete_at("port"), [("port: 8080\n", "")]),
        (delete_at("servers", "fast", "host"), [("        host: a   # a host\n", "")]),
        (delete_at("servers", "slow"), [("    # the slow one\n    slow:\n        host: b\n", "")]),
        (delete_at("servers", "slow", "host"), [("slow:\n        host: b\n", "slow: {}\n")]),
        (
            delete_at("servers", "fast"),
            [("    # the fast one\n    fast:\n        host: a   # a host\n        tags: [x, y]\n", "")],
        ),
    ],
)
def test_a_change_touches_only_what_changed(edit, replacements):
    assert edited(CONF, edit) == changed(CONF, *replacements)


def test_several_changes_at_once():
    def edit(conf):
        conf.update(port=1, name="x", new=None)
        conf["servers"]["slow"]["host"] = "z"
        conf["retry"].append(7)

    assert edited(CONF, edit) == changed(
        CONF,
        ("8080", "1"),
        ("demo    #", "x       #"),
        ("host: b", "host: z"),
        ("  - 5\n", "  - 5\n  - 7\nnew: null\n"),
    )


def test_no_change_is_none():
    assert edited(CONF, lambda _conf: None) == CONF


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        # the first entry of a mapping that stands beside the dash of a list
        ("- a: 1  # c\n  b: 2\n", delete_at(0, "a"), "- b: 2\n"),
        ("- a: 1  # c\n  # of b\n  b: 2\n", delete_at(0, "a"), "-\n  # of b\n  b: 2\n"),
        ("- a: 1  # c\n  b: 2\n", delete_at(0, "b"), "- a: 1  # c\n"),
        ("# c\n- a: 1\n", delete_at(0, "a"), "# c\n- {}\n"),
        ("# c\n- a: 1\n", set_at(0, "b", 2), "# c\n- a: 1\n  b: 2\n"),
        ("# c\n- a: 1\n", set_at(0, 5), "# c\n- 5\n"),
        ("- - a  # c\n  - b\n", lambda items: items[0].insert(0, "x"), "- - x\n  - a  # c\n  - b\n"),
        ("- - a  # c\n  - b\n", set_at(0, ["b"]), "- - b\n"),
        (
            "# c\n-   a: 1\n-   b: 1\n",
            lambda items: items.append({"c": 1, "d": 2}),
            "# c\n-   a: 1\n-   b: 1\n-   c: 1\n    d: 2\n",
        ),
        # what is not written is null
        ("a:  # c\nb: 1\n", set_at("a", 2), "a: 2  # c\nb: 1\n"),
        ("a:  # c\nb: 1\n", set_at("a", [2]), "a:  # c\n- 2\nb: 1\n"),
        ("a: 1  # c\n", set_at("a", None), "a: null  # c\n"),
        ("-\n- 1  # c\n", set_at(0, "x"), "- x\n- 1  # c\n"),
        ("-  # d\n- 1  # c\n", set_at(0, {"k": 1, "l": 2}), "-  # d\n  k: 1\n  l: 2\n- 1  # c\n"),
        ("? a  # c\n", set_at("a", 1), "a: 1\n"),
        # empty containers become blocks, and blocks empty containers
        ("a: []  # c\n", set_at("a", [1]), "a:  # c\n- 1\n"),
        ("a: {}  # c\n", set_at("a", {"b": {}}), "a:  # c\n  b: {}\n"),
        ("{}  # c\n", set_at("a", 1), "  # c\na: 1\n"),
        ("# c\n\n[]\n", lambda items: items.append(1), "# c\n\n- 1\n"),
        ("# c\n\n# d\na: 1\n\n# e\n", dict.clear, "# c\n\n{}\n\n# e\n"),
        ("--- {}  # c\n", set_at("a", 1), "--- {a: 1}  # c\n"),
        # brackets
        ("{a: 1, b: 2}\n", set_at("c", [1, {}]), "{a: 1, b: 2, c: [1, {}]}\n"),
        ("{a: 1, b: 2}\n", delete_at("a"), "{b: 2}\n"),
        ("{a: 1, b: 2}\n", delete_at("b"), "{a: 1}\n"),
        ("{a: 1, b: 2}\n", dict.clear, "{}\n"),
        ("{a: 1, }\n", set_at("b", 2), "{a: 1, b: 2, }\n"),
        ('{"a":1, b}\n', set_at("b", 2), '{"a":1, b: 2}\n'),
        ('{"a":1,"b":2}\n', set_at("a", "x, y"), '{"a":\'x, y\',"b":2}\n'),
        ("[[1, 2], {a: b}] # c\n", set_at(0, 1, "x"), "[[1, x], {a: b}] # c\n"),
        ("[a: 1, b] # c\n", set_at(0, "a", 2), "[a: 2, b] # c\n"),
        ("[a: 1, b] # c\n", set_at(0, "c", 2), "[{a: 1, c: 2}, b] # c\n"),
        ("[1, 2, 3, 4]\n", lambda items: items.__delitem__(slice(1, 3)), "[1, 4]\n"),
        ("[1, 2, 3, 4]\n", lambda items: items.__delitem__(slice(2, 4)), "[1, 2]\n"),
        (
            "[\n  a,  # of a\n  b   # of b\n]\n",
            lambda items: items.append("c"),
            "[\n  a,  # of a\n  b,   # of b\n  c\n]\n",
        ),
        (
            "[\n  a,  # of a\n  b,  # of b\n]\n",
            lambda items: items.insert(1, "c"),
            "[\n  a,  # of a\n  c,\n  b,  # of b\n]\n",
        ),
        ("[\n  a,  # of a\n  # b\n  b   # of b\n]\n", delete_at(1), "[\n  a,  # of a\n]\n"),
        ("[\n  a,  # of a\n  # b\n  b   # of b\n]\n", delete_at(0), "[\n  # b\n  b   # of b\n]\n"),
        ("[\n  a,  # of a\n\n  # free\n\n  b]\n", list.clear, "[\n\n  # free\n\n  ]\n"),
        ("[a,  # of a\n b]\n", delete_at(1), "[a,  # of a\n ]\n"),
        # sets
        ("!!set\n# of a\n? a\n? b  # c\n", lambda s: s.add("c"), "!!set\n# of a\n? a\n? b  # c\n? c\n"),
        ("!!set\n# of a\n? a\n? b  # c\n", lambda s: s.discard("a"), "!!set\n? b  # c\n"),
        ("s: !!set {a, b}  # c\n", lambda d: d["s"].add("c: d"), "s: !!set {a, b, 'c: d'}  # c\n"),
        ("s: !!set  # c\n  a: null\n", lambda d: d["s"].add(1), "s: !!set  # c\n  a: null\n  1: null\n"),
        ("s: !!set  # c\n  a:\n", lambda d: d["s"].clear(), "s: !!set {}  # c\n"),
        ("s: !!set  # c\n  a:\n", set_at("s", {"a": 1}), "s:  # c\n  a: 1\n"),
        # texts of several lines
        ("# c\na: |\n  x\n  y\nb: 1\n", set_at("a", "x\nz\n"), "# c\na: |\n  x\n  z\nb: 1\n"),
        ("a: |   # c\n     x\nb: 1\n", set_at("a", "x\ny"), "a: |-  # c\n     x\n     y\nb: 1\n"),
        ("# c\na: >-\n  x\n  y\n\nb: 1\n", set_at("a", "z"), "# c\na: z\n\nb: 1\n"),
        ("# c\na: |+\n  x\n\nb: 1\n", set_at("c", 1), "# c\na: |+\n  x\n\nb: 1\nc: 1\n"),
        ("# c\na: |+\n  x\n\n", set_at("c", 1), "# c\na: |+\n  x\n\nc: 1\n"),
        ("# c\na: |\n  x\n\n\nb: 1\n", delete_at("a"), "\n\nb: 1\n"),
        ("# c\na: 'x\n  y'\nb: 1  # d\n", set_at("a", "z"), "# c\na: 'z'\nb: 1  # d\n"),
        ("# c\na: 'x\n  # y'\nb: 1  # d\n", delete_at("b"), "# c\na: 'x\n  # y'\n"),
        ("# c\na: x\n  y\n", set_at("b", "z"), "# c\na: x\n  y\nb: z\n"),
        ("a:  # c\n  x  # d\nb: 1\n", set_at("a", "y"), "a:  # c\n  y  # d\nb: 1\n"),
        ("a:  # c\n  x\nb: 1\n", set_at("a", {"k": 1}), "a:  # c\n  k: 1\nb: 1\n"),
        ("- # c\n  x\n- 1\n", set_at(0, [1, 2]), "- # c\n  - 1\n  - 2\n- 1\n"),
        # keys
        (
            "# c\n'a b': 1\n\"c\\n\": 2\n? d\n: 3\n? |\n  e\n: 4\n",
            set_at("e\n", 5),
            "# c\n'a b': 1\n\"c\\n\": 2\n? d\n: 3\n? |\n  e\n: 5\n",
        ),
        ("# c\n'a b': 1\n\"c\\n\": 2\n? d\n: 3\n", delete_at("d"), "# c\n'a b': 1\n\"c\\n\": 2\n"),
        ("# c\na: 1\n", set_at("k: v", 1), "# c\na: 1\n'k: v': 1\n"),
        ("# c\na: 1\n", set_at("two\nlines", 1), '# c\na: 1\n"two\\nlines": 1\n'),
        ("# c\n1: a\n", lambda d: (d.clear(), d.update({True: "a"})), "true: a\n"),
        ("# c\n2020-01-01: a\n", set_at(dt.date(2020, 1, 2), 1), "# c\n2020-01-01: a\n2020-01-02: 1\n"),
        # markers, directives, and what is around
        ("%YAML 1.1\n---\na: 1  # c\n...\n# d\n", set_at("b", 2), "%YAML 1.1\n---\na: 1  # c\nb: 2\n...\n# d\n"),
        ("--- # c\na: 1\n\n\n", set_at("a", 2), "--- # c\na: 2\n\n\n"),
        ("--- # c\n- 1\n...", set_at(0, 2), "--- # c\n- 2\n..."),
        ("---\n\n  a: 1 # c\n  b: 2\n", set_at("c", 2), "---\n\n  a: 1 # c\n  b: 2\n  c: 2\n"),
        ("a:\t1\t# c\n", set_at("a", 2), "a:\t2\t# c\n"),
        (
            "a: 1  # c\r\nb:\r\n  - 1\r\n",
            lambda d: d.update(b=[1, "x\ny"], c=3),
            "a: 1  # c\r\nb:\r\n  - 1\r\n  - |-\r\n    x\r\n    y\r\nc: 3\r\n",
        ),
        ("a: 1  # c\r\nb: |\r\n  x\r\n", delete_at("a"), "b: |\r\n  x\r\n"),
        ("\ufeffa: 1  # c\n", set_at("b", 2), "\ufeffa: 1  # c\nb: 2\n"),
        # without a line break at the end
        ("# c\na: 1\nb: 2", set_at("a", 2), "# c\na: 2\nb: 2"),
        ("# c\na: 1\nb: 2", set_at("c", 3), "# c\na: 1\nb: 2\nc: 3\n"),
        ("# c\na: 1\nb: 2", delete_at("b"), "# c\na: 1\n"),
        ("# c\na: 1\nb: |\n  x", set_at("a", 3), "# c\na: 3\nb: |\n  x"),
        # keys in an order of their own
        ("b: 1\na:\n- 2\n- 1\n", set_at("c", 3), "b: 1\na:\n- 2\n- 1\nc: 3\n"),
        ("b: 1\na: 2\n", lambda d: d.update(d=1, c=2), "b: 1\na: 2\nc: 2\nd: 1\n"),
        # items that moved take their comments along
        (
            "# of a\n- a  # a\n- b\n# of c\n- c\n",
            lambda items: items.append(items.pop(0)),
            "- b\n# of c\n- c\n# of a\n- a  # a\n",
        ),
        # comments that are deeper than what is below belong to what is above
        ("a:\n  b: 1\n  # c: 2\nd: 1\n", delete_at("d"), "a:\n  b: 1\n  # c: 2\n"),
        ("a:\n  b: 1\n  # c: 2\nd: 1\n", delete_at("a"), "d: 1\n"),
        ("a:\n  b: 1\n  # c: 2\n", set_at("d", 1), "a:\n  b: 1\n  # c: 2\nd: 1\n"),
    ],
)
def test_layouts(before, edit, after):
    assert edited(before, edit) == after


MERGED = "a: &x {k: 1, l: 2}  # c\nb:\n  <<: *x\n  m: 3  # d\n"


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        ("a: &x 1  # c\nb: *x\n", set_at("b", 2), "a: &x 1  # c\nb: 2\n"),
        ("a: &x 1  # c\nb: *x\n", set_at("a", 2), "a: &x 2  # c\nb: 1\n"),
        ("a: &x 1  # c\nb: *x\n", lambda d: d.update(a=2, b=2), "a: &x 2  # c\nb: *x\n"),
        ("a: &x 1  # c\nb: *x\n", delete_at("a"), "b: 1\n"),
        ("a: &x 1  # c\nb: *x\n", set_at("c", 2), "a: &x 1  # c\nb: *x\nc: 2\n"),
        ("a: &x  # c\n  k: 1\nb: *x\n", set_at("b", "k", 2), "a: &x  # c\n  k: 1\nb:\n  k: 2\n"),
        (
            "a: &x  # c\n  k: 1\nb: *x\nc: *x\n",
            set_at("a", "k", 2),
            "a: &x  # c\n  k: 2\nb:\n  k: 1\nc:\n  k: 1\n",
        ),
        ("a: &x  # c\n  k: 1\nb: *x\n", set_at("a", 2), "a: &x 2  # c\nb:\n  k: 1\n"),
        ("a: &x  # c\n  k: 1\nb: [*x, 1]\n", set_at("a", {}), "a: &x {}  # c\nb: [{k: 1}, 1]\n"),
        ("&k a: 1  # c\nb: *k\n", set_at("a", 2), "&k a: 2  # c\nb: *k\n"),
        ("&k a: 1  # c\nb: *k\n", delete_at("a"), "b: a\n"),
        ("a: &k x  # c\n*k : 1\n", set_at("x", 2), "a: &k x  # c\n*k : 2\n"),
        ("a: &k x  # c\n*k : 1\n", set_at("a", 2), "a: 2\nx: 1\n"),
        ("- &x a  # c\n- *x\n- 1\n", delete_at(2), "- &x a  # c\n- *x\n"),
        # merge keys
        (MERGED, set_at("b", "m", 4), "a: &x {k: 1, l: 2}  # c\nb:\n  <<: *x\n  m: 4  # d\n"),
        (MERGED, set_at("b", "k", 4), "a: &x {k: 1, l: 2}  # c\nb:\n  <<: *x\n  m: 3  # d\n  k: 4\n"),
        (MERGED, delete_at("b", "k"), "a: &x {k: 1, l: 2}  # c\nb:\n  m: 3  # d\n  l: 2\n"),
        (MERGED, set_at("a", "k", 5), "a: &x {k: 5, l: 2}  # c\nb:\n  <<: *x\n  m: 3  # d\n  k: 1\n"),
        (MERGED, set_at("a", "n", 5), "a: &x {k: 1, l: 2, n: 5}  # c\nb:\n  m: 3  # d\n  k: 1\n  l: 2\n"),
        (MERGED, delete_at("a"), "b:\n  m: 3  # d\n  k: 1\n  l: 2\n"),
        ("a: &x {k: 1}  # c\nb:\n  <<: *x\n  k: 3  # d\n", delete_at("b", "k"), "a: &x {k: 1}  # c\nb: {}\n"),
        (
            "a: &x {k: 1}  # c\nb: &y {k: 2, l: 2}\nc:\n  <<: [*x, *y]\n",
            set_at("c", "l", 3),
            "a: &x {k: 1}  # c\nb: &y {k: 2, l: 2}\nc:\n  <<: [*x, *y]\n  l: 3\n",
        ),
        ("a: &x {k: 1}  # c\nb:\n  <<: {k: 1, l: 2}\n", delete_at("b", "l"), "a: &x {k: 1}  # c\nb:\n  k: 1\n"),
    ],
)
def test_anchors_and_merge_keys(before, edit, after):
    assert edited(before, edit) == after


def test_utf_16_stays_utf_16():
    before = "# Größe\na: 1\n"
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        result = edited(mark + before.encode(encoding), set_at("b", "ä"))
        assert result == mark + "# Größe\na: 1\nb: ä\n".encode(encoding)


def test_a_patch_that_says_something_else_is_not_taken():
    # The comment would be the third line of the text.
    before = "a:\n    b: 1\n\n    # c\nd: 1\n"
    assert edited(before, set_at("a", "x\ny\n")) == 'a: "x\\ny\\n"\n\n    # c\nd: 1\n'
    # What ends without a line break has one more, if something comes below.
    before = "# c\na: 1  # d\nb: |\n  x"
    assert edited(before, set_at("c", 1)) == "# c\na: 1  # d\nb: x\nc: 1\n"


def test_what_cannot_be_patched_at_all_is_written_anew(monkeypatch):
    monkeypatch.setattr(keep, "changed_within", lambda *_arguments: None)
    monkeypatch.setattr(keep.Patcher, "patch", lambda _self, _wanted: None)
    assert edited("# c\na: 1\n", set_at("a", 2)) == "a: 2\n"


# --- when the layout is kept ------------------------------------------------------------------------------


def test_a_file_in_our_own_form_is_dumped_and_never_parsed(monkeypatch):
    writer, value = YAML().writer(), {"b": [1], "a": {"c": 2}}
    data = writer(value, None)
    monkeypatch.setattr(keep, "load_yaml", lambda *_arguments: pytest.fail("it was parsed"))
    for number in range(3):
        value["n"] = number
        assert writer(value, data) == dump_yaml(value)
        data = dump_yaml(value)
    # As it is on opening, if nothing changed.
    assert YAML().writer()(value, data) == data


def test_a_file_in_our_own_form_is_known_after_a_restart():
    assert YAML().writer()({"b": 1, "a": {}}, dump_yaml({"b": 2})) == b"a: {}\nb: 1\n"


def test_a_file_that_is_edited_is_kept_and_one_that_is_our_own_again_is_not():
    writer = YAML().writer()
    assert writer({"b": 1}, None) == b"b: 1\n"
    assert writer({"b": 2}, b"b: 1 # c\n") == b"b: 2 # c\n"
    assert writer({"b": 2, "a": 1}, b"b: 2 # c\n") == b"b: 2 # c\na: 1\n"
    assert writer({"b": 2, "a": 1, "c": 1}, b"a: 1\nb: 2\n") == b"a: 1\nb: 2\nc: 1\n"
    assert writer({"b": 2, "a": 1, "B": 1}, b"a: 1\nb: 2\nc: 1\n") == b"B: 1\na: 1\nb: 2\n"


def test_comments_alone_are_kept():
    assert YAML().writer()({"a": 1}, b"# only\n# comments") == b"# only\n# comments\na: 1\n"
    assert YAML().writer()({"a": 1}, b"--- # c\n") == b"--- # c\na: 1\n"
    assert YAML().writer()({"a": 1}, b"null # c\n") == b"a: 1\n"
    assert YAML().writer()({"a": 1}, b"") == b"a: 1\n"


def test_what_cannot_be_read_is_written_anew():
    assert YAML().writer()({"a": 1}, b"a: [1") == b"a: 1\n"


def test_the_work_is_in_proportion_to_the_file():
    def calls(size):
        before = "".join(f"# of {n}\nk{n}:\n  - a: {n}  # c\n" for n in range(size)).encode()
        value = {f"k{n}": [{"a": -n}] for n in range(0, size, 2)} | {f"n{n}": [n] for n in range(size)}
        count = 0

        def tick(_frame, _event, _argument):
            nonlocal count
            count += 1

        writer = YAML().writer()
        sys.setprofile(tick)
        try:
            result = writer(value, before)
        finally:
            sys.setprofile(None)
        assert load_yaml(result, "") == value
        return count

    assert calls(1000) < 12 * calls(100)


# --- at random --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=many(150), suppress_health_check=list(HealthCheck))
@given(st.one_of(DICTS, DICTS, LISTS, SETS), st.randoms(use_true_random=False), st.integers(1, 5))
def test_whatever_is_written_and_edited(value, rng, steps):
    """The file says what the structure is; each comment and line that an edit is not about is there, as it was."""
    root = Item(value)
    written = Written(root, rng)
    note_unclear(written, root)
    data = written.data
    assert identity(load_yaml(data, "")) == identity(value)
    editor, writer = Editor(root, rng), YAML().writer()
    for _ in range(steps):
        editor.step()
        data = writer(root.plain(), data)
        assert identity(load_yaml(data, "")) == identity(root.plain())
    assert list(losses(written, root, data.decode(written.encoding))) == []


@settings(deadline=None, max_examples=many(150), suppress_health_check=list(HealthCheck))
@given(st.one_of(DICTS, DICTS, LISTS), st.randoms(use_true_random=False), st.integers(1, 6))
def test_what_is_known_of_a_file_after_a_change_is_what_reading_it_tells(value, rng, steps):
    """A file whose changed entries alone were read again is, and is known, as one that was read as a whole."""
    root = Item(value)
    data = Written(root, rng).data
    editor, writer = Editor(root, rng), YAML().writer()
    for _ in range(steps):
        editor.step()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keep, "changed_within", lambda *_arguments: None)
            expected = YAML().writer()(root.plain(), data)
        # Once nothing a person laid out is left in a file, who reads it anew takes it for the program's own.
        own = YAML().dump(load_yaml(data, "")) == data
        before = data
        data = writer(root.plain(), data)
        if writer._kept is not None:
            assert own or data == expected, (before, root.plain())
            fresh = keep._Kept(data)
            assert identity(fresh._value) == identity(writer._kept._value)
            assert keep_order(fresh._value) == keep_order(writer._kept._value)
            assert known(fresh) == known(writer._kept)


def keep_order(value):
    return list(map(identity, value)) if isinstance(value, (dict, list)) else None


def known(kept):
    """Return what the writer goes by in a text."""
    if kept._root is None:
        return kept._text
    places = Places(Text(kept._text if kept._text.endswith(("\n", "\r")) else f"{kept._text}\n"), kept._root)

    def all_of(node):
        own = (
            node.kind,
            node.start,
            node.column,
            node.anchor,
            node.refers,
            node.flow,
            node.tag,
            node.text,
            node.style,
        )
        if node.kind not in ("seq", "map") or not node.children:
            return own, places.end(node)
        entries = [(e.start, e.column, e.lead, e.end) for e in places.entries(node)]
        return own, places.end(node), entries, [all_of(child) for child in node.children]

    return all_of(kept._root), places.style(kept._root)
