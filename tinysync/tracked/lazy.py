"""A dict whose entries lie in a database, and are loaded when they are touched."""

from __future__ import annotations

from collections.abc import MutableMapping, Reversible
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakValueDictionary

from tinysync.crdt.ops import ABSENT, Put
from tinysync.errors import UsageError
from tinysync.tracked.base import Tracked, bind, editing
from tinysync.tracked.mapping import TrackedMapping
from tinysync.tracked.plain import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op
    from tinysync.tracked.recorder import Recorder

_BATCH: Final = 500


class Rows(Protocol):
    """The database of a LazyDict: plain values by name, which is a text for each key."""

    @property
    def guard(self) -> AbstractContextManager[Any]:
        """A reentrant lock that is held whenever the database or what is loaded of it is used.

        Raises StructureClosed.
        """

    def name(self, key: Any) -> str | None:
        """Return the name of a key, None if there can be no such key; raises TypeError if it is unhashable."""

    def check_key(self, key: Any) -> None:
        """Raise UnsupportedValue or InvalidValue unless there can be such a key."""

    def key(self, name: str) -> Any:
        """Return the key that a name stands for."""

    def names(self) -> Collection[str]:
        """Return a view of all names."""

    def load(self, name: str) -> Any:
        """Return the plain value of an entry, or ABSENT; raises StorageError and StructureClosed."""


class Entries:
    """The entries of a LazyDict: those in use, those that a transaction wrote, and the rest in the database.

    What nobody holds, and no open transaction has changed, is forgotten, and loaded again when it is touched.
    """

    def __init__(self, rows: Rows, root: Node, revive: Callable[[Any, Any], Any]) -> None:
        self._rows = rows
        self._root = root
        self._revive = revive
        """Makes the live form of a plain value under a key."""
        self._in_use: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self._written: dict[str, Any] = {}
        """By name what was written since the last transaction that was saved; ABSENT: removed."""
        self._count: int | None = None
        self._size_changes = 0

    def get(self, key: Any) -> Any:
        """Return the live value of a key, or ABSENT."""
        name = self._rows.name(key)
        if name is None:
            return ABSENT
        with self._rows.guard:
            if name in self._written:
                return self._written[name]
            value = self._in_use.get(name)
            if value is None:
                value = self._rows.load(name)
                if type(value) in CONTAINERS:
                    value = self._in_use[name] = self._revive(value, self._rows.key(name))
            return value

    def has(self, key: Any) -> bool:
        """Tell whether there is a key, without loading its value."""
        name = self._rows.name(key)
        if name is None:
            return False
        with self._rows.guard:
            if name in self._written:
                return self._written[name] is not ABSENT
            return name in self._in_use or name in self._rows.names()

    def stored_key(self, key: Any) -> Any:
        """Return the key as it is stored that is equal to a key; the key itself if there is none."""
        name = self._rows.name(key)
        return key if name is None else self._rows.key(name)

    def check_key(self, key: Any) -> None:
        """Raise UnsupportedValue or InvalidValue unless there can be such a key."""
        self._rows.check_key(key)

    def count(self) -> int:
        """Return how many there are."""
        with self._rows.guard:
            if self._count is None:
                names = self._rows.names()
                self._count = len(names) + sum(
                    (value is not ABSENT) - (name in names) for name, value in self._written.items()
                )
            return self._count

    def keys(self) -> Iterator[Any]:
        """Return an iterator over the keys, which raises RuntimeError if there are more or fewer meanwhile."""
        before = self._size_changes
        for batch in self._batches():
            for name in batch:
                self._check_size(before)
                yield self._rows.key(name)
        self._check_size(before)

    def last_key(self) -> Any:
        """Return the last key, or ABSENT if there is none."""
        with self._rows.guard:
            stored = self._rows.names()
            for name, value in reversed(self._written.items()):
                if value is not ABSENT and name not in stored:
                    return self._rows.key(name)
            for name in reversed(stored if isinstance(stored, Reversible) else list(stored)):
                if self._written.get(name) is not ABSENT:
                    return self._rows.key(name)
        return ABSENT

    def _batches(self) -> Iterator[list[str]]:
        with self._rows.guard:
            names = iter(self._rows.names())
        while True:
            with self._rows.guard:
                batch = list(islice(names, _BATCH))
                if not batch:
                    stored = self._rows.names()
                    yield [
                        name for name, value in self._written.items() if value is not ABSENT and name not in stored
                    ]
                    return
                batch = [name for name in batch if self._written.get(name) is not ABSENT]
            yield batch

    def _check_size(self, before: int) -> None:
        if self._size_changes != before:
            raise RuntimeError("dictionary changed size during iteration")

    def write(self, key: Any, old: Any, new: Any) -> None:
        """Make an entry that is ``old`` be ``new``; ABSENT: there is none."""
        name = self._rows.name(key)
        assert name is not None
        with self._rows.guard:
            change = (new is not ABSENT) - (old is not ABSENT)
            if change:
                self._size_changes += 1
                if self._count is not None:
                    self._count += change
            self._written[name] = new
            self._in_use.pop(name, None)
            if isinstance(new, Tracked):
                self._in_use[name] = new

    def changed(self, ops: Sequence[Op]) -> dict[str, Any]:
        """Return by name the live values that ops changed, ABSENT for those they removed."""
        found: dict[str, Any] = {}
        for op in ops:
            key, node = op.key if isinstance(op, Put) else None, op.node
            while node.parent is not None:
                key, node = node.key, node.parent
            name = self._rows.name(key)
            if name is not None and name not in found:
                found[name] = self.get(key)
        return found

    def saved(self) -> None:
        """Note that all that was written is in the database."""
        with self._rows.guard:
            self._written.clear()


class LazyDict(TrackedMapping, MutableMapping[Any, Any]):
    """A tracked dict for larger data, whose entries lie in a database: what ``track`` returns for one.

    Its methods are those of a dict, and its str keys are attributes too. An entry is loaded when it is touched,
    and forgotten when nobody holds it; ``in``, ``len`` and iteration load none. Values are what they are in any
    tracked structure: containers are tracked, and what changes inside is saved, one entry at a time. It is no
    ``dict`` itself, because C code (``json.dumps``) would take it for empty; ``dict(db)`` and ``db.copy()``
    load all of it.

    Keys are str, int, bytes, None, date, time, naive datetime, timedelta, UUID, and tuples and frozensets of
    these, in the order in which they were first written. Once it is closed nothing can be read from it.
    """

    __slots__ = ("__weakref__", "_entries", "_node", "_recorder")

    _entries: Entries

    def __init__(self, /, *_args: Any, **_kwargs: Any) -> None:
        raise UsageError("a LazyDict is made by track(), with persist=SQLite or another database")

    def __getitem__(self, key: Any, /) -> Any:
        value = self._entries.get(key)
        if value is ABSENT:
            raise KeyError(key)
        return value

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of a key, or the default."""
        value = self._entries.get(key)
        return default if value is ABSENT else value

    def __contains__(self, key: object) -> bool:
        return self._entries.has(key)

    def __iter__(self) -> Iterator[Any]:
        return self._entries.keys()

    def __reversed__(self) -> Iterator[Any]:
        yield from reversed(list(self))

    def __or__(self, other: Any, /) -> dict[Any, Any]:
        """Return a plain dict with the entries of both, all of them loaded."""
        return dict(self) | dict(other) if isinstance(other, (dict, LazyDict)) else NotImplemented

    def __ror__(self, other: Any, /) -> dict[Any, Any]:
        return dict(other) | dict(self) if isinstance(other, dict) else NotImplemented

    def __len__(self) -> int:
        return self._entries.count()

    def __bool__(self) -> bool:
        return next(iter(self), ABSENT) is not ABSENT

    def __setitem__(self, key: Any, value: Any, /) -> None:
        self._check_keys([key])
        with editing(self, "__setitem__", (key, value)) as edit:
            edit.put(self, key, value)

    def _check_keys(self, keys: Iterable[Any]) -> None:
        for key in keys:
            if type(key) is not str and key not in self:
                self._entries.check_key(key)

    def __ior__(self, other: Any, /) -> Self:
        entries: dict[Any, Any] = {}
        entries |= other
        self._check_keys(entries)
        return super().__ior__(entries)

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        """Write the entries of a mapping or an iterable of pairs, and keyword arguments; all or none of them."""
        entries: dict[Any, Any] = {}
        entries.update(*args, **kwargs)
        self._check_keys(entries)
        super().update(entries)

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of a key, after writing the default if there is none."""
        self._check_keys([key])
        return super().setdefault(key, default)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the last entry, and return its key and value; KeyError if there is none."""
        with editing(self, "popitem", ()) as edit:
            key = self._entries.last_key()
            if key is ABSENT:
                {}.popitem()
            value = self[key]
            edit.remove(self, key)
            return key, value

    def copy(self) -> dict[Any, Any]:
        """Return a plain dict with all entries, loaded; what is in them is the structure's."""
        return dict(self)

    fromkeys = dict.fromkeys

    def __repr__(self) -> str:
        return f"<LazyDict of {self._tracker!r}>"

    def __dir__(self) -> list[str]:
        return sorted(object.__dir__(self))


CONTAINERS[LazyDict] = "dict"


def make_lazy_dict(node: Node, recorder: Recorder, entries: Entries) -> LazyDict:
    """Return the live container of a root whose entries lie in a database."""
    container = LazyDict.__new__(LazyDict)
    bind(container, node, recorder)
    object.__setattr__(container, "_entries", entries)
    node.container = container
    return container


def write_entry(container: LazyDict, key: Any, old: Any, new: Any) -> None:
    """Make an entry that is ``old`` be ``new``, without a record; ABSENT: there is none."""
    container._entries.write(key, old, new)
