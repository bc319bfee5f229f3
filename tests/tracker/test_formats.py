"""Structures in other formats than YAML: JSON with a document, Pickle and UnsafeYAML without one."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
from collections import OrderedDict, deque
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.tracker.opened import assert_in_agreement, exact
from tinysync import JSON, YAML, Format, Peer, Pickle, Shelve, UnsafeYAML, track, tracker
from tinysync.errors import (
    InvalidValue,
    KindMismatch,
    StorageError,
    StructureClosed,
    UnreadableFile,
    UnsupportedValue,
    UsageError,
)

OBJECTS = pytest.mark.parametrize("persist", [Pickle, UnsafeYAML])


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Opened:
    """Opens a structure, and closes it at the end of the block."""

    def __init__(self, *args, **options):
        self.structure = track(*args, **options)

    def __enter__(self):
        return self.structure

    def __exit__(self, *error):
        tracker(self.structure).close()


# --- JSON -------------------------------------------------------------------------------------------------


def test_a_hand_edit_of_json_keeps_kinds_and_types(tmp_path):
    content = {
        "set": {1, (2, 3), "x"}, "price": Decimal("1.5"), "ports": {80: "http"}, "at": (1, 2), "bytes": b"\0",
        "frozen": frozenset({3, 1}), "ids": {1, 2}, "deep": [{"set": {5}}],
    }  # fmt: skip
    with Opened(content, "conf", persist=JSON):
        pass
    file = tmp_path / "conf.json"
    value = json.loads(file.read_text())
    assert value["set"] == [1, "(2, 3)", "x"]
    value["set"] = [*reversed(value["set"]), [4, [5]]]
    value["price"] = 2.5
    value["ports"]["443"] = "https"
    value["at"].append(3)
    value["frozen"] = [3, 2]
    value["ids"].append(3)
    value["deep"][0]["set"].append(6)
    value["new"] = [1, 1]
    file.write_text(json.dumps(value))
    changes = []
    with Opened({}, "conf", persist=JSON, callback=changes.append) as conf:
        assert exact(conf) == exact(
            {
                **content,
                "set": {1, (2, 3), "x", (4, (5,))},
                "price": Decimal("2.5"),
                "ports": {80: "http", 443: "https"},
                "at": (1, 2, 3),
                "frozen": frozenset({2, 3}),
                "ids": {1, 2, 3},
                "deep": [{"set": {5, 6}}],
                "new": [1, 1],
            }
        )
        assert {change.origin for change in changes[0]} == {"file"}
        assert_in_agreement(conf._recorder)


def test_a_list_that_can_be_no_set_is_a_list(tmp_path):
    with Opened({"s": {1}}, "conf", persist=JSON):
        pass
    (tmp_path / "conf.json").write_text('{"s": [{"a": 1}]}')
    with Opened({}, "conf", persist=JSON) as conf:
        assert exact(conf) == exact({"s": [{"a": 1}]})


def test_a_root_that_is_a_set_is_a_list_in_json(tmp_path):
    with Opened({3, 1}, "ids", persist=JSON):
        assert json.loads((tmp_path / "ids.json").read_text()) == [1, 3]
        (tmp_path / "ids.json").write_text("[1, 4]")
    with Opened(set(), "ids", persist=JSON) as ids:
        assert ids == {1, 4}


def test_a_json_file_written_by_hand_takes_its_types_from_the_default(tmp_path):
    (tmp_path / "conf.json").write_text('{"ids": [1, 2], "ports": {"80": "x"}, "price": "1.10", "new": [1]}')
    default = {"ids": {7}, "ports": {1: "y"}, "price": Decimal("3.50"), "gone": 1}
    with Opened(default, "conf", persist=JSON) as conf:
        expected = {"ids": {1, 2}, "ports": {"80": "x"}, "price": Decimal("1.10"), "new": [1]}
        assert exact(conf) == exact(expected)
        assert_in_agreement(conf._recorder)


def test_yaml_and_json_are_views_of_one_state(tmp_path):
    with Opened({"a": (1, 2), "s": {1}}, "conf"):
        pass
    with Opened({}, "conf", persist=JSON) as conf:
        assert exact(conf) == exact({"a": (1, 2), "s": {1}})
        conf.b = 1
    # What the other file says is old, not an edit; but an edit of it is one.
    yaml = tmp_path / "conf.yaml"
    assert "b" not in yaml.read_text()
    yaml.write_text(yaml.read_text() + "c: 3\n")
    with Opened({}, "conf", persist=YAML()) as conf:
        assert exact(conf) == exact({"a": (1, 2), "s": {1}, "b": 1, "c": 3})
        with pytest.raises(UsageError, match=r"open as conf\.yaml"):
            track({}, "conf", persist=JSON)
        assert track({}, "conf") is conf
    with Opened({}, "conf", persist=JSON) as conf:
        assert conf["c"] == 3
    assert json.loads((tmp_path / "conf.json").read_text()) == {"a": [1, 2], "b": 1, "c": 3, "s": [1]}


def test_json_devices_are_in_sync_with_yaml_devices(tmp_path):
    laptop, phone = Peer(listen="127.0.0.1:0"), None
    try:
        phone = Peer(connect=[laptop.url])
        one = track({"s": {1}}, "conf", folder="laptop", sync=laptop, persist=JSON)
        other = track({"s": {1}}, "conf", folder="phone", sync=phone)
        one.s.add((2, 3))
        tracker(one).wait_synced(20)
        assert exact(other) == exact({"s": {1, (2, 3)}})
        tracker(one).close()
        tracker(other).close()
    finally:
        laptop.close()
        if phone is not None:
            phone.close()


class Table(Format):
    """Says dicts only."""

    suffix = ".table"
    vocabulary = JSON.vocabulary

    def dump(self, value):
        if not isinstance(value, dict):
            raise ValueError("a table has names")
        return "".join(f"{key} {json.dumps(value[key])}\n" for key in sorted(value)).encode()

    def load(self, data, place):
        lines = (line.split(" ", 1) for line in data.decode().splitlines())
        return {key: json.loads(text) for key, text in lines} or None


def test_a_root_that_a_format_cannot_say_is_an_error():
    with pytest.raises(StorageError, match=r"conf\.table cannot be written.*a table has names"):
        track([], "conf", persist=Table)
    with Opened({"a": {1}}, "other", persist=Table()) as other:
        assert other == {"a": {1}}


@pytest.mark.parametrize("persist", ["JSON", json, None, 1, dict])
def test_what_is_no_format(persist):
    with pytest.raises(UsageError, match="persist="):
        track({}, "conf", persist=persist)


def test_a_format_needs_a_name():
    with pytest.raises(UsageError, match="needs a name"):
        track({}, persist=JSON)


# --- whole files ------------------------------------------------------------------------------------------


class Point:
    def __init__(self, x):
        self.x = x


class Stubborn:
    def __reduce__(self):
        raise RuntimeError("not this one")


@OBJECTS
def test_any_value_is_held_as_it_is(persist):
    point, fifo, ordered = Point([1]), deque([1, 2]), OrderedDict(a={"x": 1})
    with Opened({"l": []}, "conf", persist=persist) as conf:
        conf.point = point
        conf.l.extend([point, fifo, Fraction(1, 2), {"deep": ordered}])
        conf[frozenset({Fraction(1, 2)})] = {complex: 1}
        assert conf.point is point
        assert conf.l[0] is point
        assert conf.l[1] is fifo
        assert conf.l[3]["deep"] is ordered
        assert type(conf.l[3]).__name__ == "DictWrapper"
        assert tracker(conf).snapshot()["l"][1] is fifo
        conf.l[3].n = 5
    with Opened({}, "conf", persist=persist) as conf:
        assert conf.point.x == [1]
        assert conf.point is conf.l[0]
        assert list(conf.l[1:]) == [deque([1, 2]), Fraction(1, 2), {"deep": OrderedDict(a={"x": 1}), "n": 5}]
        assert type(conf.l[3].deep) is OrderedDict
        assert conf[frozenset({Fraction(1, 2)})] == {complex: 1}


@OBJECTS
def test_an_object_that_is_assigned_again_is_saved(persist):
    with Opened({"d": {"p": Point(1)}, "l": [Point(1)]}, "conf", persist=persist) as conf:
        conf.d.p.x = conf.l[0].x = 2
        conf.d = {"p": conf.d.p}
        conf.l[:] = [conf.l[0]]
    with Opened({}, "conf", persist=persist) as conf:
        assert conf.d.p.x == conf.l[0].x == 2


@OBJECTS
def test_transactions_callbacks_and_rollback(persist, tmp_path):
    changes = []
    with Opened({"l": [1], "d": {"x": {1}}}, "conf", persist=persist, callback=changes.append) as conf:
        file = next(tmp_path.glob("conf.*"))
        before = file.read_bytes()
        with pytest.raises(RuntimeError), conf:
            conf.l.append(2)
            del conf["d"]
            raise RuntimeError
        assert conf == {"l": [1], "d": {"x": {1}}}
        assert file.read_bytes() == before
        assert not changes
        with conf:
            conf.l.append(Point(3))
            assert file.read_bytes() == before
            conf.d.x.add(2)
        assert [change.path for change in changes[0]] == [["l"], ["d", "x"]]
        assert file.read_bytes() != before


@OBJECTS
def test_undo_marks_and_patterns_with_any_keys_and_values(persist):
    with Opened({"l": [1]}, "conf", persist=persist) as conf:
        handle, seen, point = tracker(conf), [], Point(1)
        handle.on("**", seen.append)
        mark = handle.mark()
        conf[int] = 1
        conf.s = {1, str}
        conf.o = OrderedDict(a=point)
        conf.l[0] = point
        assert len(seen) == 4
        assert sorted(map(str, handle.changed_paths)) == sorted(map(str, [[int], ["s"], ["o"], ["l", 0]]))
        for _ in range(4):
            assert handle.undo()
        assert conf == {"l": [1]}
        for _ in range(4):
            assert handle.redo()
        assert conf.l[0] is conf.o["a"] is point
        assert conf[int] == 1
        assert conf.s == {1, str}
        handle.revert(mark)
        assert conf == {"l": [1]}
    with Opened({}, "conf", persist=persist) as conf:
        assert conf == {"l": [1]}


@OBJECTS
def test_what_cannot_be_written_changes_nothing(persist, tmp_path):
    with Opened({"a": 1}, "conf", persist=persist) as conf:
        with pytest.raises(UnsupportedValue, match="conf.*not this one"):
            conf.b = [Stubborn()]
        with pytest.raises(InvalidValue, match="inside itself"):
            conf.c = (loop := {}).setdefault("me", loop)
        assert conf == {"a": 1}
        conf.b = 2
    with Opened({}, "conf", persist=persist) as conf:
        assert conf == {"a": 1, "b": 2}
    with pytest.raises(UnsupportedValue, match="not this one"):
        track({"x": Stubborn()}, "other", persist=persist)
    assert not list(tmp_path.glob("other.*"))


@OBJECTS
def test_a_disk_that_fails_changes_nothing(persist, tmp_path):
    with Opened({"l": [1]}, "conf", persist=persist, folder="sub") as conf:
        (tmp_path / "sub").rename(tmp_path / "away")
        (tmp_path / "sub").write_text("no folder")
        with pytest.raises(StorageError, match="conf"):
            conf.l.append(2)
        assert conf == {"l": [1]}
        (tmp_path / "sub").unlink()
        (tmp_path / "away").rename(tmp_path / "sub")
        conf.l.append(3)
    with Opened({}, "conf", persist=persist, folder="sub") as conf:
        assert conf == {"l": [1, 3]}


@OBJECTS
def test_what_another_program_wrote_is_left_alone(persist, tmp_path):
    conf = track({"a": 1}, "conf", persist=persist)
    file = next(tmp_path.glob("conf.*"))
    theirs = persist().dump({"theirs": 1})
    file.write_bytes(theirs)
    with pytest.raises(StorageError, match="changed by another program"):
        conf.a = 2
    assert conf == {"a": 1}
    assert file.read_bytes() == theirs
    tracker(conf).close()
    with Opened({}, "conf", persist=persist) as conf:
        assert conf == {"theirs": 1}
        file.unlink()
        conf.mine = 2
    with Opened({}, "conf", persist=persist) as conf:
        assert conf == {"theirs": 1, "mine": 2}


@OBJECTS
def test_what_is_refused(persist, tmp_path):
    with pytest.raises(UsageError, match="cannot be synced"):
        track({}, "conf", persist=persist, sync="ws://127.0.0.1:1")
    with pytest.raises(UsageError, match="version"):
        track({}, "conf", persist=persist, version=1)
    assert not list(tmp_path.iterdir())
    with Peer(listen="127.0.0.1:0") as peer, Opened({}, "conf", persist=persist) as conf:
        with pytest.raises(UsageError, match="cannot be synced"):
            track({}, "conf", persist=persist, sync=peer)
        with pytest.raises(UsageError, match="cannot be synced"):
            conf._recorder.sharing.add(peer)
        conf.a = 1
    with pytest.raises(StructureClosed):
        conf.a = 2
    with pytest.raises(KindMismatch, match="holds a dict"):
        track([], "conf", persist=persist)
    file = next(tmp_path.glob("conf.*"))
    for rubbish in (b"", b"rubbish: ["):
        file.write_bytes(rubbish)
        with pytest.raises(UnreadableFile, match="conf"):
            track({}, "conf", persist=persist)
        assert file.read_bytes() == rubbish


def test_a_name_has_one_state(tmp_path):
    with Opened({"a": 1}, "pickled", persist=Pickle):
        pass
    with Opened({"a": 1}, "document"):
        pass
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "pid"}
    for persist, name in [(YAML, "pickled"), (UnsafeYAML, "pickled"), (Pickle, "document")]:
        with pytest.raises(UsageError, match="second state"):
            track({}, name, persist=persist)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path in before}
    assert after == before
    assert not list(tmp_path.glob("pickled.[uy]*")) + list(tmp_path.glob("document.p*"))
    with Opened({}, "pickled", persist=Pickle) as conf:
        assert conf == {"a": 1}


def test_a_pickle_alone_is_enough(tmp_path):
    (tmp_path / "conf.pickle").write_bytes(pickle.dumps([Fraction(1, 2), {"a": 1}]))
    with Opened([], "conf", persist=Pickle) as conf:
        assert conf == [Fraction(1, 2), {"a": 1}]
        conf[1].a = 2
    assert pickle.loads((tmp_path / "conf.pickle").read_bytes()) == [Fraction(1, 2), {"a": 2}]


WRITER = """
import sys
from tinysync import track, Pickle, UnsafeYAML
root = track({"log": [], "last": None}, "conf", persist={"Pickle": Pickle, "UnsafeYAML": UnsafeYAML}[sys.argv[1]])
number = len(root.log)
while True:
    with root:
        root.log.append(number)
        root.last = {"number": number}
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@OBJECTS
def test_every_acknowledged_write_survives_kill_9(persist):
    chance, acknowledged = random.Random(7), -1
    for _ in range(5):
        command = [sys.executable, "-c", WRITER, persist.__name__]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        wanted = acknowledged + chance.randrange(1, 12)
        while acknowledged < wanted:
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.stdout.close()
        writer.wait()
        with Opened({}, "conf", persist=persist) as conf:
            assert conf.log == list(range(conf.last.number + 1))
            assert conf.last.number >= acknowledged
            acknowledged = conf.last.number


@pytest.mark.parametrize("keeper", [Pickle, UnsafeYAML, Shelve])
@pytest.mark.parametrize(
    ("put", "place"),
    [
        (lambda d: d.__setitem__("x", Stubborn()), r"at \['x'\]\)"),
        (lambda d: d.a.b.append({1: [Stubborn()]}), r"at \['a'\]\['b'\]\[1\]\[1\]\[0\]\)"),
        (lambda d: d.a.__setitem__(Stubborn(), 1), r"as a key or element of \['a'\]\)"),
        (lambda d: d.a.__setitem__("s", {1, Stubborn()}), r"as a key or element of \['a'\]\['s'\]\)"),
        (lambda d: d.a.__setitem__("t", (1, Stubborn())), r"at \['a'\]\['t'\]\)"),
    ],
)
def test_what_cannot_be_written_is_named_with_its_path(tmp_path, keeper, put, place):
    d = track({"a": {"b": [1]}}, "d", folder=tmp_path, persist=keeper)
    for _ in range(2):
        with pytest.raises(UnsupportedValue, match=f"cannot be written to .*not this one.*{place}"):
            put(d)
        assert d.a == {"b": [1]}
    tracker(d).close()
