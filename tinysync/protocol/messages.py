"""What travels in a frame, as plain data: one class per type of frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinysync.model import DeviceId, DocumentId

VERSION = 1
"""The version of the wire protocol that this package speaks."""


class Code(StrEnum):
    """Why a link or one document of it was closed; what an error frame carries.

    A peer of another version may send codes that are not in this list.
    """

    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    VERSION = "version"
    SAME_DEVICE = "same-device"
    OUT_OF_ORDER = "out-of-order"
    NOT_OPEN = "not-open"
    TOO_MUCH = "too-much"
    BAD_UPDATE = "bad-update"
    KIND = "kind-mismatch"
    EPOCH = "epoch-mismatch"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


PASSING = frozenset({Code.WITHDRAWN, Code.FAILED})
"""The codes of a closed document after which it may be opened again on the same link."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame of each side. ``limits`` holds those of `Limits` that the other side has to keep.

    Who tells no ``max_authors`` takes no `Wrote`.
    """

    version: int
    device: DeviceId
    name: str
    limits: dict[str, int]


@dataclass(frozen=True, slots=True)
class Open:
    """The sender has this document. ``kind`` may be one that the receiver does not know.

    ``replica`` identifies the folder in which the sender keeps it, for good; empty: it keeps nothing.
    """

    document: DocumentId
    kind: str
    epoch: int
    replica: DeviceId


@dataclass(frozen=True, slots=True)
class Sync1:
    """Asks for all that the receiver holds beyond ``state_vector``; answered by exactly one `Sync2`."""

    document: DocumentId
    state_vector: bytes


@dataclass(frozen=True, slots=True)
class Sync2:
    """Answers the oldest `Sync1` that was not answered yet."""

    document: DocumentId
    seq: int
    updates: list[bytes]


@dataclass(frozen=True, slots=True)
class Update:
    """Updates in the order in which they were made. ``seq`` counts `Sync2` and `Update` together, from 1."""

    document: DocumentId
    seq: int
    updates: list[bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """The next piece of a long diff, of which ``left`` bytes are still to come; it builds on those before it.

    Behind the last one comes the `Sync2` or `Update` that the diff is for, without updates of its own. Parts are
    not numbered and not acknowledged, only `Taken`, so that a diff cannot wait for what waits for it.
    """

    document: DocumentId
    left: int
    updates: list[bytes]


@dataclass(frozen=True, slots=True)
class Taken:
    """So many parts were taken in since the document was opened: there is room for more."""

    document: DocumentId
    count: int


@dataclass(frozen=True, slots=True)
class Ack:
    """All up to ``seq`` is in the sender's op log."""

    document: DocumentId
    seq: int


@dataclass(frozen=True, slots=True)
class Awareness:
    """Passing states of devices (a cursor, say): neither stored nor acknowledged; see `protocol.presence`."""

    document: DocumentId
    state: bytes


@dataclass(frozen=True, slots=True)
class Digest:
    """What the sender's document holds while both sides are in step, in short, to find out if they are not.

    ``sent`` is the last ``seq`` it sent, which was acknowledged, and ``received`` the last one it acknowledged.
    """

    document: DocumentId
    sent: int
    received: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Wrote:
    """Who writes under these client ids, as far as the sender knows; goes before what was written there.

    The device is told by ``replica``, the folder in which it keeps the document (empty: it keeps nothing), and by
    its name. What is told first of a client id counts.
    """

    document: DocumentId
    replica: DeviceId
    name: str
    clients: list[int]


@dataclass(frozen=True, slots=True)
class Error:
    """Closes ``document`` on this link, or the link itself where ``document`` is None.

    A closed document is answered by an `Error` for it, unless one was sent already: then both sides know that
    nothing of it is on its way any more, and it can be opened anew.
    """

    code: str
    text: str
    document: DocumentId | None


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender is about to close the link in good order."""

    reason: str


Message = Hello | Open | Sync1 | Sync2 | Update | Part | Taken | Ack | Awareness | Digest | Wrote | Error | Bye
