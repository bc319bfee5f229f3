"""Every value that lost against one that was written at the same time is in the journal, and nothing else."""

from __future__ import annotations

import itertools
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.document.edits import edits
from tests.document.replicas import Replica, settle
from tests.lengths import many
from tinysync import NOTHING, tracker
from tinysync.crdt import overtaken
from tinysync.crdt import portions as cutting
from tinysync.model import DeviceId
from tinysync.tracker import disk

START = {"a": 0, "b": 0, "d": {"x": 0}, "l": ["0", "1"]}
PLACES = [("a",), ("b",), ("new",), ("d", "x"), ("d", "y"), ("l", 0), ("l", 1)]


@dataclass
class Device:
    """A replica, and what a model says of it: the writes that it knows."""

    replica: Replica
    known: set[int] = field(default_factory=set)

    def shown(self, place) -> Any:
        value = self.replica.root
        for step in place:
            if isinstance(value, dict) and step not in value:
                return NOTHING
            value = value[step]
        return value


@dataclass
class Write:
    author: int
    place: tuple
    knew: set[int]
    deletes: bool = False


class Model:
    """Writes of values that are all different, and who knew of which when it was made."""

    def __init__(self, devices):
        self.devices = devices
        self.writes: dict[int, Write] = {}
        self.must: list[tuple] = []
        self.may: list[tuple] = []
        self.numbers = itertools.count(1)

    def write(self, who, place):
        device, number = self.devices[who], next(self.numbers)
        target = device.replica.root
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = number
        self.writes[number] = Write(who, place, set(device.known))
        device.known.add(number)

    def delete(self, who, place):
        """Delete an entry: where it has a default, that writes a tombstone, else nothing."""
        device = self.devices[who]
        if device.replica.root.pop(place[0], None) is not None:
            number = next(self.numbers)
            self.writes[number] = Write(who, place, set(device.known), deletes=True)
            device.known.add(number)

    def pull(self, who, source):
        device, other = self.devices[who], self.devices[source]
        before = {place: device.shown(place) for place in PLACES}
        theirs = {place: other.shown(place) for place in PLACES}
        news = other.known - device.known
        known = set(device.known)
        link(device.replica, other.replica)
        device.known |= other.known
        for place in PLACES:
            here = {number for number in news if self.writes[number].place == place}
            mine = {n for n in known if (self.writes[n].author, self.writes[n].place) == (who, place)}
            if here and mine:
                self._judge((who, place), before[place], theirs[place], here, max(mine))

    def _judge(self, where, before, theirs, here, mine):
        """Note what must, or may, be in the journal; ``mine`` is what the device wrote last, ``here`` is new."""
        now = self.devices[where[0]].shown(where[1])
        unaware = {number for number in here if mine not in self.writes[number].knew}
        if before == mine and now != before and unaware:
            # If somebody knew of it, and overwrote it, another one's write did no harm.
            certain = unaware == here and now is not NOTHING
            (self.must if certain else self.may).append((*where, before, now, True))
        if before is NOTHING and self.writes[mine].deletes and now is not NOTHING and unaware:
            self.may.append((*where, NOTHING, now, True))
        if before == now and before in (mine, NOTHING):
            for number in unaware:
                if self.writes[number].deletes:
                    self.may.append((*where, NOTHING, now, False))
                elif before == mine and number == theirs:
                    self.must.append((*where, number, now, False))
                elif before is NOTHING:
                    self.may.append((*where, number, now, False))

    def check(self):
        for device in self.devices:
            settle_conflicts(device.replica)
        told = [
            (who, tuple(one.path), one.lost, one.kept, one.lost_here)
            for who, device in enumerate(self.devices)
            for one in tracker(device.replica.root).conflicts()
        ]
        key = repr
        values = [one for one in told if NOTHING not in one]
        assert len(values) == len(set(values))
        assert not set(self.must) - set(told), f"missing, of {sorted(self.must, key=key)}"
        assert not set(told) - set(self.must) - set(self.may), f"too many: {told}"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 2), st.sampled_from(PLACES)),
        st.tuples(st.just("write"), st.integers(0, 2), st.sampled_from(PLACES)),
        st.tuples(st.just("delete"), st.integers(0, 2), st.sampled_from(PLACES[:3])),
        st.tuples(st.just("pull"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("reopen"), st.integers(0, 2), st.none()),
    ),
    max_size=30,
)


def link(device, source):
    """Let a device get what it lacks, as over a link that ends then; the source is not answered."""
    shared = device.outbox.shared
    lacking = source.outbox.shared.diff(shared.state_vector())
    for portion in shared.portions([], lacking):
        shared.deliver(portion, DeviceId("other"), lambda _: None)
    for one in (device, source):
        one.outbox.shared.links_were_down()


def play(schedule, replicas):
    settle(*replicas)
    model = Model([Device(replica) for replica in replicas])
    for step, who, what in schedule:
        if step == "reopen":
            if replicas[who].folder is not None:
                replicas[who].reopen()
        elif step != "pull":
            getattr(model, step)(who, what)
        elif who != what:
            model.pull(who, what)
    for who, source in [(0, 1), (1, 2), (2, 0), (0, 2), (1, 0), (2, 1)]:
        model.pull(who, source)
    model.check()
    for replica in replicas:
        replica.check()
        replica.close()


@settings(max_examples=many(60))
@given(steps)
def test_what_lost_is_noted_and_nothing_else(schedule):
    play(schedule, [Replica(START) for _ in range(3)])


@pytest.mark.parametrize("compacted", [False, True])
def test_it_is_after_restarts_and_compactions_too(tmp_path_factory, compacted, monkeypatch):
    if compacted:
        monkeypatch.setattr(disk, "COMPACT_RECORDS", 0)

    @settings(max_examples=many(12))
    @given(steps)
    def run(schedule):
        folder = tmp_path_factory.mktemp("devices")
        play(schedule, [Replica(START, folder / name) for name in "abc"])

    run()


@settings(max_examples=many(60))
@given(st.lists(st.tuples(st.booleans(), st.lists(edits, max_size=4)), max_size=8), st.booleans())
def test_whoever_knows_what_the_other_did_is_in_no_conflict(turns, in_portions):
    replicas = [Replica({"a": {"b": 1}, "b": [1, 2, {"c": 3}], "c": {1, 2}}) for _ in range(2)]
    settle(*replicas)
    for first, done in turns:
        here, there = replicas if first else replicas[::-1]
        for edit in done:
            edit.on(here.root)
            handle = tracker(here.root)
            if edit.number % 5 == 0 and handle.can_undo:
                handle.undo()
        with cut_small() if in_portions else nullcontext():
            link(there, here)
        assert not tracker(there.root).conflicts()
    settle(*replicas)
    for replica in replicas:
        settle_conflicts(replica)
    assert not any(tracker(replica.root).conflicts() for replica in replicas)


def settle_conflicts(replica):
    """Judge now what waits for more to come."""
    with replica.replica.changing():
        replica.replica.conflicts.settle()


@contextmanager
def cut_small():
    """Have what a device has missed cut very small."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PORTION_PARTS", "SMALL_UPDATE"):
            patch.setattr(cutting, name, 2)
        patch.setattr(overtaken, "MANY_DELETIONS", 2)
        yield
