"""Dataclasses: how their instances are stored, and the classes of the views that take their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.ops import ABSENT
from tinysync.crdt.values import MAX_DEPTH
from tinysync.errors import InvalidValue, UnsupportedValue
from tinysync.tracked.plain import plain
from tinysync.typed.base import Typed
from tinysync.typed.shapes import ANYTHING, Misfit, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinysync.typed.schema import Schema

RESERVED: Final = frozenset({"_tracker", "_tinysync_container", "_tinysync_schema", "__subject__"})


class Record(Shape):
    """A dataclass, of which instances are stored as dicts."""

    kind = "dict"
    converts = True

    def __init__(self, cls: type) -> None:
        self.name = cls.__name__
        self.cls = cls
        self.shapes: dict[str, Shape] = {}
        """The shapes of the fields; filled after the record was made, for dataclasses that contain themselves."""
        self._defaults = {field.name: field for field in dataclasses.fields(cls)}
        self.frozen: bool = cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
        if reserved := RESERVED & self._defaults.keys():
            raise UnsupportedValue(f"a field cannot be called {min(reserved)!r}, which tinysync uses itself")
        self.view_class = _view_class(self)

    def takes(self, value: Any) -> bool:
        # Of a subclass, the fields that it adds would be lost. A view says that it is of the class, too.
        return value.__class__ is self.cls

    def fits(self, stored: Any) -> bool:
        return isinstance(stored, Mapping)

    def parts(self, stored: Any) -> Iterable[tuple[Any, Shape, Any]]:
        return ((name, shape, stored[name]) for name, shape in self.shapes.items() if name in stored)

    def inside(self, key: Any) -> Shape:
        return self.shapes.get(key, ANYTHING) if isinstance(key, str) else ANYTHING

    def encode(self, value: Any, steps: Sequence[Any]) -> Any:
        if not self.takes(value):
            raise Misfit(self, value, steps)
        if len(steps) > MAX_DEPTH:
            raise InvalidValue(f"a {self.name} is inside itself, or nested more than {MAX_DEPTH} deep")
        stored = {}
        for name, shape in self.shapes.items():
            item = getattr(value, name, ABSENT)
            if item is not ABSENT:
                stored[name] = shape.encode(item, (*steps, name))
        return stored

    def decode(self, stored: Any, schema: Schema) -> Any:
        return schema.view(stored, self) if self.fits(stored) else stored

    def plain(self, stored: Any, given: Any = None) -> Any:
        if not self.fits(stored):
            return plain(stored)
        given = given if isinstance(given, dict) else {}
        made: Any = object.__new__(self.cls)
        for name, shape in self.shapes.items():
            value = stored.get(name, ABSENT)
            if value is ABSENT:
                value = self.default(name, given)
            if value is not ABSENT:
                object.__setattr__(made, name, shape.plain(value, given.get(name)))
        return made

    def default(self, name: str, given: dict[str, Any]) -> Any:
        """Return the stored form of a field's default, which is what was given, if so; ABSENT: it has none."""
        if name in given:
            return given[name]
        field = self._defaults[name]
        if field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        else:
            return ABSENT
        return self.shapes[name].encode(value, (name,))

    def keep_unknown(self, old: Any, new: Any) -> Any:
        if not (isinstance(old, dict) and isinstance(new, dict)):
            return new
        kept = {
            name: self.inside(name).keep_unknown(old[name], item) if name in old else item
            for name, item in new.items()
        }
        return kept | {name: plain(item) for name, item in old.items() if name not in self.shapes}


class _FieldView:
    """A field of a view: an entry of the dict behind it."""

    __slots__ = ("_name", "_record")

    def __init__(self, record: Record, name: str) -> None:
        self._record = record
        self._name = name

    def __get__(self, view: Any, _owner: type) -> Any:
        if view is None:
            return self
        return view._tinysync_schema.read(view._tinysync_container, self._record, self._name)

    def __set__(self, view: Any, value: Any) -> None:
        view._tinysync_schema.write(view._tinysync_container, self._name, self._record.shapes[self._name], value)


class RecordView(Typed):
    """A view of a dict as an instance of a dataclass, of which its class is derived.

    ``__init__`` and ``__post_init__`` are not run: it has the fields, and what the class has. Attributes that are
    no fields cannot be set.
    """

    __slots__ = ()

    __hash__ = None  # type: ignore[assignment] # others may change it at any time

    def __setattr__(self, name: str, value: Any) -> None:
        found = getattr(type(self), name, None)
        if isinstance(found, _FieldView):
            if found._record.frozen:
                raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        elif not hasattr(type(found), "__set__"):
            raise AttributeError(
                f"{type(self).__name__} has no field {name!r}: only what its fields hold is kept",
                name=name,
                obj=self,
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} of a tracked {type(self).__name__} cannot be deleted", name=name, obj=self)


def _view_class(record: Record) -> type:
    cls = record.cls
    slots = ["_tinysync_container", "_tinysync_schema"]
    if not cls.__weakrefoffset__:
        slots.append("__weakref__")
    namespace: dict[str, Any] = {
        "__slots__": tuple(slots),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        # So that what dataclasses generate (== and repr), and replace(), take it for what it shows.
        "__class__": property(lambda _self: cls),
    }
    for field in dataclasses.fields(cls):
        namespace[field.name] = _FieldView(record, field.name)
    return type(cls)(cls.__name__, (RecordView, cls), namespace)
