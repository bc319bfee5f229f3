"""Whoever listens to a path hears of it when something else is there than before."""

from __future__ import annotations

import contextlib
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tests.document.edits import edits
from tests.document.replicas import Replica, same
from tests.document.test_state_machine import STARTS
from tests.tracker.test_mark_properties import tamed

NOTHING = object()


def paths_in(value, depth=4):
    """Return the paths to all that is in a structure, down to a depth; the elements of sets too."""
    yield []
    if depth and isinstance(value, dict):
        entries = value.items()
    elif depth and isinstance(value, list):
        entries = enumerate(value)
    else:
        entries = ((element, NOTHING) for element in value) if depth and isinstance(value, set) else ()
    for step, item in entries:
        yield from ([step, *rest] for rest in paths_in(item, depth - 1))


def at(value, path):
    for step in path:
        if isinstance(value, set) and step in value:
            value = True
        elif (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and type(step) is int and 0 <= step < len(value)
        ):
            value = value[step]
        else:
            return NOTHING
    return value


def is_other(before, after, path):
    one, two = at(before, path), at(after, path)
    return not (one is two or (NOTHING not in (one, two) and same(one, two)))


def note_down(heard, number, changes):
    heard.append(number)


def act(action, local, remote):
    """Make one change that the local replica notices."""
    name, what = action
    if name == "edit":
        what[0].on(local.root)
    elif name == "file":
        local.replica.edit_from_file(what[0].on)
    elif name == "block":
        with local.root:
            for edit in what:
                edit.on(local.root)
            with contextlib.suppress(ZeroDivisionError), local.root:
                what[0].on(local.root)
                raise ZeroDivisionError
    else:
        for edit in what:
            edit.on(remote.root)
        local.pull(remote)


@given(
    kind=st.sampled_from(["dict", "list"]),
    actions=st.lists(
        st.tuples(
            st.sampled_from(["edit", "edit", "block", "file", "remote"]), st.lists(edits, min_size=1, max_size=4)
        ),
        max_size=6,
    ),
)
def test_no_change_of_what_is_at_a_path_is_missed(kind, actions):
    local, remote = Replica(STARTS[kind][0]), Replica(STARTS[kind][0])
    missing = [["a", "b"], ["b", 3], ["c", "new"], [0], [5, "a"], ["a", "c", 1, "a", 0]]
    for action in actions:
        tamed(local.root)
        tamed(remote.root)
        before = local.replica.snapshot()
        heard = []
        with contextlib.ExitStack() as subscriptions:
            listened = [path for path in [*paths_in(before), *missing] if not {"*", "**"}.intersection(path)]
            for number, path in enumerate(listened):
                note = partial(note_down, heard, number)
                subscriptions.enter_context(local.replica.handle.on(path, note))
            act(action, local, remote)
        after = local.replica.snapshot()
        assert len(heard) == len(set(heard))
        missed = [path for n, path in enumerate(listened) if n not in heard and is_other(before, after, path)]
        assert missed == []
