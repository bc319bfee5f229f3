"""A dict whose changes are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.tracked.base import Tracked, editing
from tinysync.tracked.plain import ALWAYS_HELD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self, SupportsIndex


class DictWrapper(Tracked, dict[Any, Any]):
    """A dict that is, while attached, part of a tracked structure; its str keys are attributes too.

    ``conf.endpoint`` is ``conf['endpoint']``, except for names that start with an underscore or that dicts have
    themselves (``conf.items``): assigning to these raises AttributeError, brackets always work. What is assigned
    is copied in. A plain dict, list or set that is assigned over one of the same kind makes that one equal to
    itself, in place.
    """

    __slots__ = ("__weakref__", "_node", "_recorder")

    def __setitem__(self, key: Any, value: Any, /) -> None:
        recorder = self._recorder
        if (
            recorder is not None
            and type(key) is str
            and key.isascii()
            and (type(value) in ALWAYS_HELD or (type(value) is str and value.isascii()))
            and recorder.put_plain(self, key, value)
        ):
            return
        with editing(self, "__setitem__", (key, value)) as edit:
            edit.put(self, key, value)

    def __delitem__(self, key: Any, /) -> None:
        with editing(self, "__delitem__", (key,)) as edit:
            if key not in self:
                del {}[key]
            edit.remove(self, key)

    def __ior__(self, other: Any, /) -> Self:  # type: ignore[misc]
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

    def popitem(self) -> tuple[Any, Any]:
        """Remove the entry that was written last, and return its key and value; KeyError if there is none."""
        with editing(self, "popitem", ()) as edit:
            # The builtin finds the last entry fast; then it is back where it was, to be removed with a record.
            key, value = dict.popitem(self)
            dict.__setitem__(self, key, value)
            edit.remove(self, key)
            return key, value

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
        entries: Iterator[tuple[Any, Any]] = iter(self.items())
        return dict, (), None, None, entries


def _needs_brackets(container: DictWrapper, name: str, instead: str) -> AttributeError:
    return AttributeError(f"{name!r} is no attribute for a key; write {instead}", name=name, obj=container)
