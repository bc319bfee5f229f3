"""What a session tells the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinysync.model import NOT_KEPT

if TYPE_CHECKING:
    from tinysync.model import DeviceId, DocumentId


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """The peer has introduced itself; documents can now be opened."""

    device: DeviceId
    name: str


@dataclass(frozen=True, slots=True)
class DocumentOpened:
    """Both sides have the document: time for `Session.request_sync`.

    ``replica`` identifies the folder in which the peer keeps it; empty: it keeps nothing.
    """

    document: DocumentId
    replica: DeviceId


@dataclass(frozen=True, slots=True)
class DocumentOffered:
    """The peer has a document that this side does not offer; it is opened if this side does, at any time."""

    document: DocumentId
    kind: str
    replica: DeviceId = NOT_KEPT


@dataclass(frozen=True, slots=True)
class DocumentRefused:
    """One side cannot share the document on this link, and will not until it is withdrawn and offered anew.

    ``replica`` identifies the folder in which the peer keeps it; empty: it keeps nothing, or has not said it.
    ``is_outdated``: it was too large, and has changed since.
    """

    document: DocumentId
    code: str
    text: str
    replica: DeviceId = NOT_KEPT
    is_outdated: bool = False


@dataclass(frozen=True, slots=True)
class DocumentClosed:
    """The peer took the document back; it is opened again by itself when the peer offers it again.

    ``is_whole``: by then it had acknowledged all that was given to be sent.
    """

    document: DocumentId
    code: str
    text: str
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class SyncRequested:
    """The peer needs all that is beyond ``state_vector``: time for `Session.answer_sync`.

    Either because it asked, or because updates for it were dropped when it could not keep up.
    """

    document: DocumentId
    state_vector: bytes


@dataclass(frozen=True, slots=True)
class UpdatesReceived:
    """To be acknowledged by `Session.acknowledge` once they are durable.

    ``answers`` is the number that `Session.request_sync` gave to the request which they answer, else None.
    """

    document: DocumentId
    seq: int
    updates: list[bytes]
    answers: int | None


@dataclass(frozen=True, slots=True)
class PartReceived:
    """Piece ``number`` of a long diff, with ``left`` bytes still to come; `Documents.take` asks for more of it."""

    document: DocumentId
    number: int
    left: int
    updates: list[bytes]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """All frames of the document up to ``seq`` are durable on the peer."""

    document: DocumentId
    seq: int


@dataclass(frozen=True, slots=True)
class AwarenessReceived:
    """The peer's passing state for the document."""

    document: DocumentId
    state: bytes


@dataclass(frozen=True, slots=True)
class AuthorsLearned:
    """The peer has told who wrote some of the document, and that was not known: time to tell others."""

    document: DocumentId


@dataclass(frozen=True, slots=True)
class DigestReceived:
    """What the peer's document held when ``Documents.in_step`` gave the counts the other way round."""

    document: DocumentId
    sent: int
    received: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class PeerErred:
    """The peer closed the link because of an error that it found."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The peer closed the link in good order."""

    reason: str


Event = (
    HelloReceived
    | DocumentOpened
    | DocumentOffered
    | DocumentRefused
    | DocumentClosed
    | SyncRequested
    | UpdatesReceived
    | PartReceived
    | Acknowledged
    | AwarenessReceived
    | AuthorsLearned
    | DigestReceived
    | PeerErred
    | PeerLeft
)
