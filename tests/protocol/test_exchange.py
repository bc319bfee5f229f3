"""Two sessions under random commands, with frames moved one by one: in the end both sides hold the same."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.lengths import many
from tinysync.protocol import (
    DocumentClosed,
    DocumentOpened,
    DocumentRefused,
    Limits,
    PartReceived,
    SyncRequested,
    UpdatesReceived,
)

from .grow_only import GrowOnly, digest
from .wire import Wire

ENDS = st.sampled_from([0, 1])
NAMES = st.sampled_from(["a", "b", "c"])
SIZES = st.sampled_from([1, 50, 400, 1500])


class Exchange(RuleBasedStateMachine):
    """Each end holds some documents; it reacts to events late, in any order between documents."""

    def __init__(self) -> None:
        super().__init__()
        self.held = [{name: GrowOnly() for name in "abc"} for _ in (0, 1)]
        self.offered: list[set[str]] = [set(), set()]
        self.waiting: list[list] = [[], []]
        self.requested: list[dict[str, int]] = [{}, {}]
        self.marks: list[dict[str, list[tuple[int, bytes]]]] = [{}, {}]
        self.counter = 0

    @initialize(
        windows=st.tuples(st.sampled_from([1, 500, 1 << 20]), st.sampled_from([1, 500, 1 << 20])),
        parts=st.sampled_from([1, 600, 1 << 16]),
        queued=st.tuples(st.sampled_from([1, 2000, 1 << 20]), st.sampled_from([1, 2000, 1 << 20])),
        opened=st.sets(NAMES),
    )
    def connect(self, windows, parts, queued, opened):
        self.wire = Wire(
            *(Limits(window=w, max_queued=q, max_part=parts) for w, q in zip(windows, queued, strict=True))
        )
        self.queued = queued
        for name in sorted(opened):
            for end in (0, 1):
                self.offer(end, name)
        self.settle()

    @rule(end=ENDS, name=NAMES)
    def offer(self, end, name):
        self.offered[end].add(name)
        self.wire.ends[end].documents.offer(name, "dict", 0)

    @rule(end=ENDS, name=NAMES)
    def withdraw(self, end, name):
        self.offered[end].discard(name)
        self.wire.ends[end].documents.withdraw(name)
        self.forget(end, name)

    @rule(end=ENDS, name=NAMES, size=SIZES, times=st.integers(1, 5))
    def write(self, end, name, size, times):
        for _ in range(times):
            self.counter += 1
            blob = self.counter.to_bytes(4, "big") + bytes(size)
            self.held[end][name].add(blob)
            documents = self.wire.ends[end].documents
            documents.send_updates(name, [blob])
            if documents.is_open(name):
                self.marks[end].setdefault(name, []).append((documents.given(name), blob))

    @rule(end=ENDS, name=NAMES)
    def request(self, end, name):
        number = self.wire.ends[end].documents.request_sync(name, self.held[end][name].state_vector())
        if number:
            self.requested[end][name] = number

    @rule(end=ENDS)
    def send(self, end):
        self.wire.send(end)
        self.note(end)

    @rule(end=ENDS, count=st.integers(1, 5))
    def deliver(self, end, count):
        for _ in range(min(count, len(self.wire.towards[end]))):
            self.wire.deliver(end)
        self.note(end)

    @rule(end=ENDS, choice=st.integers(0, 100))
    def react(self, end, choice):
        """Handle one waiting event; those of one document stay in order."""
        if not self.waiting[end]:
            return
        document = self.waiting[end][choice % len(self.waiting[end])].document
        event = next(event for event in self.waiting[end] if event.document == document)
        self.waiting[end].remove(event)
        documents, held = self.wire.ends[end].documents, self.held[end][document]
        match event:
            case DocumentOpened():
                self.request(end, document)
            case SyncRequested(_, state_vector):
                documents.answer_sync(document, held.diff(state_vector))
            case PartReceived(_, number, _, updates):
                for update in updates:
                    held.add(update)
                documents.take(document, number)
            case UpdatesReceived(_, seq, updates, answers):
                for update in updates:
                    held.add(update)
                documents.acknowledge(document, seq)
                if answers is not None and answers == self.requested[end].get(document):
                    del self.requested[end][document]

    @rule(end=ENDS)
    def turn(self, end):
        self.send(end)
        self.deliver(end, len(self.wire.towards[end]))
        while self.waiting[end]:
            self.react(end, 0)

    @invariant()
    def memory_is_bounded(self):
        if not hasattr(self, "wire"):
            return
        for end, limit in enumerate(self.queued):
            documents = self.wire.ends[end].documents
            assert documents._budget.used <= limit
            open_flows = [c.outflow for c in documents._channels.values() if c.outflow is not None]
            assert documents._budget.used == sum(flow.queued for flow in open_flows)

    @invariant()
    def what_is_acknowledged_is_there(self):
        for end, marks in enumerate(self.marks):
            for name, written in marks.items():
                acknowledged = self.wire.ends[end].documents.is_acknowledged
                there = self.held[1 - end][name].blobs
                assert all(digest(blob) in there for mark, blob in written if acknowledged(name, mark))

    def teardown(self):
        if not hasattr(self, "wire"):
            return
        for end in (0, 1):
            for name in "abc":
                self.offer(end, name)
        self.settle()
        assert self.requested == [{}, {}]
        for name in "abc":
            assert self.held[0][name].blobs == self.held[1][name].blobs
            for end in (0, 1):
                documents = self.wire.ends[end].documents
                assert documents.is_open(name)
                assert documents.is_acknowledged(name, documents.given(name))

    def settle(self):
        while True:
            for end in (0, 1):
                self.turn(end)
            for end in (0, 1):
                self.send(end)
            if not any(self.wire.towards) and not any(self.waiting):
                return

    def note(self, end):
        for event in self.wire.take(end):
            match event:
                case DocumentClosed(document, _, _) | DocumentRefused(document, _, _):
                    self.forget(end, document)
                case DocumentOpened() | SyncRequested() | UpdatesReceived() | PartReceived():
                    self.waiting[end].append(event)

    def forget(self, end, document):
        """Drop what waits for a document that was closed: it does not count when it is opened again."""
        self.requested[end].pop(document, None)
        self.marks[end].pop(document, None)
        self.waiting[end] = [event for event in self.waiting[end] if event.document != document]


Exchange.TestCase.settings = settings(max_examples=many(150), stateful_step_count=60)
TestExchange = Exchange.TestCase
