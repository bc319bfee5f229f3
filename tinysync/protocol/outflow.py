"""What goes out for one document on one link: in order, bounded, and counted until it is acknowledged."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tinysync.errors import ProtocolError
from tinysync.protocol.codec import FRAME_OVERHEAD, UPDATE_OVERHEAD
from tinysync.protocol.messages import Code, Part, Sync2, Update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.model import DocumentId

_UPDATE_COST: Final = 64
"""What a queued or unacknowledged update costs beside its bytes."""
_MAX_UNACKED_ANSWERS: Final = 16


class UpdateTooLarge(Exception):
    """An update does not fit into a frame that the peer accepts; ``size`` is in bytes.

    ``is_outdated``: updates were given since the document was asked for it, so it may be smaller by now.
    """

    def __init__(self, size: int, *, is_outdated: bool = True) -> None:
        super().__init__(size)
        self.size = size
        self.is_outdated = is_outdated


@dataclass(slots=True)
class Budget:
    """How many bytes may be queued on a link, and how many are."""

    limit: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class _Sent:
    seq: int
    cost: int
    covers: int
    is_answer: bool


@dataclass(slots=True)
class _Diff:
    covers: int | None
    """How many updates the peer holds with it, if it catches up; None if it has all of them anyway."""
    is_answer: bool
    updates: list[bytes] | None = None
    """What goes into its last frame."""
    parts: deque[bytes] = field(default_factory=deque)
    """What goes before that, if it is long."""
    size: int = 0
    """Bytes of all its parts."""
    left: int = 0
    """Bytes of those that were not sent yet."""


class Outflow:
    """The sending half of an open document.

    Updates are counted as they are given. As long as they are on their way they are kept only as a count: a link
    that breaks is synced anew from the document. Updates given while ``behind`` are not kept at all, because the
    diff that has to be sent is made from the document later and holds them. At first everything is behind.
    """

    def __init__(self, document: DocumentId, window: int, max_frame: int, max_part: int, budget: Budget) -> None:
        self.given = 0
        self.acknowledged = -1
        """How many of the given updates are durable on the peer; -1 until the first diff is."""
        self.behind = True
        self.queued = 0
        """Bytes that wait to be sent, as counted in the budget."""
        self._document = document
        self._window = window
        self._max_updates = max_frame - FRAME_OVERHEAD - 4 * len(document)
        self._max_part = min(max_part, self._max_updates)
        self._budget = budget
        self._queue: deque[tuple[int, bytes]] = deque()
        self._in_flight: deque[_Sent] = deque()
        self._in_flight_cost = 0
        self._unacked_answers = 0
        self._parts: deque[tuple[int, int]] = deque()
        """What parts that are on their way cost, and how many bytes they are."""
        self._parts_cost = 0
        self._sent_parts = 0
        self._seq = 0
        self._covered = -1
        self._vector: bytes | None = None
        self._asked = False
        """Whether the peer asked since the last diff was requested."""
        self._owes_answer = False
        self._diff: _Diff | None = None

    @property
    def awaits_diff(self) -> bool:
        """Whether a diff was asked for and has not been sent yet."""
        return self._diff is not None

    @property
    def settled(self) -> int | None:
        """The number of the last frame that was sent, if the peer holds all that was given and owes nothing."""
        open_work = self.lags or self._queue or self._in_flight or self._diff is not None
        return None if open_work or self.acknowledged != self.given else self._seq

    def give(self, updates: list[bytes]) -> None:
        """Queue updates behind all that was given before."""
        if not updates:
            return
        self.given += 1
        if self.behind:
            return
        for update in updates:
            self._queue.append((self.given - 1, update))
            self._count(len(update) + _UPDATE_COST)
        self._queue[-1] = (self.given, updates[-1])

    def drop(self) -> None:
        """Forget what is queued: a diff has to make up for it."""
        self._queue.clear()
        self._count(-self.queued)
        self.behind = True

    def discard(self) -> None:
        """Give back what the document holds of the budget, because it is closed."""
        self._count(-self.queued)

    def ask(self, state_vector: bytes) -> None:
        """Take in the peer's request for what is beyond ``state_vector``."""
        if self._owes_answer:
            raise ProtocolError(
                f"the peer asked again for {self._document!r} before it was answered", Code.OUT_OF_ORDER
            )
        if self._unacked_answers >= _MAX_UNACKED_ANSWERS:
            raise ProtocolError(
                f"the peer keeps asking for {self._document!r} without acknowledging answers", Code.TOO_MUCH
            )
        self._vector = state_vector
        self._asked = self._owes_answer = True

    @property
    def lags(self) -> bool:
        """Whether a diff has to be made, now or later."""
        return self.behind or self._asked

    def needs_diff(self) -> bool:
        """Tell whether it is time to make a diff."""
        if self._vector is None or self.awaits_diff:
            return False
        return self._asked or (self.behind and not self._in_flight)

    def request_diff(self) -> bytes:
        """Return the state vector for the diff that has to be made now."""
        assert self._vector is not None
        self._diff = _Diff(self.given if self.behind else None, is_answer=self._asked)
        self.behind = self._asked = False
        return self._vector

    def provide_diff(self, updates: list[bytes]) -> None:
        """Take the diff that was requested; without a request it is not needed any more.

        Raises `UpdateTooLarge` if some of it cannot be sent.
        """
        diff = self._diff
        if diff is None:
            return
        largest = max(map(len, updates), default=0)
        if not self._fits(largest):
            raise UpdateTooLarge(largest, is_outdated=diff.covers != self.given)
        size = sum(map(_cost, updates))
        if len(updates) < 2 or size <= self._max_part:
            diff.updates = updates
        else:
            diff.updates, diff.parts = [], deque(updates)
            diff.size = diff.left = sum(map(len, updates))

    @property
    def sending(self) -> tuple[int, int] | None:
        """How many bytes of a long diff the peer has taken, and how many it has; None if there is none."""
        diff = self._diff
        if diff is None or not diff.size:
            return None
        return max(0, diff.size - diff.left - sum(size for _, size in self._parts)), diff.size

    @property
    def has_part(self) -> bool:
        """Whether there is a part of a long diff that can be sent now."""
        if self._diff is None or not self._diff.parts:
            return False
        return not self._parts or self._parts_cost + _cost(self._diff.parts[0]) <= self._window

    def next_part(self) -> Part | None:
        """Return the next part of a long diff, if it can be sent now."""
        diff = self._diff
        if diff is None or not self.has_part:
            return None
        batch = [diff.parts.popleft()]
        cost = _cost(batch[0])
        room = min(self._max_part, self._window - self._parts_cost)
        while diff.parts and cost + _cost(diff.parts[0]) <= room:
            batch.append(diff.parts.popleft())
            cost += _cost(batch[-1])
        diff.left -= sum(map(len, batch))
        self._parts.append((cost, sum(map(len, batch))))
        self._parts_cost += cost
        self._sent_parts += 1
        return Part(self._document, diff.left, batch)

    def taken(self, count: int) -> None:
        """Take in how many parts the peer has taken."""
        if count > self._sent_parts:
            raise ProtocolError(
                f"the peer took {count} parts of {self._document!r}, but {self._sent_parts} were sent",
                Code.OUT_OF_ORDER,
            )
        while len(self._parts) > self._sent_parts - count:
            self._parts_cost -= self._parts.popleft()[0]

    def messages(self) -> Iterator[Update | Sync2]:
        """Yield what can be sent now, beside parts; raise `UpdateTooLarge` for what cannot be sent as it is."""
        diff = self._diff
        if diff is not None and diff.updates is not None and not diff.parts:
            self._diff = None
            if diff.is_answer:
                self._owes_answer = False
            covers = self._covered if diff.covers is None else diff.covers
            yield self._send(diff.updates, covers, is_answer=diff.is_answer)
        elif diff is not None and diff.covers is not None:
            # What is queued builds on what the peer will only have with the diff.
            return
        while self._queue:
            room = min(self._window - self._in_flight_cost, self._max_updates)
            batch, covers = self._take(room)
            if not batch:
                return
            yield self._send(batch, covers, is_answer=False)

    def acknowledge(self, seq: int) -> None:
        """Take in that the peer holds all up to ``seq``."""
        if seq > self._seq:
            raise ProtocolError(
                f"the peer acknowledged frame {seq} of {self._document!r}, but {self._seq} were sent",
                Code.OUT_OF_ORDER,
            )
        while self._in_flight and self._in_flight[0].seq <= seq:
            sent = self._in_flight.popleft()
            self._in_flight_cost -= sent.cost
            self._unacked_answers -= sent.is_answer
            self.acknowledged = sent.covers

    def _count(self, size: int) -> None:
        self.queued += size
        self._budget.used += size

    def _send(self, updates: list[bytes], covers: int, *, is_answer: bool) -> Update | Sync2:
        self._seq += 1
        self._covered = covers
        cost = sum(map(len, updates)) + _UPDATE_COST * max(len(updates), 1)
        self._in_flight.append(_Sent(self._seq, cost, covers, is_answer))
        self._in_flight_cost += cost
        self._unacked_answers += is_answer
        return (Sync2 if is_answer else Update)(self._document, self._seq, updates)

    def _take(self, room: int) -> tuple[list[bytes], int]:
        """Take from the queue what fits into ``room`` bytes; with nothing on its way at least one update."""
        batch: list[bytes] = []
        covers = 0
        while self._queue:
            given, update = self._queue[0]
            cost = len(update) + _UPDATE_COST
            room -= cost
            if room < 0 and (batch or self._in_flight):
                break
            if not self._fits(len(update)):
                raise UpdateTooLarge(len(update))
            self._queue.popleft()
            self._count(-cost)
            batch.append(update)
            covers = given
        return batch, covers

    def _fits(self, size: int) -> bool:
        return size + UPDATE_OVERHEAD <= self._max_updates


def _cost(update: bytes) -> int:
    return len(update) + _UPDATE_COST
