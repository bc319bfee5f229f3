"""What a tracked dict does that does not depend on where its entries are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.tracked.base import Tracked, editing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self, SupportsIndex


class TrackedMapping(Tracked):
    """The methods of a dict that change it, and its str keys as attributes."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __contains__(self, key: object) -> bool: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __len__(self) -> int: ...

    def __delitem__(self, key: Any, /) -> None:
        with editing(self, "__delitem__", (key,)) as edit:
            if key not in self:
                del {}[key]
            edit.remove(self, key)

    def __ior__(self, other: Any, /) -> Self:
        entries: dict[Any, Any] = {}
        entries |= other
        with editing(self, "__ior__", (other,)) as edit:
            edit.put_all(self, entries)
        return self

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        """Write the entries of a mapping or an iterable of pairs, and keyword arguments; all or none of them."""
        entries: dict[Any, Any] = {}
        entries.update(*args, **kwargs)
        with editing(self, "update", args, kwargs) as edit:
            edit.put_all(self, entries)

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of a key, after writing the default if there is none.

        If several devices do so at once there is one value for all, and one that somebody assigned wins over it.
        """
        with editing(self, "setdefault", (key,) if default is None else (key, default)) as edit:
            if key not in self:
                edit.seed(self, key, default)
            return self[key]

    def pop(self, key: Any, /, *default: Any) -> Any:
        """Remove a key and return its value; without the key return the default, or raise KeyError."""
        with editing(self, "pop", (key, *default)) as edit:
            if not self or len(default) > 1 or key not in self:
                return {}.pop(key, *default)
            value = self[key]
            edit.remove(self, key)
            return value

    def clear(self) -> None:
        """Remove all entries."""
        with editing(self, "clear", ()) as edit:
            edit.clear(self)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self:
            return self[name]
        if name in self:
            raise _needs_brackets(self, name, f"[{name!r}]")
        raise AttributeError(f"this dict has no key {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            raise _needs_brackets(self, name, f"[{name!r}] = ...")
        with editing(self, "__setitem__", (name, value)) as edit:
            edit.put(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            raise _needs_brackets(self, name, f"del [{name!r}]")
        with editing(self, "__delitem__", (name,)) as edit:
            if name not in self:
                raise AttributeError(f"this dict has no key {name!r} to delete", name=name, obj=self)
            edit.remove(self, name)

    def __dir__(self) -> list[str]:
        names = (name for name in super().__dir__() if name.startswith("__") or not name.startswith("_"))
        keys = (key for key in self if isinstance(key, str) and key.isidentifier() and not key.startswith("_"))
        return sorted({*names, *keys})

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        entries: Iterator[tuple[Any, Any]] = ((key, self[key]) for key in self)
        return dict, (), None, None, entries


def _needs_brackets(container: TrackedMapping, name: str, instead: str) -> AttributeError:
    return AttributeError(f"{name!r} is no attribute for a key; write {instead}", name=name, obj=container)
