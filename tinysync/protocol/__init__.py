"""The sync protocol without I/O: frames in, events out; no clock, no socket."""

from tinysync.protocol.events import (
    Acknowledged,
    AuthorsLearned,
    AwarenessReceived,
    DocumentClosed,
    DocumentOffered,
    DocumentOpened,
    DocumentRefused,
    Event,
    HelloReceived,
    PartReceived,
    PeerErred,
    PeerLeft,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.protocol.limits import Limits
from tinysync.protocol.messages import Code
from tinysync.protocol.session import LinkState, Session

__all__ = [
    "Acknowledged",
    "AuthorsLearned",
    "AwarenessReceived",
    "Code",
    "DocumentClosed",
    "DocumentOffered",
    "DocumentOpened",
    "DocumentRefused",
    "Event",
    "HelloReceived",
    "Limits",
    "LinkState",
    "PartReceived",
    "PeerErred",
    "PeerLeft",
    "Session",
    "SyncRequested",
    "UpdatesReceived",
]
