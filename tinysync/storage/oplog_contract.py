"""What every op log offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.model import DeviceId
    from tinysync.storage.records import OpRecord

SNAPSHOT_KIND: Final = "snapshot"
"""The kind of the records that hold a compacted state."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which records can still be read, by ``past``, once a compacted state has taken their place.

    Those of the last ``milliseconds`` and of the last ``size`` bytes, whichever is less. ``fold`` makes a few
    updates of many: it takes the updates that led to a state, in order, and returns some that lead there too.
    """

    milliseconds: int
    size: int
    fold: Callable[[list[bytes]], list[bytes]]


@dataclass(frozen=True, slots=True)
class Opened:
    """What an op log held when it was opened.

    ``records`` are in a stable order, compacted states first; applying one twice, or one that a compacted state
    covers, must do no harm. ``existed`` says whether there was any record. ``file_bytes`` is what they take,
    ``loose_bytes`` what those take that are not compacted. ``past_due`` says that more is kept of the past than
    there should be; compacting sees to it. ``session`` is the name of the session that it began.

    ``prepared`` is what was given to ``compact`` for the first record, if it is certain that this user's programs
    wrote both; ``unprepared`` says that opening would be faster with it: ``prepare`` takes it later, too.
    """

    device: DeviceId
    records: list[OpRecord]
    existed: bool
    file_bytes: int
    loose_bytes: int = 0
    past_due: bool = False
    prepared: bytes | None = None
    unprepared: bool = False
    session: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """All that was there at a version: the updates that lead to it."""

    version: int
    updates: list[bytes]


@dataclass(frozen=True, slots=True)
class Past:
    """The records that are kept, compacted or not, each with its version: a number that it keeps for good.

    Versions grow in the order of writing; where several processes wrote at the same moment, two records can have
    the same. ``start`` is the state before the first of ``records``. ``later`` is the newest compacted state: a
    short way to every version from its own on.
    """

    start: State
    later: State
    records: list[tuple[int, OpRecord]]


class OpLog(Protocol):
    """The updates of one structure, used under its lock; several sessions, in several processes, may have it open.

    Every method but ``close`` raises StorageError if the place cannot be read or written, which leaves what was
    there; the structure can then be rebuilt from ``reread``.
    """

    def open(self) -> Opened:
        """Begin a session and return what is there, others' records among it.

        Raise DocumentInUse if it is open in a way that it cannot be shared. Damage is repaired and reported by
        DamagedFileWarning; nothing is lost without a word.
        """

    def append(self, record: OpRecord) -> None:
        """Add a record: when this returns, it is there after a reopening; when it raises, ask ``reread``."""

    def news(self) -> bool:
        """Tell, from any thread and at little cost, whether ``tail`` may have something to return."""

    def tail(self) -> list[OpRecord]:
        """Return the records that other sessions appended since ``open`` or the last call.

        Those of one session come in its order. There may be compacted states among them, of what is known and what
        is not.
        """

    def reread(self) -> list[OpRecord]:
        """Return all records again that ``open`` and ``tail`` returned, and those appended meanwhile.

        Raise StorageError also if another session has compacted them since.
        """

    def position(self) -> bytes:
        """Return a digest of which records were returned and appended so far: the same in all sessions."""

    def prepare(self, update: bytes, prepared: bytes) -> None:
        """Keep what ``open`` may give back with the compacted state that is this update; it need not do so."""

    def compact(self, update: bytes, prepared: bytes | None = None) -> None:
        """Put one update, which must cover all records returned and appended so far, in their place.

        ``prepared`` is what ``open`` may give back with it; nothing is lost if it does not.
        What the op log is to retain of them can still be read by ``past``. The records of other sessions that live
        stay as they are.
        """

    def past(self) -> Past:
        """Return the records that are kept, those that were compacted among them, and the state before them.

        Of what other sessions append just now there may be more than ``tail`` has returned.
        """

    def close(self) -> None:
        """End the session. Closing twice is fine."""
