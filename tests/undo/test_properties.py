"""Undo and redo on one device and among several, under random edits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.document.edits import edits, walk
from tests.document.replicas import Replica, assert_converged, same, settle
from tests.lengths import many
from tests.tracker.opened import assert_in_agreement, in_memory, open_in
from tinysync.tracked.plain import plain

STARTS = [
    {"a": {"b": 1, "c": [1, {"a": [2]}, [3]]}, "b": [1, 2, 3], "c": {1, "x"}},
    {},
    [1, {"a": [1, 2], "b": {1}}, [2, 3], "x"],
    [],
    {1, "a", (1.0, 2)},
]

WALKS = st.lists(
    edits | edits | edits | st.lists(edits, min_size=1, max_size=5) | st.sampled_from(["undo", "undo", "redo"]),
    max_size=30,
)


class Model:
    """What a structure was before and after each step that can be undone or redone."""

    def __init__(self, replica):
        self.replica = replica
        self.handle = replica.handle
        self.now = replica.snapshot()
        self.before, self.after = [], []

    def edit(self, step):
        if isinstance(step, list):
            with self.replica.root:
                for each in step:
                    each.on(self.replica.root)
            changed = len(self.replica.undoing._done) > len(self.before)
        else:
            step.on(self.replica.root)
            changed = len(self.replica.undoing._done) > len(self.before)
        # An edit that wrote something down counts at first, even if it came to nothing.
        assert changed or same(self.replica.snapshot(), self.now)
        if changed:
            self.before.append(self.now)
            self.after = []
            self.now = self.replica.snapshot()

    def undo(self):
        self._go("undo", self.before, self.after, self.replica.undoing._done)

    def redo(self):
        self._go("redo", self.after, self.before, self.replica.undoing._undone)

    def _go(self, what, source, target, steps):
        assert getattr(self.handle, f"can_{what}") == bool(source)
        result = getattr(self.handle, what)()
        assert not result.left
        if result:
            target.append(self.now)
        # Steps that came to nothing are passed over.
        while len(source) > len(steps):
            passed = source.pop()
            assert len(source) == len(steps) or same(passed, self.now)
            self.now = passed
        assert same(self.replica.root, self.now), f"{self.replica.root!r} is not {self.now!r}"
        assert_in_agreement(self.replica)


def walk_through(replica, steps):
    model = Model(replica)
    for step in steps:
        if step == "undo":
            model.undo()
        elif step == "redo":
            model.redo()
        else:
            model.edit(step)
    for _ in range(2):
        while model.before:
            model.undo()
        while model.after:
            model.redo()


@settings(max_examples=many(150))
@given(start=st.sampled_from(STARTS), steps=WALKS)
def test_undo_gives_each_earlier_state_and_redo_each_later_one(start, steps):
    walk_through(in_memory(start), steps)


@settings(max_examples=many(15))
@given(start=st.sampled_from(STARTS), steps=WALKS)
def test_undo_is_saved_like_any_change(tmp_path_factory, start, steps):
    folder = tmp_path_factory.mktemp("undo")
    replica = open_in(folder, start)
    walk_through(replica, steps)
    now = replica.snapshot()
    replica.close()
    replica = open_in(folder, start)
    assert same(replica.root, now)
    assert not replica.handle.can_undo
    replica.close()


# --- several devices --------------------------------------------------------------------------------------


@dataclass
class Device:
    """A replica whose edits write values that nobody else writes, and that knows when it saw those of others."""

    name: str
    replica: Replica
    clock: int = 0
    written: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    """When each value of others was first seen."""
    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    """When the steps were made that can be undone or redone."""

    @property
    def undoing(self):
        return self.replica.replica.undoing

    def value(self, shape: Any) -> Any:
        """Fill a shape (numbers stand for values) with new values."""
        if isinstance(shape, dict):
            return {key: self.value(item) for key, item in shape.items()}
        if isinstance(shape, list):
            return [self.value(item) for item in shape]
        if isinstance(shape, set):
            return {self.value(item) for item in shape}
        self.written += 1
        return f"{self.name}{self.written}"

    def edit(self, calls: list[Any]) -> None:
        before = len(self.undoing._done)
        with self.replica.root:
            for call in calls:
                self._call(*call)
        if len(self.undoing._done) > before:
            self.done.append(self.clock)
            self.undone = []

    def _call(self, number: int, key: str, index: int, what: int, shape: Any) -> None:
        found = walk(self.replica.root)
        target = found[number % len(found)]
        if isinstance(target, dict):
            if what < 5:
                target[key] = self.value(shape)
            elif what == 5:
                target.setdefault(key, self.value(shape))
            else:
                target.pop(key, None)
        elif isinstance(target, list):
            size = len(target)
            if what < 3 or not size:
                target.insert(index, self.value(shape))
            elif what == 3:
                target[index % size] = self.value(shape)
            elif what == 4:
                target.move(index % size, number % size)
            elif what == 5:
                del target[index % size]
            else:
                target.reverse()
        elif what < 6 or not target:
            target.add(self.value(0))
        else:
            target.remove(sorted(target)[index % len(target)])

    def pull(self, other: Device) -> None:
        self.clock += 1
        self.replica.pull(other.replica)
        for value in self.others_values():
            self.seen.setdefault(value, self.clock)
        self.replica.check()

    def others_values(self) -> set[str]:
        return {value for value in leaves(plain(self.replica.root)) if value[0] != self.name}

    def take_back(self, what: str) -> None:
        source, target = (self.done, self.undone) if what == "undo" else (self.undone, self.done)
        before = self.others_values()
        result = getattr(self.replica.replica.handle, what)()
        if not source:
            assert not result
            return
        steps = self.undoing._done if what == "undo" else self.undoing._undone
        since = source.pop()
        while len(source) > len(steps):
            # What had come to nothing was passed over.
            since = source.pop()
        if result:
            target.append(self.clock)
        lost = {value for value in before - self.others_values() if self.seen.get(value, 0) > since}
        assert not lost, f"{what} took away {lost}, which others wrote later"
        assert all(left.reason for left in result.left)
        assert len(self.undoing._done) == len(self.done)
        assert len(self.undoing._undone) == len(self.undone)
        self.replica.check()


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, (list, set)):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


SHAPES = st.sampled_from([0, 0, 0, {}, [], {"a": 0}, [0, 0], {"b": {"a": 0}}, [[0], {"a": 0}], {0}, {"c": [0, 0]}])
CALLS = st.tuples(st.integers(0, 20), st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 6), SHAPES)
numbers = st.sampled_from([0, 0, 0, 1, 1, 2])
STEPS = st.lists(
    st.tuples(st.just("edit"), numbers, st.lists(CALLS, min_size=1, max_size=2))
    | st.tuples(st.just("pull"), numbers, numbers)
    | st.tuples(st.just("meet"), st.just(0))
    | st.tuples(st.sampled_from(["undo", "undo", "redo"]), numbers),
    max_size=40,
)


@settings(max_examples=many(150))
@given(start=st.sampled_from([{}, [], {"a": {}, "b": []}]), steps=STEPS)
def test_undo_leaves_what_others_wrote_later_and_replicas_converge(start, steps):
    devices = [Device(name, Replica(start)) for name in "ABC"]
    settle(*(device.replica for device in devices))
    for action, number, *more in steps:
        device = devices[number]
        if action == "edit":
            device.edit(*more)
        elif action == "pull":
            if number != more[0]:
                device.pull(devices[more[0]])
        elif action == "meet":
            for one in devices:
                for other in devices:
                    if one is not other:
                        one.pull(other)
        else:
            device.take_back(action)
    for device in devices:
        while device.done:
            device.take_back("undo")
        while device.undone:
            device.take_back("redo")
    settle(*(device.replica for device in devices))
    assert_converged(*(device.replica for device in devices))
