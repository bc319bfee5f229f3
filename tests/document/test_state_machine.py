"""Three replicas under random edits, exchange and restarts: all show the same in the end."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.document.edits import edits, edits_of
from tests.document.replicas import Replica, assert_converged, same, settle
from tests.lengths import rounds, takes_long

STARTS = {
    "dict": (
        {"a": {"b": 1, "c": [1, {"a": [2]}, [3]]}, "b": [1, 2, 3], "c": {1, "x"}},
        {},
        {"a": {"b": 2}, "b": [1]},
    ),
    "list": ([1, {"a": [1, 2], "b": {1}}, [2, 3], "x"], [], [1, {"a": [1, 2], "b": {1}}]),
}

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where there is a file system in memory: what takes time on a disk is to sync it, which matters nothing here."""

numbers = st.integers(0, 2)


class _CallOff(Exception):
    pass


class Exchange(RuleBasedStateMachine):
    """Replica 0 is on disk; the others are in memory. 1 starts like 0, 2 in another way."""

    kind = "dict"

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory(dir=MEMORY)
        first, second, third = STARTS[self.kind][0], STARTS[self.kind][0], STARTS[self.kind][2]
        self.rolled_back = False
        self.folder, self.backup = Path(self.place.name, "device"), Path(self.place.name, "backup")
        self.folder.mkdir()
        self.replicas = [Replica(first, self.folder), Replica(second), Replica(third, version=1)]

    @rule(number=numbers, edit=edits_of("dict"))
    def edit_a_dict(self, number, edit):
        self._edit(number, edit)

    @rule(number=numbers, edit=edits_of("list"))
    def edit_a_list(self, number, edit):
        self._edit(number, edit)

    @rule(number=numbers, edit=edits_of("set"))
    def edit_a_set(self, number, edit):
        self._edit(number, edit)

    def _edit(self, number, edit):
        replica = self.replicas[number]
        edit.on(replica.root)
        replica.check()

    @rule(number=numbers, several=st.lists(edits, min_size=1, max_size=4))
    def edit_in_a_transaction(self, number, several):
        replica = self.replicas[number]
        with replica.root:
            for edit in several:
                edit.on(replica.root)
        replica.check()

    @rule(number=numbers, several=st.lists(edits, min_size=1, max_size=4))
    def fail_in_a_transaction(self, number, several):
        replica = self.replicas[number]
        before, state = replica.replica.snapshot(), replica.document.diff()
        try:
            with replica.root:
                for edit in several:
                    edit.on(replica.root)
                raise _CallOff
        except _CallOff:
            assert same(replica.root, before)
        assert replica.document.diff() == state
        replica.check()

    @rule(number=numbers, what=st.sampled_from(["undo", "undo", "redo"]))
    def undo_or_redo(self, number, what):
        replica = self.replicas[number]
        getattr(replica.replica.handle, what)()
        replica.check()

    @rule(sender=numbers, receiver=numbers)
    def exchange_a_diff(self, sender, receiver):
        self.replicas[receiver].pull(self.replicas[sender])
        self.replicas[receiver].check()

    @rule(sender=numbers, receiver=numbers, picked=st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
    def deliver_updates_in_any_order(self, sender, receiver, picked):
        known = self.replicas[sender].updates()
        self.replicas[receiver].receive([known[number % len(known)] for number in picked])
        self.replicas[receiver].check()

    @rule(sender=numbers, receiver=numbers, count=st.integers(1, 8))
    def deliver_the_latest_backwards(self, sender, receiver, count):
        for update in reversed(self.replicas[sender].updates()[-count:]):
            self.replicas[receiver].receive([update])
        self.replicas[receiver].check()

    @rule(number=numbers)
    def restart(self, number):
        replica = self.replicas[number]
        before = replica.replica.snapshot()
        replica.reopen()
        assert same(replica.root, before)
        replica.check()

    @rule(number=numbers)
    def go_on_under_another_client_id(self, number):
        # As after an hour in which links were down.
        self.replicas[number].document.was_forked()

    @rule(number=numbers)
    def prepare_an_opening(self, number):
        self.replicas[number].prepare()

    @rule(number=numbers)
    def take_a_digest(self, number):
        # What is kept for it from here on has to follow every change.
        self.replicas[number].document.digest(10)

    @rule()
    def back_up(self):
        self.replicas[0].back_up(self.backup)

    @rule()
    def restore_the_backup(self):
        if self.backup.exists():
            self.rolled_back = True
            self.replicas[0].restore(self.backup)
            self.replicas[0].check()

    def teardown(self):
        try:
            # What was delivered out of order before its predecessors were rolled away waits for them for ever.
            settle(*self.replicas, complete=not self.rolled_back)
            assert_converged(*self.replicas)
        finally:
            for replica in self.replicas:
                replica.close()
            self.place.cleanup()


class DictExchange(Exchange):
    kind = "dict"


class ListExchange(Exchange):
    kind = "list"


@takes_long
@pytest.mark.parametrize("machine", [DictExchange, ListExchange])
def test_replicas_converge(machine, capfd):
    # At least 20,000 steps in all; a soak run makes millions.
    for _ in rounds(machine.__name__, capfd):
        run_state_machine_as_test(machine, settings=settings(max_examples=100, stateful_step_count=120))
