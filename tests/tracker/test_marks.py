"""Marks, the changed area, diff, patch and revert."""

from __future__ import annotations

import json

import dictdiffer
import pytest

from tests.tracker.opened import assert_in_agreement, exact, in_memory, open_in
from tinysync.errors import KindMismatch, StructureClosed, UnsupportedValue, UsageError
from tinysync.model import DeviceId


def tracked(structure):
    replica = in_memory(structure)
    return replica.root, replica.handle


def test_the_changed_area_is_made_of_the_smallest_changed_entries():
    conf, handle = tracked({"servers": {"a": {"port": 1}, "b": {}}, "l": [1, [2], {"x": 1}], "m": [1], "s": {1}})
    mark = handle.mark()
    assert handle.changed_paths == []
    conf.servers.a.port = 2
    conf.servers.b = {"new": {"deep": 1}}
    conf.servers.c = {}
    conf.l[0] = 5
    conf.l[2].x = 2
    conf.l[1].append(3)
    conf.m.insert(0, 0)
    conf.s.add(2)
    assert sorted(handle.changed_paths, key=repr) == [
        ["l", 0], ["l", 1], ["l", 2, "x"], ["m"], ["s"],
        ["servers", "a", "port"], ["servers", "b", "new"], ["servers", "c"],
    ]  # fmt: skip
    assert mark.changed_paths == handle.changed_paths
    del conf["servers"]
    assert ["servers"] in handle.changed_paths
    assert not [path for path in handle.changed_paths if path[0] == "servers" and len(path) > 1]


def test_what_is_set_back_is_no_change():
    conf, handle = tracked({"a": 1, "s": {1}, "l": [1, 2]})
    handle.mark()
    conf.a = 2
    conf.new = {"x": 1}
    conf.s.add(2)
    conf.l.append(3)
    assert handle.changed_paths
    conf.a = 1
    del conf["new"]
    conf.s.discard(2)
    conf.l.pop()
    assert handle.changed_paths == []
    assert handle.diff() == []


def test_what_comes_and_goes_leaves_nothing_behind():
    conf, handle = tracked({"sessions": {}, "queue": []})
    handle.mark()
    for number in range(100):
        conf.sessions[f"s{number}"] = {"user": {"name": number}}
        conf.sessions[f"s{number}"].user.name = "x"
        del conf.sessions[f"s{number}"]
        conf.queue.append({"n": number})
        conf.queue[0].n = 0
        conf.queue.pop()
    changed = handle._replica.changed
    assert changed.entries == {}
    assert changed.removed == {}
    assert [then.items for then in changed.lists.values()] == [[]]


def test_without_a_mark_there_is_nothing_to_count_from():
    _, handle = tracked({"a": 1})
    for ask in (lambda: handle.changed_paths, handle.diff, handle.revert):
        with pytest.raises(UsageError, match=r"tracker\(x\).mark\(\)"):
            ask()


def test_a_mark_of_another_structure():
    mark = tracked({"a": 1})[1].mark()
    _, handle = tracked({"a": 1})
    handle.mark()
    for ask in (handle.diff, handle.revert):
        with pytest.raises(UsageError, match="is not of"):
            ask(mark)


def test_a_mark_is_for_committed_states_but_a_diff_also_for_an_open_transaction():
    conf, handle = tracked({"a": 1, "l": [{"x": 1}]})
    mark = handle.mark()
    with conf:
        conf.a = 2
        conf.l.insert(0, 0)
        conf.l[1].x = 5
        with pytest.raises(UsageError, match="inside a transaction"):
            handle.mark()
        assert handle.diff() == list(dictdiffer.diff({"a": 1, "l": [{"x": 1}]}, conf, dot_notation=False))
        assert handle.changed_paths == [["a"], ["l"]]
        with pytest.raises(ZeroDivisionError), conf:
            conf.b = 3
            assert ["b"] in handle.changed_paths
            raise ZeroDivisionError
        assert ["b"] not in handle.changed_paths
        handle.revert(mark)
    assert conf == {"a": 1, "l": [{"x": 1}]}
    assert handle.changed_paths == []


def test_marks_count_each_for_itself():
    conf, handle = tracked({"a": 1, "b": 1})
    first = handle.mark()
    conf.a = 2
    second = handle.mark()
    conf.b = 2
    assert first.changed_paths == [["a"], ["b"]]
    assert second.changed_paths == handle.changed_paths == [["b"]]
    assert handle.diff(first) == [("change", ["a"], (1, 2)), ("change", ["b"], (1, 2))]
    handle.revert()
    assert conf == {"a": 2, "b": 1}
    handle.revert(first)
    assert conf == {"a": 1, "b": 1}
    handle.revert(second)
    assert conf == {"a": 2, "b": 1}


def test_a_callback_sees_the_changed_area():
    seen = []
    conf, handle = tracked({"a": 1})
    handle.mark()
    handle.on(lambda change: seen.append(handle.changed_paths))
    conf.a = 2
    assert seen == [[["a"]]]


def test_what_was_refused_is_no_change(tmp_path):
    replica = open_in(tmp_path, {"a": 1})
    handle = replica.handle
    handle.mark()
    with pytest.raises(UnsupportedValue):
        replica.root.update(a=2, b=object())
    assert handle.changed_paths == []
    replica.close()
    assert handle.diff() == []
    with pytest.raises(StructureClosed):
        handle.mark()
    with pytest.raises(StructureClosed):
        handle.revert()


def test_a_diff_is_dictdiffers():
    before = {"a": {"b": 1, "gone": [1]}, "l": [1, 2, 3], "s": {1, 2}, 1: {"x": (1,)}, "a.b": {"c": None}}
    conf, handle = tracked(before)
    handle.mark()
    conf.a.b = 2
    del conf.a["gone"]
    conf.a.new = {"x": [1]}
    conf.l.pop(0)
    conf.s.add(3)
    conf.s.discard(1)
    conf[1]["x"] = (2,)
    conf["a.b"].c = "text"
    assert sorted(handle.diff(), key=repr) == sorted(dictdiffer.diff(before, conf, dot_notation=False), key=repr)
    assert dictdiffer.patch(handle.diff(), before) == conf
    assert sorted(handle.diff(before), key=repr) == sorted(
        dictdiffer.diff(conf, before, dot_notation=False), key=repr
    )


def test_a_diff_is_exact():
    conf, handle = tracked({"n": 1, "f": 0.1 + 0.2, "z": 0.0, "t": (1,), "nan": float("nan")})
    handle.mark()
    conf.update({"n": True, "f": 0.3, "z": -0.0, "t": (1.0,), "nan": float("nan")})
    assert [(path, repr(changes)) for _, path, changes in handle.diff()] == [
        (["n"], "(1, True)"),
        (["f"], "(0.30000000000000004, 0.3)"),
        (["z"], "(0.0, -0.0)"),
        (["t"], "((1,), (1.0,))"),
    ]
    handle.revert()
    assert exact(conf["n"]) == exact(1)
    assert exact(conf["z"]) == exact(0.0)


def test_a_key_that_changes_its_type_is_brought_back():
    conf, handle = tracked({"d": {1: {"x": 1}, 2: "b"}, "s": {1, 2}})
    handle.mark()
    del conf.d[1], conf.d[2]
    conf.d[True] = {"x": 2}
    conf.d[2.0] = "b"
    conf.s.discard(1)
    conf.s.add(1.0)
    assert handle.changed_paths == [["d", 1], ["d", 2], ["s"]]
    handle.revert()
    assert exact(conf) == exact({"d": {1: {"x": 1}, 2: "b"}, "s": {1, 2}})


def test_what_is_in_a_diff_is_nobody_elses():
    conf, handle = tracked({"a": {"l": [1]}})
    handle.mark()
    conf.b = {"l": [{"x": 1}]}
    (item,) = handle.diff()
    item[2][0][1]["l"][0]["x"] = 2
    assert conf.b == {"l": [{"x": 1}]}
    assert type(item[2][0][1]) is dict


def test_a_removed_container_is_known_as_it_was_whatever_is_written_to_it():
    conf, handle = tracked({"a": {"l": [{"x": 1}]}})
    handle.mark()
    old = conf.a
    conf.a["l"][0].x = 2
    del conf["a"]
    old["l"].append(5)
    old.clear()
    assert handle.diff() == [("remove", [], [("a", {"l": [{"x": 1}]})])]
    handle.revert()
    assert conf == {"a": {"l": [{"x": 1}]}}


def test_changes_of_others_and_of_hands_count(tmp_path):
    here, there = in_memory({"a": 1, "l": [1, 2], "f": 1}), open_in(tmp_path, {"a": 1, "l": [1, 2], "f": 1})
    there.handle.mark()
    with here.root:
        here.root.a = 2
        here.root.l.insert(0, 0)
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    file = tmp_path / "conf.yaml"
    file.write_text(file.read_text().replace("f: 1", "f: 5"))
    there.root.unrelated = 0
    assert sorted(there.handle.changed_paths) == [["a"], ["f"], ["l"], ["unrelated"]]
    there.handle.revert()
    assert there.root == {"a": 1, "l": [1, 2], "f": 1}
    assert_in_agreement(there)
    there.close()


# --- patch -------------------------------------------------------------------------------------------------------


def test_a_patch_is_one_transaction_of_few_changes():
    calls = []
    conf, handle = tracked({"items": [{"id": number} for number in range(5)], "n": 1, "same": 0})
    handle.on(calls.append)
    elements = list(conf["items"])
    target = {"items": [{"id": -1}, *({"id": n} for n in range(4))], "n": 2, "same": 0}
    diff = list(dictdiffer.diff(conf, target))
    assert len(diff) > 5
    handle.patch(diff)
    assert conf == target
    assert all(one is other for one, other in zip(conf["items"][1:], elements, strict=False))
    (changes,) = calls
    assert len(changes) == 2


def test_a_patch_may_have_been_sent_as_json():
    conf, handle = tracked({"a": {"b": 1}, "l": [1, {"x": [1]}]})
    handle.mark()
    conf.a.b = 2
    conf.l[1].x.append(2)
    conf.l.append(None)
    diff = json.loads(json.dumps(handle.diff()))
    handle.revert(diff)
    assert conf == {"a": {"b": 1}, "l": [1, {"x": [1]}]}
    handle.patch(diff)
    assert conf == {"a": {"b": 2}, "l": [1, {"x": [1, 2]}, None]}


def test_patches_with_a_path_limit_build_step_by_step():
    conf, handle = tracked({"l": []})
    diff = list(dictdiffer.diff({"l": []}, {"l": [{"x": {"y": 1}}]}, path_limit=[("nothing",)]))
    kept = json.dumps(diff)
    handle.patch(diff)
    assert conf == {"l": [{"x": {"y": 1}}]}
    assert json.dumps(diff) == kept
    handle.revert(diff)
    assert conf == {"l": []}


def test_a_list_takes_back_what_was_removed_in_its_order():
    before = [0, 1, {"a": 2}, 3, 4]
    conf, handle = tracked(before)
    handle.mark()
    del conf[1:]
    diff = handle.diff()
    handle.revert(diff)
    assert conf == before


@pytest.mark.parametrize(
    "item",
    [
        ("change", ["n", "x"], (1, 2)),
        ("change", "nothing.x", (1, 2)),
        ("change", ["l", 9], (1, 2)),
        ("change", ["l", "x"], (1, 2)),
        ("change", [], ({}, {"a": 1})),
        ("change", "", ({}, {"a": 1})),
        ("remove", "", [("nothing", 1)]),
        ("remove", ["l"], [(9, 1)]),
        ("remove", ["s"], [(0, [1])]),
        ("add", ["n"], [("x", 1)]),
        ("add", ["s"], [(0, [1])]),
        ("add", ["d", "missing"], [("x", 1)]),
        ("add", ["d"], [("x", print)]),
        ("add", ["d"], [(["unhashable"], 1)]),
        ("add", ["l"], [("x", 1)]),
        ("add", ["d"], 5),
        ("add", ["d"], [5]),
        ("change", ["n"], (1,)),
        ("change", 5, (1, 2)),
        ("replace", ["n"], (1, 2)),
        "nonsense",
        5,
    ],
    ids=repr,
)
def test_a_patch_that_does_not_fit_changes_nothing(item):
    calls = []
    start = {"n": 1, "l": [1, {"x": 1}], "d": {"a": 1}, "s": {1}}
    conf, handle = tracked(start)
    handle.on(calls.append)
    good = [("change", ["n"], (1, 2)), ("add", ["l"], [(0, 0)]), ("add", ["s"], [(0, {2})])]
    with pytest.raises(UsageError):
        handle.patch([*good, item])
    with pytest.raises(UsageError):
        handle.patch([item, *good])
    assert conf == start
    assert calls == []
    assert_in_agreement(handle._replica)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda conf: conf.d.pop((1, 2)), r"there is no \(1, 2\), for \('remove', \['d'\], .*Nothing was changed"),
        (lambda conf: conf.l.pop(), "a list is shorter, for"),
        (lambda conf: conf.l[0].clear(), "there is no 'x', for"),
        (lambda conf: conf.__setitem__("l", {"a": 1}), None),
    ],
)
def test_a_patch_that_was_applied_already_is_refused_in_words(change, words):
    conf, handle = tracked({"d": {(1, 2): 3}, "l": [{"x": 1}, 2]})
    mark = handle.mark()
    change(conf)
    diff = handle.diff()
    handle.revert(mark)
    handle.patch(diff)
    if words is None:
        handle.patch(diff)  # a value that is put again
    else:
        with pytest.raises(UsageError, match=f"does not fit the structure: {words}"):
            handle.patch(diff)


def test_what_is_no_diff():
    _, handle = tracked({})
    with pytest.raises(UsageError, match=r"dictdiffer.diff"):
        handle.patch(5)
    with pytest.raises(UsageError, match="item"):
        handle.revert("text")


def test_a_diff_to_another_structure():
    conf, handle = tracked({"a": [1], "b": {1}})
    other, _ = tracked({"a": [1, 2], "b": {1, 2}, "c": {}})
    handle.patch(handle.diff(other))
    assert conf == other
    handle.patch(handle.diff({"a": []}))
    assert conf == {"a": []}
    with pytest.raises(KindMismatch, match="a dict cannot be compared with a list"):
        handle.diff([1])
    with pytest.raises(KindMismatch):
        handle.diff(conf.a)
    with pytest.raises(UsageError, match="'a'"):
        handle.diff({"a": object()})


# --- revert ------------------------------------------------------------------------------------------------------


def test_a_revert_keeps_what_is_still_there():
    calls = []
    conf, handle = tracked({"l": [{"id": n, "sub": [n]} for n in range(5)], "untouched": {"x": 1}})
    elements, untouched = list(conf.l), conf.untouched
    handle.mark()
    conf.l.move(4, 0)
    conf.l.reverse()
    conf.l[1].sub.append("new")
    conf.l.insert(2, {"id": 9})
    del conf.l[5]
    handle.on(calls.append)
    handle.revert()
    assert conf.l == [{"id": n, "sub": [n]} for n in range(5)]
    assert conf.untouched is untouched
    assert sum(one is other for one, other in zip(conf.l, elements, strict=True)) == 4
    assert len(calls) == 1
    assert_in_agreement(handle._replica)


def test_a_revert_of_nothing_is_nothing():
    calls = []
    _, handle = tracked({"a": 1})
    handle.on(calls.append)
    mark = handle.mark()
    handle.revert(mark)
    handle.revert([])
    handle.patch([])
    assert calls == []


def test_a_revert_is_a_change_like_any_other_for_a_device_that_edits_meanwhile():
    here, there = in_memory({"a": 1, "l": ["x"]}), in_memory({"a": 1, "l": ["x"]})
    here.handle.mark()
    here.root.a = 2
    here.root.l.append("mine")
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    there.root.l.append("theirs")
    here.handle.revert()
    here.receiver.receive(there.document.diff(), DeviceId("there"), lambda _: None)
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    assert here.root == there.root == {"a": 1, "l": ["x", "theirs"]}
