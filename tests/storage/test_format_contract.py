"""What every file format promises, the documented example among them, on one and the same suite."""

import copy
import datetime as dt
import inspect
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.docs.documents import ROOT, fenced_examples, run_examples
from tests.lengths import many
from tests.storage.values import HASHABLE, LIVE, LIVE_SCALARS, containers
from tests.tracker.opened import exact, open_in
from tinysync import JSON, YAML, Format, Pickle, UnsafeYAML, tracker
from tinysync.errors import TinySyncError, UnreadableFile
from tinysync.storage import readable
from tinysync.storage.merge import apply_edits
from tinysync.storage.plain import identity


@cache
def example_format():
    """Return the format that docs/formats.md shows how to write."""
    names = {}
    for line, block, terminal in fenced_examples((ROOT / "docs/formats.md").read_text(encoding="utf-8")):
        if terminal == "format":
            run_examples(block, "docs/formats.md", names, line)
    return names["TOML"]()


WITH_DOCUMENT = {"YAML": YAML, "JSON": JSON, "example": example_format}
WITHOUT = {"Pickle": Pickle, "UnsafeYAML": UnsafeYAML}
document_formats = pytest.mark.parametrize("make", WITH_DOCUMENT.values(), ids=WITH_DOCUMENT)
object_formats = pytest.mark.parametrize("make", WITHOUT.values(), ids=WITHOUT)
all_formats = pytest.mark.parametrize("make", [*WITH_DOCUMENT.values(), *WITHOUT.values()])

DICTS = st.dictionaries(HASHABLE, containers(LIVE_SCALARS, HASHABLE), max_size=5)


def test_the_interface_is_small():
    members = [name for name in vars(Format) if not name.startswith("_")]
    assert len([*members, *Format.__annotations__]) <= 5


@all_formats
def test_it_is_a_format(make):
    file_format = make()
    assert isinstance(file_format, Format)
    assert file_format.suffix.startswith(".")


def test_what_can_execute_code_says_so():
    for unsafe in (Pickle, UnsafeYAML):
        assert "execute any code" in inspect.getdoc(unsafe)
        assert unsafe.vocabulary is None


# --- formats of a document --------------------------------------------------------------------------------


@document_formats
@settings(max_examples=many(60))
@given(value=DICTS)
def test_what_it_can_say_comes_back(make, value):
    file_format = make()
    readable = file_format.vocabulary.readable(value)
    assert identity(file_format.vocabulary.readable(readable)) == identity(readable)
    loaded = file_format.load(file_format.dump(readable), "conf")
    assert identity(loaded or {}) == identity(readable)
    # Nothing was dropped on the way into the file.
    assert len(readable) == len(value)


@document_formats
@settings(max_examples=many(30))
@given(value=DICTS)
def test_equal_structures_make_equal_files(make, value):
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(item) for key, item in reversed(value.items())}
        if isinstance(value, list):
            return list(map(turned, value))
        return set(reversed([*value])) if isinstance(value, set) else value  # noqa: C414 - another order inside

    file_format = make()
    one, other = (file_format.vocabulary.readable(each) for each in (value, turned(value)))
    assert file_format.dump(one) == file_format.dump(other)


@document_formats
@settings(max_examples=many(60))
@given(data=st.binary(max_size=40) | st.text("[]{}\"':,=-\n #1ae", max_size=30).map(str.encode))
def test_what_it_cannot_read_is_an_error_that_says_so(make, data):
    try:
        value = make().load(data, "conf")
    except (ValueError, UnreadableFile):
        return
    assert value is None or isinstance(value, (dict, list, set))


@document_formats
@settings(max_examples=many(60))
@given(live=DICTS, other=DICTS)
def test_a_hand_edit_is_what_one_gets(make, live, other):
    vocabulary = make().vocabulary
    base, edited = vocabulary.readable(live), vocabulary.readable(other)
    untouched = copy.deepcopy(live)
    apply_edits(live, base, base, vocabulary)
    assert repr(live) == repr(untouched) or live == untouched
    if not base.keys() & edited.keys():
        edited = base | edited
    apply_edits(live, base, edited, vocabulary)
    taken = copy.deepcopy(live)
    apply_edits(live, base, edited, vocabulary)
    assert repr(live) == repr(taken) or live == taken  # an edit that was taken already changes nothing
    said = vocabulary.readable(live)
    assert said.keys() == edited.keys() or any("(" in str(key) for key in said.keys() | edited.keys())


KEPT = {
    "none": None, "yes": True, "int": 3, "big": 2**80, "float": 1.0, "inf": float("inf"), "text": "ä\x7f\u2028\n",
    "bytes": b"\0\xff", "tuple": (1, (2.0, "x")), "frozen": frozenset({1}), "date": dt.date(2020, 1, 2),
    "when": dt.datetime(2020, 1, 2, tzinfo=dt.UTC), "span": dt.timedelta(days=-1, microseconds=5),
    "set": {1, "two", (3,)}, "list": [1, [2, {"k": {3}}]], 1: "int key", (1, 2): "tuple key", "": 0,
}  # fmt: skip


@pytest.mark.parametrize("make", [YAML, JSON])
def test_a_file_that_is_too_large_to_be_read_is_reported_once(make, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(readable, "MAX_BYTES", 100)
    replica = open_in(tmp_path, {}, keeper=make())
    replica.root.x = "x" * 80
    assert not caplog.records
    replica.root.x += "x" * 80
    replica.root.x += "x" * 80
    replica.close()
    [record] = caplog.records
    [file] = tmp_path.glob("conf.*")
    assert str(file) in record.message
    assert "hand edits of it will not be taken" in record.message


@document_formats
def test_everything_survives_a_reopening_with_its_type(make, tmp_path):
    for expected in ({}, KEPT):
        replica = open_in(tmp_path, {}, keeper=make())
        assert exact(replica.root) == exact(expected)
        replica.root.update(KEPT)
        replica.close()


@document_formats
def test_a_file_that_does_not_parse_is_left_alone(make, tmp_path):
    replica = open_in(tmp_path, {"a": 1}, keeper=make())
    file = replica.disk.path
    replica.close()
    file.write_bytes(b'{"a": [1, "b\n')
    with pytest.raises(TinySyncError, match=file.name):
        open_in(tmp_path, {"a": 1}, keeper=make())
    assert file.read_bytes() == b'{"a": [1, "b\n'


# --- formats of any object --------------------------------------------------------------------------------


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return isinstance(other, Point) and vars(other) == vars(self)

    __hash__ = None


@object_formats
def test_any_object_comes_back(make):
    shared = Point(1, [2])
    value = {
        "p": shared,
        "again": shared,
        (1, 2): Fraction(1, 3),
        "set": {1, (2,)},
        "deep": [{"x": [shared]}],
        "c": int,
    }
    file_format = make()
    loaded = file_format.load(file_format.dump(value), "conf")
    assert loaded == value
    assert loaded["p"] is loaded["again"]


@object_formats
@settings(max_examples=many(30))
@given(value=LIVE)
def test_what_a_document_holds_comes_back_too(make, value):
    file_format = make()
    assert exact(file_format.load(file_format.dump(value), "conf")) == exact(value)


@object_formats
def test_a_live_structure_is_written_as_a_plain_one(make, tmp_path):
    replica = open_in(tmp_path, {"l": [{"s": {1}}], "p": Point(1, 2)}, keeper=make())
    assert b"tinysync" not in replica.disk.path.read_bytes()
    assert tracker(replica.root).snapshot() == make().load(replica.disk.path.read_bytes(), "")
    replica.close()


@object_formats
@pytest.mark.parametrize("data", [b"rubbish: [", b"\x80\x05", b"\xff", b"!!python/name:no.such ''", b"- &a\n- *b"])
def test_rubbish_is_an_error(make, data):
    with pytest.raises(ValueError, match="cannot be loaded"):
        make().load(data, "conf")
