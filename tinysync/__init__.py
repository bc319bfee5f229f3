"""Plain Python structures that save themselves, tell you when they change, and are the same on all devices."""

from tinysync.api import track, tracker
from tinysync.errors import (
    BadUpdate,
    DamagedFileWarning,
    DetachedWarning,
    DocumentInUse,
    EngineFailure,
    InsecureFile,
    InvalidAddress,
    InvalidFingerprint,
    InvalidKey,
    InvalidName,
    InvalidValue,
    KindMismatch,
    LinkRefused,
    PeerError,
    PeerRefused,
    ProtocolError,
    StorageError,
    StructureClosed,
    SyncTimeout,
    TinySyncError,
    TinySyncWarning,
    TransactionBusy,
    UnreadableFile,
    UnsupportedValue,
    UsageError,
)
from tinysync.group import Key, pair
from tinysync.model import Change, History
from tinysync.peer import Peer
from tinysync.tracked.dicts import DictWrapper
from tinysync.tracked.lists import ListWrapper
from tinysync.tracked.sets import SetWrapper
from tinysync.tracker import Tracker

__all__ = [
    "BadUpdate",
    "Change",
    "DamagedFileWarning",
    "DetachedWarning",
    "DictWrapper",
    "DocumentInUse",
    "EngineFailure",
    "History",
    "InsecureFile",
    "InvalidAddress",
    "InvalidFingerprint",
    "InvalidKey",
    "InvalidName",
    "InvalidValue",
    "Key",
    "KindMismatch",
    "LinkRefused",
    "ListWrapper",
    "Peer",
    "PeerError",
    "PeerRefused",
    "ProtocolError",
    "SetWrapper",
    "StorageError",
    "StructureClosed",
    "SyncTimeout",
    "TinySyncError",
    "TinySyncWarning",
    "Tracker",
    "TransactionBusy",
    "UnreadableFile",
    "UnsupportedValue",
    "UsageError",
    "pair",
    "track",
    "tracker",
]
