"""Whatever happens after a mark: the differences since then are known, and can be taken back."""

from __future__ import annotations

import contextlib
from copy import deepcopy

import dictdiffer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.document.edits import edits
from tests.document.replicas import Replica, same
from tests.document.test_state_machine import STARTS
from tinysync.crdt.values import pack
from tinysync.storage.merge import apply_edits
from tinysync.tracker.diffs import past_at
from tinysync.tracker.exact import exact_diff

numbers = st.integers(0, 1)
actions = st.one_of(
    st.tuples(st.just("edit"), numbers, edits),
    st.tuples(st.just("edit"), numbers, edits),
    st.tuples(st.just("block"), numbers, st.lists(edits, max_size=4)),
    st.tuples(st.just("failing block"), numbers, st.lists(edits, max_size=3)),
    st.tuples(st.just("nested"), numbers, st.lists(edits, max_size=3), st.lists(edits, max_size=3)),
    st.tuples(st.just("file"), numbers, edits),
    st.tuples(st.just("pull"), numbers),
    st.tuples(st.just("pull"), numbers),
    st.tuples(st.just("mark"), numbers),
    st.tuples(st.just("revert"), numbers, st.integers(0, 5)),
    st.tuples(st.sampled_from(["undo", "undo", "redo"]), numbers),
)


class _CallOff(Exception):
    pass


def tamed(root):
    """Keep random edits from making huge structures."""
    if len(repr(root)) > 5000:
        root.clear()


def act(replicas, marks, action):
    name, number, *rest = action
    replica = replicas[number]
    root = replica.root
    tamed(root)
    match name:
        case "edit":
            rest[0].on(root)
        case "block":
            with root:
                for edit in rest[0]:
                    edit.on(root)
        case "failing block":
            with contextlib.suppress(_CallOff), root:
                for edit in rest[0]:
                    edit.on(root)
                raise _CallOff
        case "nested":
            with root:
                for edit in rest[0]:
                    edit.on(root)
                with contextlib.suppress(_CallOff), root:
                    for edit in rest[1]:
                        edit.on(root)
                    raise _CallOff
                for mark, before in marks[number]:
                    assert_known(replica, mark, before)
        case "file":
            replica.replica.edit_from_file(rest[0].on)
        case "pull":
            replica.pull(replicas[1 - number])
        case "undo" | "redo":
            getattr(replica.replica.handle, name)()
        case "mark":
            marks[number].append((replica.replica.handle.mark(), replica.replica.snapshot()))
        case "revert":
            mark, before = marks[number][rest[0] % len(marks[number])]
            replica.replica.handle.revert(mark)
            assert same(root, before)
            assert mark.changed_paths == [] or same_but_for_keys(root, before)
    replica.check()


def assert_known(replica, mark, before):
    handle = replica.replica.handle
    now = handle.snapshot()
    assert same(past_at(mark).plain(replica.root), before)
    diff = handle.diff(mark)
    assert sorted(map(described, diff)) == sorted(map(described, exact_diff(before, now, [])))
    assert same_but_for_keys(dictdiffer.patch(deepcopy(diff), before), now)
    assert same(without(before, mark.changed_paths), without(now, mark.changed_paths))
    assert mark.changed_paths or same(before, now)


def described(item):
    """Text in which equal items are equal, whatever order sets and dicts are in."""
    action, path, changes = item
    if action != "change":
        changes = sorted(changes, key=lambda change: pack(change[0]))
    return repr((action, [pack(step) for step in path], described_value(changes)))


def described_value(value):
    if isinstance(value, dict):
        return sorted((pack(key), described_value(item)) for key, item in value.items())
    if isinstance(value, set):
        return sorted(map(pack, value))
    if isinstance(value, (list, tuple)):
        return [
            described_value(item) if isinstance(item, (dict, list, set, tuple)) else pack(item) for item in value
        ]
    return pack(value)


def same_but_for_keys(one, other):
    """Equal with the types of values, but not of keys and set elements: a diff does not say these."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same_but_for_keys(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same_but_for_keys, one, other))
    if isinstance(one, set):
        return one == other
    return same(one, other)


def without(structure, paths):
    """Take away what is at the paths, wherever it is there."""
    structure = {"root": deepcopy(structure)}
    for path in sorted((["root", *path] for path in paths), key=len, reverse=True):
        target = structure
        with contextlib.suppress(LookupError):
            for step in path[:-1]:
                target = target[step]
            if isinstance(target, dict):
                target.pop(path[-1], None)
            else:
                target[path[-1]] = None
    return structure


def run(kind, history):
    replicas = [Replica(STARTS[kind][0]), Replica(STARTS[kind][0])]
    marks = [[(replica.replica.handle.mark(), replica.replica.snapshot())] for replica in replicas]
    for action in history:
        act(replicas, marks, action)
        for number in range(2):
            for mark, before in marks[number]:
                assert_known(replicas[number], mark, before)
    replicas[0].pull(replicas[1])
    replicas[0].replica.handle.revert(marks[0][0][0])
    assert same(replicas[0].root, marks[0][0][1])
    replicas[0].check()


@settings(max_examples=max(settings().max_examples // 2, 50))
@given(kind=st.sampled_from(["dict", "list"]), history=st.lists(actions, max_size=25))
def test_a_mark_knows_what_was_and_what_changed(kind, history):
    run(kind, history)


@given(
    start=st.sampled_from(["dict", "list"]), first=st.lists(edits, max_size=8), then=st.lists(edits, max_size=8)
)
def test_a_patch_makes_one_structure_of_another(start, first, then):
    one, other = Replica(STARTS[start][0]), Replica(STARTS[start][0])
    for edit in first:
        edit.on(one.root)
        tamed(one.root)
    for edit in then:
        edit.on(other.root)
        tamed(other.root)
    handle = one.replica.handle
    before, diff = handle.snapshot(), handle.diff(other.root)
    kept = deepcopy(diff)
    handle.patch(diff)
    assert same_but_for_keys(one.root, other.root)
    assert handle.diff(other.root) == []
    handle.revert(diff)
    assert same_but_for_keys(one.root, before)
    assert list(map(described, diff)) == list(map(described, kept))
    one.check()


def test_the_file_edits_of_the_history_are_those_of_a_hand():
    """What stands for a hand edit above is the way in which real ones come in."""
    replica = Replica({"a": 1})
    mark = replica.replica.handle.mark()
    replica.replica.edit_from_file(lambda root: apply_edits(root, {"a": 1}, {"a": 2}))
    assert mark.changed_paths == [["a"]]
