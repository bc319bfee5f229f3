"""The place of a structure whose entries lie in a database, one by one."""

from __future__ import annotations

import os
import pickle
import threading
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.keys import equal_key, key_text, text_key
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.trees import decode_tree, encode_tree
from tinysync.crdt.values import pack
from tinysync.errors import BadUpdate, StorageError, StructureClosed, UnsupportedValue, UsageError
from tinysync.storage.failures import storage_errors
from tinysync.storage.kept_as import is_kept_as, note_kept_as
from tinysync.storage.lock import ProcessLock
from tinysync.storage.oplog import UNWRITABLE
from tinysync.tracker.refusals import cannot_write

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tinysync.crdt.ops import Op
    from tinysync.model import Origin
    from tinysync.storage.atomic import Durability
    from tinysync.storage.names import Paths
    from tinysync.storage.storage import Storage
    from tinysync.tracked.lazy import Entries
    from tinysync.tracker.replica import Replica

_ADVICE: Final = "Nothing was changed; see that the disk is there, writable and not full."
_PICKLE_PROTOCOL: Final = 5


class Database:
    """Writes the entries that a transaction changed, at once; gives out those that are asked for."""

    def __init__(self, paths: Paths, storage: Storage, durability: Durability = "os") -> None:
        self._paths = paths
        self._storage = storage
        self._durability: Durability = durability
        self._lock = ProcessLock(paths.state)
        self._guard = threading.RLock()
        self._process = os.getpid()
        self._is_open = False
        self.entries: Entries | None = None

    @property
    def path(self) -> Path:
        """The database's file."""
        return self._paths.readable

    def open(self, default: Mapping[Any, Any]) -> None:
        """Take the place for this process; write the default entries if it is new.

        Raises DocumentInUse, StorageError, UnsupportedValue and InvalidValue for the default, and UsageError if
        the name's state has another form.
        """
        state = self._paths.state
        with storage_errors("open the state folder", state, UNWRITABLE):
            state.mkdir(parents=True, exist_ok=True)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(self.path)
        try:
            is_new = not is_kept_as(self._paths, self._storage.suffix) or not self.path.exists()
            with storage_errors("open", self.path, _ADVICE):
                self._storage.open(self.path, self._durability)
            self._is_open = True
            if is_new:
                self._begin(default)
        except BaseException:
            self.abandon()
            raise

    def _begin(self, default: Mapping[Any, Any]) -> None:
        for key in default:
            self.check_key(key)
        with storage_errors("write", self.path, _ADVICE):
            if default and not len(self._storage.names()):
                named = {key_text(key): value for key, value in default.items()}
                self._storage.write({name: self._packed(name, value) for name, value in named.items()})
        # Last, so that a process that dies here begins again.
        note_kept_as(self._paths, self._storage.suffix)

    # --- what a structure writes to --------------------------------------------------------------------------

    def record(
        self,
        replica: Replica,
        origin: Origin,
        ops: Sequence[Op],
        updates: list[bytes],
        meta: dict[str, Any] | None = None,
    ) -> None:
        """Write the entries that a transaction changed; raises UnsupportedValue and StorageError."""
        del replica, origin, updates, meta
        assert self.entries is not None
        with self.guard:
            changed = self.entries.changed(ops)
            packed = {
                name: None if value is ABSENT else self._packed(name, value) for name, value in changed.items()
            }
            with storage_errors("write", self.path, _ADVICE):
                self._storage.write(packed)
            self.entries.saved()

    def reread(self) -> list[bytes]:
        """Return nothing: there is no document."""
        return []

    def save(self, replica: Replica, *, received: bool = False) -> None:
        """Do nothing: all is written already."""

    def flush(self, replica: Replica) -> None:
        """Do nothing: all is written already."""

    def close(self, replica: Replica) -> None:
        """Give the place free."""
        del replica
        self.abandon()

    def abandon(self) -> None:
        """Give the place free."""
        with self._guard:
            self._is_open = False
            try:
                with storage_errors("close", self.path, _ADVICE):
                    self._storage.close()
            finally:
                self._lock.release()

    # --- what a LazyDict reads from --------------------------------------------------------------------------

    @property
    def guard(self) -> AbstractContextManager[Any]:
        """The lock around the database; raises StructureClosed, also in a process that was forked."""
        if os.getpid() != self._process:
            raise StructureClosed(
                f"{self.path} cannot be used here: this process was forked from the one that opened it; track it"
                " in one of them only"
            )
        self._check_open()
        return self._guard

    def name(self, key: Any) -> str | None:
        """Return the name of a key, which is the same for equal keys; None if there can be no such key."""
        if type(key) is not str:
            hash(key)
        try:
            return key_text(key)
        except UsageError:
            return None

    def check_key(self, key: Any) -> None:
        """Raise UnsupportedValue or InvalidValue unless a key comes back as it is, type included."""
        packed, back = pack(key), self.key(key_text(key))
        try:
            comes_back = pack(back) == packed
        except UnsupportedValue:
            comes_back = False
        if not comes_back:
            raise UnsupportedValue(
                f"the key {key!r} would come back from a database as {back!r}, which is equal to it and not the"
                " same; use an int, a str or a tuple of them"
            )

    def key(self, name: str) -> Any:
        """Return the key that a name stands for."""
        key = text_key(name)
        if key is not None:
            return key
        try:
            return equal_key(name)
        except BadUpdate as error:
            raise StorageError(
                f"{self.path} has an entry of the name {name!r}, which is none of tinysync's"
            ) from error

    def names(self) -> Collection[str]:
        """Return the names of all entries."""
        self._check_open()
        return self._storage.names()

    def load(self, name: str) -> Any:
        """Return the plain value of an entry, or ABSENT."""
        self._check_open()
        with storage_errors("read", self.path, "See that the disk is there and readable."):
            packed = self._storage.read(name)
        if packed is None:
            return ABSENT
        try:
            return pickle.loads(packed) if self._storage.pickled else decode_tree(packed)  # noqa: S301 - asked for
        except Exception as error:
            raise StorageError(
                f"the entry {self.key(name)!r} of {self.path} cannot be loaded: {type(error).__name__}: {error}"
            ) from error

    def _check_open(self) -> None:
        if not self._is_open:
            raise StructureClosed(f"{self.path} is closed; track it again to go on")

    def _packed(self, name: str, value: Any) -> bytes:
        if not self._storage.pickled:
            return encode_tree(value)
        try:
            return _pickled(value)
        except Exception as error:
            raise cannot_write(value, [self.key(name)], _pickled, self.path, error) from error


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, _PICKLE_PROTOCOL)
