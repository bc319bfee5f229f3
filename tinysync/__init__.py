"""Plain Python structures that save themselves, tell you when they change, and are the same on all devices."""

from tinysync.api import track, tracker
from tinysync.errors import (
    BadUpdate,
    ChangesMissed,
    DamagedFileWarning,
    DetachedWarning,
    DocumentInUse,
    DocumentsDiffer,
    EndlessCallbacks,
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
from tinysync.group import Key, default_allowed_path, pair
from tinysync.model import NOTHING, Change, Conflict, History, HistoryEntry, Left, Undone
from tinysync.peer import Peer
from tinysync.protocol.limits import Limits
from tinysync.serving import Serving, serve
from tinysync.status import DeviceStatus, PeerStatus, Progress, SyncStatus
from tinysync.storage.format import Format
from tinysync.storage.json_format import JSON
from tinysync.storage.pickle_format import Pickle
from tinysync.storage.plain import Vocabulary
from tinysync.storage.sqlite_storage import Shelve, SQLite
from tinysync.storage.storage import Storage
from tinysync.storage.yaml_format import YAML, UnsafeYAML
from tinysync.tracked.dicts import DictWrapper
from tinysync.tracked.lazy import LazyDict
from tinysync.tracked.lists import ListWrapper
from tinysync.tracked.sets import SetWrapper
from tinysync.tracker import Mark, Subscription, Tracker
from tinysync.tracker.presence import Presence, PresenceChange, Present
from tinysync.tracker.streaming import ChangeStream

__all__ = [
    "JSON",
    "NOTHING",
    "YAML",
    "BadUpdate",
    "Change",
    "ChangeStream",
    "ChangesMissed",
    "Conflict",
    "DamagedFileWarning",
    "DetachedWarning",
    "DeviceStatus",
    "DictWrapper",
    "DocumentInUse",
    "DocumentsDiffer",
    "EndlessCallbacks",
    "EngineFailure",
    "Format",
    "History",
    "HistoryEntry",
    "InsecureFile",
    "InvalidAddress",
    "InvalidFingerprint",
    "InvalidKey",
    "InvalidName",
    "InvalidValue",
    "Key",
    "KindMismatch",
    "LazyDict",
    "Left",
    "Limits",
    "LinkRefused",
    "ListWrapper",
    "Mark",
    "Peer",
    "PeerError",
    "PeerRefused",
    "PeerStatus",
    "Pickle",
    "Presence",
    "PresenceChange",
    "Present",
    "Progress",
    "ProtocolError",
    "SQLite",
    "Serving",
    "SetWrapper",
    "Shelve",
    "Storage",
    "StorageError",
    "StructureClosed",
    "Subscription",
    "SyncStatus",
    "SyncTimeout",
    "TinySyncError",
    "TinySyncWarning",
    "Tracker",
    "TransactionBusy",
    "Undone",
    "UnreadableFile",
    "UnsafeYAML",
    "UnsupportedValue",
    "UsageError",
    "Vocabulary",
    "default_allowed_path",
    "pair",
    "serve",
    "track",
    "tracker",
]
