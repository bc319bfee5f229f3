"""Lists and dicts whose elements the program sees in another form than they are stored in."""

from __future__ import annotations

import sys
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

from tinysync.typed.base import Typed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.tracked.dicts import DictWrapper
    from tinysync.tracked.lists import ListWrapper
    from tinysync.typed.schema import Schema
    from tinysync.typed.shapes import DictOf, ListOf


class TypedList(Typed, list[Any]):
    """A list of dataclass instances or Enum members: a view of the list of what these are stored as.

    It is a list for ``isinstance``. C code that reads lists past their methods sees the stored form, as it was
    when the list was last read from its field. Made by calling the class, as ``asdict`` does, it is a plain list.
    """

    __slots__ = ("__weakref__", "_shape", "_tinysync_container", "_tinysync_schema")
    __hash__ = None

    _shape: ListOf

    def __new__(cls, items: Iterable[Any] = ()) -> Any:
        """Return a plain list."""
        return list(items)

    @classmethod
    def over(cls, container: ListWrapper, shape: ListOf, schema: Schema) -> TypedList:
        """Return a view of a list."""
        self = list.__new__(cls)
        self._tinysync_container, self._tinysync_schema, self._shape = container, schema, shape
        return self

    def _tinysync_refresh(self) -> None:
        list.__setitem__(self, slice(None), self._tinysync_container)

    def _decode(self, stored: Any) -> Any:
        return self._shape.item.decode(stored, self._tinysync_schema)

    def _encode(self, index: int, value: Any) -> Any:
        return self._tinysync_schema.encode(self._tinysync_container, self._shape.item, value, index)

    def _encode_all(self, index: int, values: Iterable[Any]) -> list[Any]:
        return [self._encode(index + offset, value) for offset, value in enumerate(values)]

    def __len__(self) -> int:
        return len(self._tinysync_container)

    def __getitem__(self, index: Any) -> Any:
        found = self._tinysync_container[index]
        return [self._decode(one) for one in found] if isinstance(index, slice) else self._decode(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            self._tinysync_container[index] = self._encode_all(index.indices(len(self))[0], value)
            return
        old = self._tinysync_container[index]
        self._tinysync_container[index] = self._shape.item.keep_unknown(old, self._encode(index, value))

    def __delitem__(self, index: Any) -> None:
        del self._tinysync_container[index]

    def __iter__(self) -> Iterator[Any]:
        return map(self._decode, self._tinysync_container)

    def __reversed__(self) -> Iterator[Any]:
        return map(self._decode, reversed(self._tinysync_container))

    def insert(self, index: Any, value: Any) -> None:
        """Insert an element before an index."""
        self._tinysync_container.insert(index, self._encode(index, value))

    def append(self, value: Any) -> None:
        """Add an element at the end."""
        self._tinysync_container.append(self._encode(len(self), value))

    def extend(self, values: Iterable[Any]) -> None:
        """Add the elements of an iterable at the end; all or none of them."""
        self._tinysync_container.extend(self._encode_all(len(self), values))

    def __iadd__(self, values: Iterable[Any]) -> Any:  # type: ignore[misc]
        self.extend(values)
        return self

    def __imul__(self, times: Any) -> Any:
        self._tinysync_container *= times
        return self

    def pop(self, index: Any = -1) -> Any:
        """Remove the element at an index, and return a plain copy of it; IndexError if there is none."""
        return self._shape.item.plain(self._tinysync_container.pop(index))

    def clear(self) -> None:
        """Remove all elements."""
        self._tinysync_container.clear()

    def reverse(self) -> None:
        """Reverse in place."""
        self._tinysync_container.reverse()

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Sort in place, stably, by a key of the elements or by themselves."""
        seen = self._decode if key is None else lambda stored: key(self._decode(stored))
        self._tinysync_container.sort(key=seen, reverse=reverse)

    def move(self, index: Any, to: Any) -> None:
        """Move the element at an index so that it ends up at another; IndexError if there is no such index."""
        self._tinysync_container.move(index, to)

    def remove(self, value: Any) -> None:
        """Remove the first element that is equal to a value; ValueError if there is none."""
        del self[self.index(value)]

    def index(self, value: Any, start: Any = 0, stop: Any = sys.maxsize) -> int:
        """Return the index of the first element that is equal to a value; ValueError if there is none."""
        return self.copy().index(value, start, stop)

    def count(self, value: Any) -> int:
        """Return how many elements are equal to a value."""
        return self.copy().count(value)

    def __contains__(self, value: object) -> bool:
        return value in self.copy()

    def copy(self) -> list[Any]:
        """Return a plain list of the same elements."""
        return list(iter(self))

    def __add__(self, other: Any) -> Any:
        return self.copy() + list(other) if isinstance(other, list) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return other + self.copy() if isinstance(other, list) else NotImplemented

    def __mul__(self, times: Any) -> list[Any]:
        copied: list[Any] = self.copy() * times
        return copied

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and self.copy() == list(iter(other))

    def __lt__(self, other: list[Any]) -> bool:
        return self.copy() < list(iter(other))

    def __le__(self, other: list[Any]) -> bool:
        return self.copy() <= list(iter(other))

    def __gt__(self, other: list[Any]) -> bool:
        return self.copy() > list(iter(other))

    def __ge__(self, other: list[Any]) -> bool:
        return self.copy() >= list(iter(other))

    def __repr__(self) -> str:
        return repr(self.copy())


class TypedDict(Typed, dict[Any, Any]):
    """A dict of dataclass instances or Enum members: a view of the dict of what these are stored as.

    It is a dict for ``isinstance``. C code that reads dicts past their methods sees the stored form, as it was
    when the dict was last read from its field. Made by calling the class, as ``asdict`` does, it is a plain dict.
    """

    __slots__ = ("__weakref__", "_shape", "_tinysync_container", "_tinysync_schema")
    __hash__ = None

    _shape: DictOf

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a plain dict."""
        return dict(*args, **kwargs)

    @classmethod
    def over(cls, container: DictWrapper, shape: DictOf, schema: Schema) -> TypedDict:
        """Return a view of a dict."""
        self = dict.__new__(cls)
        self._tinysync_container, self._tinysync_schema, self._shape = container, schema, shape
        return self

    def _tinysync_refresh(self) -> None:
        dict.clear(self)
        dict.update(self, self._tinysync_container)

    def _encode(self, entries: dict[Any, Any]) -> dict[Any, Any]:
        container = self._tinysync_container
        stored: dict[Any, Any] = self._tinysync_schema.encode(container, self._shape, entries)
        kept: dict[Any, Any] = self._shape.keep_unknown(container, stored)
        return kept

    def __len__(self) -> int:
        return len(self._tinysync_container)

    def __contains__(self, key: object) -> bool:
        return key in self._tinysync_container

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tinysync_container)

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(self._tinysync_container)[::-1])

    def __getitem__(self, key: Any) -> Any:
        return self._shape.item.decode(self._tinysync_container[key], self._tinysync_schema)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._tinysync_container[key] = self._encode({key: value})[key]

    def __delitem__(self, key: Any) -> None:
        del self._tinysync_container[key]

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self) -> Any:
        """Return a live view of the keys."""
        return KeysView(self)

    def values(self) -> Any:
        """Return a live view of the values."""
        return ValuesView(self)

    def items(self) -> Any:
        """Return a live view of the entries."""
        return ItemsView(self)

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        """Write the entries of a mapping or an iterable of pairs, and keyword arguments; all or none of them."""
        entries: dict[Any, Any] = {}
        entries.update(*args, **kwargs)
        self._tinysync_container.update(self._encode(entries))

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, after writing the default if there is none; safe between devices."""
        if key not in self._tinysync_container:
            self._tinysync_container.setdefault(key, self._encode({key: default})[key])
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key and return a plain copy of its value; without the key return the default, or KeyError."""
        if len(default) <= 1 and key not in self._tinysync_container and default:
            return default[0]
        return self._shape.item.plain(self._tinysync_container.pop(key))

    def popitem(self) -> tuple[Any, Any]:
        """Remove the entry that was written last, and return its key and a plain copy of its value."""
        key, stored = self._tinysync_container.popitem()
        return key, self._shape.item.plain(stored)

    def clear(self) -> None:
        """Remove all entries."""
        self._tinysync_container.clear()

    def copy(self) -> dict[Any, Any]:
        """Return a plain dict of the same entries."""
        return {key: self[key] for key in self}

    def __or__(self, other: Any) -> Any:
        return self.copy() | dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return dict(other) | self.copy() if isinstance(other, Mapping) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self.copy() == dict(other.items())

    def __repr__(self) -> str:
        return repr(self.copy())
