"""A network of devices over real sessions, without sockets, clocks or threads: all is drawn from a seed.

Links break and lose what is on its way; devices crash and come back with what they had logged; updates come over
several links, in any order between them, and more than once. What a device does with an event is what a peer does.
Devices write under another number after each crash; whose it is is known wherever something arrives that was
written under it.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from dataclasses import dataclass, field

from tinysync.model import Author
from tinysync.protocol import (
    DocumentClosed,
    DocumentOpened,
    DocumentRefused,
    Limits,
    PartReceived,
    Session,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.tracker.authors import Authors

DOCUMENTS = ("a", "b")
_HEAD = struct.Struct(">HIHI")
Id = tuple[int, int]
MOST_DEVICES = 5


def _encode(author: int, number: int, after: Id, size: int) -> bytes:
    return _HEAD.pack(author, number, *after) + bytes(size)


class Log:
    """A document: updates of authors, each behind the author's one before and one of anybody's; and its op log.

    An update whose predecessors are missing is logged, and parked.
    """

    def __init__(self) -> None:
        self.logged: dict[bytes, None] = {}
        self.begin()

    def begin(self) -> None:
        """Begin with what is logged, as after a crash."""
        self.counts: dict[int, int] = {}
        self.updates: dict[Id, bytes] = {}
        self._parked: dict[Id, bytes] = {}
        for update in self.logged:
            self._take(update)

    def write(self, author: int, after: Id, size: int) -> bytes:
        update = _encode(author, self.counts.get(author, 0) + 1, after, size)
        assert self.add(update) == (True, False)
        return update

    def add(self, update: bytes) -> tuple[bool, bool]:
        """Take in an update; return whether it is new, and whether it is parked."""
        is_new = update not in self.logged
        self.logged[update] = None
        self._take(update)
        author, number, _, _ = _HEAD.unpack_from(update)
        return is_new, (author, number) in self._parked

    def _take(self, update: bytes) -> None:
        author, number, _, _ = _HEAD.unpack_from(update)
        if number <= self.counts.get(author, 0):
            return
        self._parked[author, number] = update
        progress = True
        while progress:
            progress = False
            for place, parked in list(self._parked.items()):
                _, _, other, count = _HEAD.unpack_from(parked)
                if place[1] == self.counts.get(place[0], 0) + 1 and self.counts.get(other, 0) >= count:
                    self.counts[place[0]] = place[1]
                    self.updates[place] = self._parked.pop(place)
                    progress = True

    def has(self, place: Id) -> bool:
        return self.counts.get(place[0], 0) >= place[1]

    def state_vector(self) -> bytes:
        return b"".join(struct.pack(">HI", *item) for item in sorted(self.counts.items()))

    def diff(self, state_vector: bytes) -> list[bytes]:
        known = dict(struct.iter_unpack(">HI", state_vector))
        # In the order in which they were taken in, so that each builds on those before it.
        missing = [update for (author, number), update in self.updates.items() if number > known.get(author, 0)]
        return [*missing, *self._parked.values()]


@dataclass
class End:
    """One end of a link that is up."""

    device: Device
    session: Session
    towards: deque[bytes] = field(default_factory=deque)
    """Frames on their way to this end."""
    waiting: list = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)
    marks: dict[str, list[tuple[int, Id]]] = field(default_factory=dict)
    """For each document, what was sent over the link and up to which mark."""
    other: End = None  # type: ignore[assignment]

    def take(self, events: list) -> None:
        for event in events:
            match event:
                case DocumentClosed() | DocumentRefused():
                    raise AssertionError(event)
                case DocumentOpened() | SyncRequested() | UpdatesReceived() | PartReceived():
                    self.waiting.append(event)

    def send(self) -> None:
        frames = self.session.frames_to_send()
        self.other.towards.extend(frames)
        self.take(self.session.events())

    def deliver(self) -> None:
        self.take(self.session.receive(self.towards.popleft()))

    def publish(self, document: str, update: bytes) -> None:
        documents = self.session.documents
        documents.send_updates(document, [update])
        if documents.is_open(document):
            author, number, _, _ = _HEAD.unpack_from(update)
            self.marks.setdefault(document, []).append((documents.given(document), (author, number)))

    def react(self, choice: int) -> None:
        """Handle one waiting event: those of one document in order, between documents in any."""
        document = self.waiting[choice % len(self.waiting)].document
        event = next(event for event in self.waiting if event.document == document)
        self.waiting.remove(event)
        log, documents = self.device.logs[document], self.session.documents
        match event:
            case DocumentOpened():
                documents.request_sync(document, log.state_vector())
            case SyncRequested(_, state_vector):
                documents.answer_sync(document, log.diff(state_vector))
            case PartReceived(_, number, _, updates):
                self._add(document, updates)
                documents.take(document, number)
            case UpdatesReceived(_, seq, updates, answers):
                is_parked = self._add(document, updates)
                if answers is not None:
                    self.incomplete.discard(document)
                elif is_parked and document not in self.incomplete:
                    self.incomplete.add(document)
                    documents.request_sync(document, log.state_vector())
                if document not in self.incomplete:
                    documents.acknowledge(document, seq)

    def _add(self, document: str, updates: list[bytes]) -> bool:
        parked = False
        for update in updates:
            author, _, _, _ = _HEAD.unpack_from(update)
            credit = self.device.authors[document].of(author)
            assert credit is not None, (document, author)
            assert credit.device == f"device {author % MOST_DEVICES}"
            is_new, is_parked = self.device.logs[document].add(update)
            parked |= is_parked
            if is_new:
                for end in self.device.ends:
                    if end is not self:
                        end.publish(document, update)
        return parked

    def check(self) -> None:
        """What was acknowledged is in the other one's log, and stays there."""
        documents = self.session.documents
        for document, marks in self.marks.items():
            there = self.other.device.logs[document]
            while marks and documents.is_acknowledged(document, marks[0][0]):
                _, place = marks.pop(0)
                assert there.has(place), (document, place)
                there.begin()
                assert there.has(place), (document, place)
        assert documents._budget.used <= self.session.limits.max_queued


class Device:
    """A device with its op logs and the ends of its links."""

    def __init__(self, number: int, limits: Limits) -> None:
        self.number = number
        self.limits = limits
        self.logs = {name: Log() for name in DOCUMENTS}
        self.ends: list[End] = []
        self.sessions = 0
        self.runs = 0
        self.authors = {name: Authors() for name in DOCUMENTS}

    @property
    def author(self) -> int:
        """Under which number it writes in this run."""
        return self.number + MOST_DEVICES * self.runs

    def write(self, document: str, after: Id, size: int) -> bytes:
        self.authors[document].note_own([self.author], Author("", f"device {self.number}"))
        return self.logs[document].write(self.author, after, size)

    def session(self) -> Session:
        self.sessions += 1
        made = Session(f"device {self.number}", f"device {self.number}", self.limits)
        for name in DOCUMENTS:
            made.documents.offer(name, "dict", 0, authors=self.authors[name])
        return made


class Network:
    """Devices and links, and the steps that happen to them by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.devices = [Device(number, self._limits()) for number in range(chance.randint(2, MOST_DEVICES))]
        pairs = [(one, other) for one in self.devices for other in self.devices if one.number < other.number]
        tree = [
            (self.devices[chance.randrange(number)], self.devices[number])
            for number in range(1, len(self.devices))
        ]
        # Some pairs have two links.
        self.pairs = tree + [pair for pair in pairs * 2 if chance.random() < 0.25]
        self.links: dict[int, tuple[End, End]] = {}
        self.cut_off: set[int] = set()
        """Links that cannot be made at the moment."""
        self.written: dict[str, set[Id]] = {name: set() for name in DOCUMENTS}
        self.steps = 0

    def _limits(self) -> Limits:
        chance = self.chance
        return Limits(
            window=chance.choice([1, 300, 1 << 20]),
            max_queued=chance.choice([1, 1500, 1 << 20]),
            max_part=chance.choice([1, 300, 1 << 16]),
            max_diffs=chance.choice([1, 8]),
            max_authors=chance.choice([1, 1000]),
        )

    # --- what can happen -----------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        kinds = (self.write, self.send, self.deliver, self.react, self.link, self.cut, self.partition, self.crash)
        weights = (20, 60, 60, 90, 12, 3, 1, 2)
        for step in self.chance.choices(kinds, weights, k=steps):
            step()
            self.check()
        self.settle()

    def _end(self) -> End | None:
        if not self.links:
            return None
        return self.chance.choice(self.chance.choice(list(self.links.values())))

    def write(self) -> None:
        device, document = self.chance.choice(self.devices), self.chance.choice(DOCUMENTS)
        log = device.logs[document]
        for _ in range(self.chance.choice([1, 1, 1, 8])):
            after = self.chance.choice([(0, 0), *log.counts.items()])
            update = device.write(document, after, self.chance.choice([0, 40, 400]))
            self.written[document].add((device.author, log.counts[device.author]))
            ends = device.ends * self.chance.choice([1, 1, 1, 2])  # now and then it is told twice
            for end in ends:
                end.publish(document, update)

    def send(self) -> None:
        end = self._end()
        if end is not None:
            end.send()

    def deliver(self) -> None:
        end = self._end()
        if end is not None:
            for _ in range(min(len(end.towards), self.chance.randint(1, 4))):
                end.deliver()

    def react(self) -> None:
        end = self._end()
        if end is not None and end.waiting:
            end.react(self.chance.randrange(1000))

    def link(self) -> None:
        number = self.chance.randrange(len(self.pairs))
        if number not in self.links and number not in self.cut_off:
            self._link(number)

    def _link(self, number: int) -> None:
        one, other = (End(device, device.session()) for device in self.pairs[number])
        one.other, other.other = other, one
        self.links[number] = one, other
        for end in (one, other):
            end.device.ends.append(end)

    def cut(self) -> None:
        if self.links:
            self._cut(self.chance.choice(list(self.links)))

    def _cut(self, number: int) -> None:
        for end in self.links.pop(number):
            end.device.ends.remove(end)

    def partition(self) -> None:
        group = {device.number for device in self.devices if self.chance.random() < 0.5}
        if self.chance.random() < 0.4:
            group = set()
        self.cut_off = {
            number
            for number, (one, other) in enumerate(self.pairs)
            if (one.number in group) != (other.number in group)
        }
        for number in self.cut_off & self.links.keys():
            self._cut(number)

    def crash(self) -> None:
        """What was logged is there again; links, and what waits for an answer, are gone."""
        device = self.chance.choice(self.devices)
        for number in [number for number, ends in self.links.items() if any(end.device is device for end in ends)]:
            self._cut(number)
        for log in device.logs.values():
            log.begin()
        device.runs += 1

    def check(self) -> None:
        for ends in self.links.values():
            for end in ends:
                end.check()

    # --- the end -------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Heal everything, let it go on until nothing happens any more, and see whether all hold everything."""
        self.cut_off = set()
        for number in range(len(self.pairs)):
            if number not in self.links:
                self._link(number)
        ends = [end for pair in self.links.values() for end in pair]
        while True:
            for end in ends:
                end.send()
            if not any(end.towards or end.waiting or end.session.has_more for end in ends):
                break
            for end in ends:
                while end.towards:
                    end.deliver()
                while end.waiting:
                    end.react(0)
            self.steps += 1
            assert self.steps < 10_000, "it never comes to rest"
        self.check()
        for end in ends:
            for document in DOCUMENTS:
                documents = end.session.documents
                assert documents.is_open(document)
                assert documents.is_acknowledged(document, documents.given(document))
                assert documents.in_step(document) is not None
        for device in self.devices:
            for document, log in device.logs.items():
                assert log.updates.keys() == self.written[document], (device.number, document)
