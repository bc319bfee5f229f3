"""What undo and redo do, case by case."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.document.pair import Pair
from tests.document.replicas import settle
from tests.tracker.opened import assert_in_agreement, in_memory, open_in
from tinysync import Left, Pickle, Undone, UnsafeYAML, UsageError, track, tracker


@pytest.fixture
def pair():
    return Pair("a-wins", "a-first")


def handle(replica):
    return replica.replica.handle


def test_one_transaction_is_one_step():
    d = track({"a": 1, "b": [1, 2]})
    t = tracker(d)
    assert not t.can_undo
    assert not t.can_redo
    with d:
        d.a = 2
        d.b.append(3)
        del d.b[0]
    d.c = {"x": 1}
    assert t.undo() == Undone(done=True)
    assert d == {"a": 2, "b": [2, 3]}
    assert t.undo()
    assert d == {"a": 1, "b": [1, 2]}
    assert not t.can_undo
    assert t.undo() == Undone(done=False)
    assert t.redo()
    assert t.redo()
    assert not t.redo()
    assert d == {"a": 2, "b": [2, 3], "c": {"x": 1}}


def test_a_container_that_comes_back_is_the_one_that_went():
    replica = in_memory({"a": {"b": {"c": [1, {"d": 2}]}}})
    d, t = replica.root, replica.handle
    a, inner = d.a, d.a.b.c[1]
    d.a.b.c[1].d = 3
    d.a.b.c.insert(0, "first")
    del d["a"]
    t.undo()
    assert d.a is a
    assert d.a.b.c[2] is inner
    inner.e = "recorded again"
    assert_in_agreement(replica)
    t.undo()
    t.undo()
    assert d == {"a": {"b": {"c": [1, {"d": 3}]}}}
    t.undo()
    assert d == {"a": {"b": {"c": [1, {"d": 2}]}}}
    assert_in_agreement(replica)


def remove_in_a_block(d):
    with d:
        d.inner.x = 2
        for key in "fca":
            del d[key]
        d["a"] = "written again"
        d["c"] = {}
        for key in "ecdba":
            del d[key]


def clear_in_a_block(d):
    with d:
        d.c.y = 2
        d.clear()


@pytest.mark.parametrize("group", [0, 60])
@pytest.mark.parametrize("persist", [False, Pickle])
@pytest.mark.parametrize("remove", [lambda d: d.clear(), clear_in_a_block, remove_in_a_block])
def test_keys_come_back_in_the_order_that_they_had(tmp_path, remove, persist, group):
    structure = {key: {"x": key} for key in "abcdef"} | {"inner": {"x": 1}}
    d = track(structure, "d", folder=tmp_path, persist=persist)
    tracker(d).undo_grouping = group
    remove(d)
    for _ in range(2):
        assert set(d) <= {"inner"}
        tracker(d).undo()
        assert [key for key in d if key != "inner"] == [*"abcdef"]
        assert d == structure
        tracker(d).redo()


def test_keys_that_were_removed_in_the_file_come_back_in_the_order_that_they_had(tmp_path):
    replica = open_in(tmp_path, dict.fromkeys("dacb", 1))
    assert list(replica.root) == [*"dacb"]
    (tmp_path / "conf.yaml").write_text("{}\n")
    replica.root.update(e=1)
    del replica.root["e"]
    replica.flush()
    assert replica.root == {}
    while replica.handle.can_undo:
        replica.handle.undo()
    assert list(replica.root) == [*"dacb"]
    replica.close()


@pytest.mark.parametrize("part", [{"x": [1]}, [{"x": 1}], {1}], ids=type)
def test_a_part_has_a_tracker_as_long_as_it_is_one(part):
    d = track({"a": part, "b": 1})
    a = d.a
    parts = [a, *(value for value in (a.values() if isinstance(a, dict) else a) if hasattr(value, "_tracker"))]
    del d["a"]
    for one in parts:
        assert one._tracker is None
        with pytest.raises(UsageError, match="removed from its structure"):
            tracker(one)
    tracker(d).undo()
    for one in parts:
        assert tracker(one) is tracker(d)
    tracker(d).close()
    assert tracker(a) is tracker(d)
    with pytest.raises(UsageError, match="a dict is not tracked"):
        tracker({})


def test_what_was_written_to_a_removed_container_goes_when_it_comes_back():
    d = track({"a": {"b": 1}})
    a = d.a
    del d["a"]
    a.b = 2
    tracker(d).undo()
    assert d == {"a": {"b": 1}}


def test_undo_is_reported_as_the_edits_that_it_makes():
    heard = []
    d = track({"a": 1, "l": [1, 2, 3], "s": {1}}, callback=heard.append)
    t = tracker(d)
    d.a = 2
    d.b = 3
    d.l.move(0, 2)
    del d.l[1]
    d.l[0] = "x"
    d.s.add(2)
    d.l.reverse()
    del heard[:]
    while t.can_undo:
        t.undo()
    got = [(change.func_name, change.path, change.args, change.origin) for change in heard]
    assert got == [
        ("move", ["l"], (0, 1), "local"),
        ("discard", ["s"], (2,), "local"),
        ("__setitem__", ["l"], (0, 2), "local"),
        ("insert", ["l"], (1, 3), "local"),
        ("move", ["l"], (2, 0), "local"),
        ("__delitem__", [], ("b",), "local"),
        ("__setitem__", [], ("a", 1), "local"),
    ]


def test_several_edits_of_an_undo_are_one_call():
    heard = []
    d = track({"a": 1, "b": 2}, callback=heard.append)
    with d:
        d.a = 3
        d.b = 4
    tracker(d).undo()
    assert [len(call) for call in heard] == [2, 2]


def test_new_edits_end_redo_and_those_of_others_do_not(pair):
    d, other = pair.start({"a": 1})
    t = handle(pair.a)
    d.a = 2
    t.undo()
    other.b = 1
    pair.exchange()
    assert t.can_redo
    assert t.redo()
    assert d == {"a": 2, "b": 1}
    t.undo()
    d.c = 1
    assert not t.can_redo


def test_what_another_device_wrote_later_is_left(pair):
    d, other = pair.start({"a": 1, "b": 1, "l": [1, 2], "s": set()})
    t = handle(pair.a)
    with d:
        d.a = 2
        d.b = 2
        d.l[0] = "mine"
        d.new = {"x": 1}
        d.l.append({"y": 1})
    pair.exchange()
    with other:
        other.a = 3
        other.l[0] = "theirs"
        other.new.x = 5
        other.l[2].z = 1
    pair.exchange()
    result = t.undo()
    assert result
    assert d == {"a": 3, "b": 1, "l": ["theirs", 2, {"y": 1, "z": 1}], "s": set(), "new": {"x": 5}}
    reasons = {repr(left.path): left.reason for left in result.left}
    assert set(reasons) == {"['a']", "['l', 0]", "['new']", "['l', 2]"}
    assert all("another device" in reason for reason in reasons.values())
    assert t.redo() == Undone(done=True)
    assert (d.a, d.b) == (3, 2)
    pair.exchange()


def test_an_equal_value_of_another_device_is_theirs(pair):
    d, other = pair.start({"a": 1, "l": [1], "s": {1}})
    with d:
        d.a = 2
        d.l[0] = 2
    pair.exchange()
    with other:
        other.a = 3
        other.l[0] = 3
    with other:
        other.a = 2
        other.l[0] = 2
    pair.exchange()
    result = handle(pair.a).undo()
    assert not result
    assert [left.path for left in result.left] == [["l", 0], ["a"]]
    assert d == {"a": 2, "l": [2], "s": {1}}


def test_a_write_of_another_device_that_lost_is_in_no_way(pair):
    d, other = pair.start({"a": 1})
    other.a = 3
    d.a = 2
    pair.exchange()
    assert d.a == 2
    assert handle(pair.a).undo() == Undone(done=True)
    assert d.a == 1


def test_what_others_removed_stays_away(pair):
    d, other = pair.start({"a": {"b": 1}, "l": [[1], 2]})
    d.a.b = 2
    d.l[0].append(2)
    d.l[1] = 3
    pair.exchange()
    del other["a"]
    other.l.clear()
    pair.exchange()
    for path in ([["l"]], [["l"]], [["a", "b"]]):
        result = handle(pair.a).undo()
        assert not result
        assert [left.path for left in result.left] == path
    assert d == {"l": []}
    assert not handle(pair.a).can_undo


def test_elements_are_found_wherever_others_took_them(pair):
    d, other = pair.start({"l": ["a", "b", "c", "d"]})
    t = handle(pair.a)
    d.l[1] = "B"
    del d.l[2]
    d.l.insert(1, "new")
    d.l.move(0, 3)
    assert d.l == ["new", "B", "d", "a"]
    pair.exchange()
    with other.l:
        other.l.insert(0, "x")
        other.l.append("y")
        other.l.move(2, 4)
    pair.exchange()
    assert d.l == ["x", "new", "d", "a", "B", "y"]
    t.undo()
    assert d.l == ["a", "x", "new", "d", "B", "y"]
    t.undo()
    assert d.l == ["a", "x", "d", "B", "y"]
    t.undo()
    assert d.l == ["a", "x", "d", "B", "c", "y"]
    t.undo()
    assert d.l == ["a", "x", "d", "b", "c", "y"]
    for _ in range(4):
        assert t.redo()
    assert sorted(d.l) == sorted(["x", "new", "d", "a", "B", "y"])
    pair.exchange()


def test_what_another_device_moved_later_stays_there(pair):
    d, other = pair.start({"l": [1, 2, 3, 4]})
    d.l.move(0, 3)
    pair.exchange()
    other.l.move(3, 1)
    pair.exchange()
    assert d.l == [2, 1, 3, 4]
    result = handle(pair.a).undo()
    assert result == Undone(False, (Left(["l", 1], "another device or process has since moved it"),))
    assert d.l == [2, 1, 3, 4]


def test_sort_and_reverse_are_undone_around_elements_of_others(pair):
    d, other = pair.start({"l": [3, 1, 2]})
    d.l.sort()
    d.l.reverse()
    pair.exchange()
    other.l.insert(1, "x")
    pair.exchange()
    assert d.l == [3, "x", 2, 1]
    handle(pair.a).undo()
    handle(pair.a).undo()
    assert [value for value in d.l if value != "x"] == [3, 1, 2]
    pair.exchange()


def test_a_default_that_comes_back_counts_as_chosen(pair):
    d, other = pair.start({"a": 1}, {"a": 2}, versions=(1, 0))
    assert other.a == 1
    other.a = 5
    handle(pair.b).undo()
    pair.exchange()
    assert d == other == {"a": 1}
    del other["a"]
    handle(pair.b).undo()
    pair.finish({"a": 1})


def test_hand_edits_are_undone_like_others(tmp_path):
    replica = open_in(tmp_path, {"a": 1, "b": 1})
    d, t = replica.root, replica.handle
    t.undo_grouping = 100
    d.a = 2
    file = tmp_path / "conf.yaml"
    file.write_text(file.read_text().replace("b: 1", "b: 7"))
    d.a = 3
    assert d.b == 7
    t.undo()
    t.undo()
    t.undo()
    assert d == {"a": 1, "b": 1}
    assert not t.can_undo
    replica.close()
    file.write_text("a: 8\n")
    replica = open_in(tmp_path, {})
    assert replica.root == {"a": 8}
    assert not replica.handle.can_undo
    replica.close()


def test_typing_is_undone_in_groups(pair):
    d, other = pair.start({"text": "", "l": []})
    t = handle(pair.a)
    t.undo_grouping = 60.0
    for end in range(1, 6):
        d.text = "hello"[:end]
        d.l.append(end)
    assert len(pair.a.replica.undoing._done) == 1
    t.undo()
    assert d == {"text": "", "l": []}
    t.redo()
    d.text = "hello!"
    d.text = "hello!!"
    t.undo()
    assert d.text == "hello"
    d.text = "a"
    other.elsewhere = 1
    pair.exchange()
    d.text = "ab"
    t.undo()
    assert d.text == "a"
    t.undo_grouping = 0
    d.text = "abc"
    d.text = "abcd"
    t.undo()
    assert d.text == "abc"
    for wrong in (-1, "1", None, float("nan"), True):
        with pytest.raises(UsageError, match="undo_grouping"):
            t.undo_grouping = wrong


def test_only_the_newest_transactions_are_kept():
    replica = in_memory({"n": 0})
    d, t = replica.root, replica.handle
    assert t.undo_limit == 1000
    t.undo_limit = 3
    for number in range(1, 11):
        d.n = number
    while t.undo():
        pass
    assert d.n == 7
    t.undo_limit = 0
    d.n = 1
    assert not t.can_undo
    assert not t.can_redo
    for wrong in (-1, 2.0, None, True):
        with pytest.raises(UsageError, match="undo_limit"):
            t.undo_limit = wrong


def test_what_is_kept_of_large_values_is_bounded():
    replica = in_memory({"text": "", "l": list(range(1000))})
    d, t = replica.root, replica.handle
    d.l.clear()
    for number in range(60):
        d.text = f"{number:>1000000}"
    assert 20 < len(replica.undoing._done) < 40
    assert sum(values for _, _, values in replica.undoing._done) <= 500_000
    assert t.undo()
    assert d.text == f"{58:>1000000}"


def test_what_callbacks_change_belongs_to_what_they_heard_of():
    def total(_):
        if d.total != sum(d.numbers):
            d.total = sum(d.numbers)

    d = track({"numbers": [1], "total": 1}, callback=total)
    t = tracker(d)
    d.numbers.append(2)
    d.numbers.append(3)
    assert d == {"numbers": [1, 2, 3], "total": 6}
    t.undo()
    assert d == {"numbers": [1, 2], "total": 3}
    t.undo()
    assert d == {"numbers": [1], "total": 1}
    assert not t.can_undo
    t.redo()
    t.redo()
    assert d == {"numbers": [1, 2, 3], "total": 6}
    t.undo()
    assert d == {"numbers": [1, 2], "total": 3}


def test_a_callback_that_raises_hears_of_an_undo_that_was_made():
    d = track({"a": 1})
    t = tracker(d)
    d.a = 2

    def fail(_):
        raise RuntimeError("from the callback")

    t._replica.notifier.add(fail)
    with pytest.raises(RuntimeError, match="from the callback"):
        t.undo()
    assert d.a == 1
    assert t.can_redo
    assert not t.can_undo


def test_undo_is_refused_inside_a_transaction_and_after_closing():
    d = track({"a": 1})
    d.a = 2
    with d, pytest.raises(UsageError, match="inside a transaction"):
        tracker(d).undo()
    tracker(d).close()
    with pytest.raises(UsageError, match="closed"):
        tracker(d).undo()
    assert d.a == 2


def test_undo_of_a_replaced_container_of_another_kind(pair):
    d, _other = pair.start({"a": {"b": [1, {"c": 2}]}})
    t = handle(pair.a)
    d.a.b.append(3)
    d.a = [1, 2]
    d.a.append(3)
    d.a = 5
    for _ in range(2):
        for _ in range(4):
            assert t.undo() == Undone(done=True)
        assert d == {"a": {"b": [1, {"c": 2}]}}
        for _ in range(4):
            assert t.redo() == Undone(done=True)
        assert d == {"a": 5}
    t.undo()
    assert pair.exchange() == {"a": [1, 2, 3]}
    settle(pair.a, pair.b)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of Unix")
def test_a_full_disk_costs_no_step(tmp_path):
    script = """
        import resource, sys
        from tests.document.replicas import same
        from tests.tracker.opened import assert_in_agreement, open_in
        from tinysync import StorageError
        unlimited = resource.RLIM_INFINITY
        replica = open_in(sys.argv[1], {"l": [1, [2], 3, {"a": 4}, 5], "d": {"l": [1, 2, 3]}, "t": "x" * 1000})
        d, t = replica.root, replica.handle
        edits = [
            lambda: d.l.insert(1, "new"), lambda: d.l.move(0, 3), lambda: d.l.__setitem__(1, "other"),
            lambda: d.d.l.append(4), lambda: d.d.l.sort(reverse=True), lambda: d.pop("d"), lambda: d.l.pop(2),
            lambda: d.l.reverse(), lambda: d.l.clear(), lambda: d.update(d={"l": [7]}),
        ]
        def fails(edit):
            before = replica.snapshot()
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited))
            try:
                edit()
            except StorageError:
                pass
            else:
                raise AssertionError("saved to a full disk")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
            assert same(d, before)
            assert_in_agreement(replica)
        states = [replica.snapshot()]
        for edit in edits:
            fails(edit)
            edit()
            states.append(replica.snapshot())
        for _ in range(2):
            for state in reversed(states[:-1]):
                fails(t.undo)
                assert t.undo() and same(d, state), (d, state)
                assert_in_agreement(replica)
            for state in states[1:]:
                fails(t.redo)
                assert t.redo() and same(d, state), (d, state)
        replica.close()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), tmp_path], check=True, timeout=100)


@pytest.mark.parametrize("form", [Pickle, UnsafeYAML])
def test_structures_without_a_document_are_undone_too(tmp_path, form):
    d = track({"l": [3, 1, {"a": 2}], "s": {1}}, "local", folder=tmp_path, persist=form)
    t, inner = tracker(d), d.l[2]
    edits = [
        lambda: d.l.sort(key=repr),
        lambda: inner.update(b={"c": 1}),
        lambda: inner.b.update(d=Path("x")),
        lambda: d.l.insert(1, 7),
        lambda: d.l.move(0, 2),
        lambda: d.l.__setitem__(slice(0, 2), ["x", "y", "z"]),
        lambda: d.s.update([2, 3]),
        lambda: d.pop("l"),
        lambda: d.update(s=5, l=[1]),
    ]
    states = [tracker(d).snapshot()]
    for edit in edits:
        edit()
        states.append(tracker(d).snapshot())
    for _ in range(2):
        for state in reversed(states[:-1]):
            assert t.undo() == Undone(done=True)
            assert d == state
        for state in states[1:]:
            assert t.redo() == Undone(done=True)
            assert d == state
    t.undo()
    t.close()
    d = track({}, "local", folder=tmp_path, persist=form)
    assert d == states[-2]
    tracker(d).close()


def test_a_move_in_a_long_list_keeps_little(pair):
    d, other = pair.start({"l": list(range(2_000))})
    for _ in range(20):
        d.l.move(0, 1_999)
    assert sum(values for _, _, values in pair.a.replica.undoing._done) < 500
    pair.exchange()
    del other.l[50:1_900]
    pair.exchange()
    while handle(pair.a).undo():
        pass
    assert d.l == [*range(70), *range(1_920, 2_000)]


def test_moved_elements_with_nothing_left_around_them_stay(pair):
    d, other = pair.start({"l": list(range(40))})
    d.l.move(20, 0)
    pair.exchange()
    with other:
        del other.l[5:]
    pair.exchange()
    assert d.l == [20, 0, 1, 2, 3]
    assert not handle(pair.a).undo()
    assert d.l == [20, 0, 1, 2, 3]


def test_moved_elements_go_back_before_what_is_left_behind_them(pair):
    d, other = pair.start({"l": list(range(40))})
    d.l.move(20, 0)
    pair.exchange()
    del other.l[5:22]
    pair.exchange()
    assert d.l[:7] == [20, 0, 1, 2, 3, 22, 23]
    assert handle(pair.a).undo()
    assert d.l[:7] == [0, 1, 2, 3, 20, 22, 23]


def test_the_keys_of_what_was_emptied_come_back_in_their_order():
    root = track(dict.fromkeys("cabd", 1))
    root.clear()
    tracker(root).undo()
    assert list(root) == list("cabd")
    holder = track({"x": dict.fromkeys("cabd", 1)})
    holder.x = {"e": 1}
    tracker(holder).undo()
    assert list(holder.x) == list("cabd")
