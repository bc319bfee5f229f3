"""From annotations to shapes."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections import abc
from enum import Enum
from typing import Any, Final

from tinysync.crdt.values import SCALAR_TYPES
from tinysync.errors import UnsupportedValue
from tinysync.typed.records import Record
from tinysync.typed.shapes import (
    ANYTHING,
    DictOf,
    Either,
    Instance,
    ListOf,
    Member,
    OneOf,
    SetOf,
    Shape,
    TupleOf,
)

_LISTS: Final = frozenset({list, abc.MutableSequence})
_DICTS: Final = frozenset({dict, abc.Mapping, abc.MutableMapping})
_SETS: Final = frozenset({set, abc.MutableSet})
_TRANSPARENT: Final = (typing.Final, typing.Annotated)
_HELD: Final = (
    "what can be held is None, bool, int, float, complex, str, bytes, dates and times, Decimal, UUID, Literal,"
    " Enum, tuple, frozenset, and list, dict, set, dataclasses and unions of these"
)


def record_of(cls: type) -> Record:
    """Return the shape of a dataclass; raises UnsupportedValue, naming the field, for what cannot be held."""
    return _Reading().record(cls)


class _Unsupported(Exception):
    """An annotation that cannot be held; the text says why."""


class _Reading:
    """One reading of a dataclass with all those in it, which may contain each other."""

    def __init__(self) -> None:
        self._records: dict[type, Record] = {}

    def record(self, cls: type) -> Record:
        if cls in self._records:
            return self._records[cls]
        if getattr(cls, "__parameters__", ()):
            raise _Unsupported(f"{cls.__name__} is generic: derive a dataclass with the types it is to hold")
        record = self._records[cls] = Record(cls)
        hints = _hints(cls)
        for field in dataclasses.fields(cls):
            where = f"{cls.__name__}.{field.name}"
            try:
                record.shapes[field.name] = self._shape(hints[field.name])
            except _Unsupported as error:
                raise UnsupportedValue(f"{where} cannot be tracked: {error}") from None
        return record

    def _shape(self, hint: Any) -> Shape:
        if hint is Any or hint is object:
            return ANYTHING
        if hint is None:
            return Instance(type(None))
        if isinstance(hint, typing.NewType):
            return self._shape(hint.__supertype__)
        if (alias := getattr(hint, "__value__", None)) is not None and not isinstance(hint, type):
            return self._shape(alias)
        origin = typing.get_origin(hint)
        if origin is not None:
            return self._generic(hint, origin, typing.get_args(hint))
        if isinstance(hint, type):
            return self._class(hint)
        raise _Unsupported(f"{_text(hint)} is not understood; {_HELD}")

    def _class(self, hint: type) -> Shape:
        if hint in SCALAR_TYPES - {tuple, frozenset}:
            return Instance(hint)
        if dataclasses.is_dataclass(hint):
            return self.record(hint)
        if issubclass(hint, Enum):
            for member in hint:
                if type(member.value) not in SCALAR_TYPES:
                    raise _Unsupported(f"{member} has a value that cannot be held; {_HELD}")
            return Member(hint)
        return self._generic(hint, hint, ())

    def _generic(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Shape:
        text = _text(hint)
        if origin in _TRANSPARENT:
            return self._shape(args[0])
        if origin is typing.Literal:
            return self._literal(args)
        if origin in (typing.Union, types.UnionType):
            return self._union(args)
        shapes = [ANYTHING if arg is Ellipsis or arg == () else self._shape(arg) for arg in args]
        if origin in _LISTS:
            return ListOf(text, shapes[0] if shapes else ANYTHING)
        if origin in _DICTS:
            key, item = shapes or (ANYTHING, ANYTHING)
            _unconverted(key, "a key")
            return DictOf(text, key, item)
        for shape in shapes:
            _unconverted(shape, "an element of a set or tuple")
        if origin in _SETS:
            return SetOf(text, shapes[0] if shapes else ANYTHING)
        if origin is frozenset:
            return TupleOf(text, frozenset, shapes or [ANYTHING], repeated=True)
        if origin is tuple:
            repeated = not typing.get_origin(hint) or (len(args) == 2 and args[1] is Ellipsis)
            return TupleOf(text, tuple, shapes or [ANYTHING] if repeated else shapes, repeated=repeated)
        if origin is abc.Sequence:
            item = shapes[0] if shapes else ANYTHING
            return Either([ListOf(text, item), TupleOf(text, tuple, [item], repeated=True)])
        raise _Unsupported(f"a {text} cannot be held; {_HELD}")

    def _literal(self, values: tuple[Any, ...]) -> Shape:
        if any(isinstance(value, Enum) for value in values):
            raise _Unsupported("a Literal of Enum members is not understood; name the Enum")
        return OneOf(values)

    def _union(self, args: tuple[Any, ...]) -> Shape:
        members: list[Shape] = []
        for arg in args:
            shape = self._shape(arg)
            members.extend(shape.members if isinstance(shape, Either) else [shape])
        kinds = [member.kind for member in members if member.kind is not None]
        if len(set(kinds)) < len(kinds):
            names = " | ".join(member.name for member in members)
            raise _Unsupported(f"of {names}, two are stored in the same way, and could not be told apart")
        for enum in (member for member in members if isinstance(member, Member)):
            for other in members:
                if other is not enum and any(other.fits(value.value) for value in enum.enum):
                    raise _Unsupported(f"a stored {enum.name} could not be told from a {other.name}")
        return Either(members)


def _unconverted(shape: Shape, what: str) -> None:
    if shape.converts or shape.kind is not None:
        raise _Unsupported(f"{what} cannot be a {shape.name}: it has to be a value that is stored as it is")


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except NameError as error:
        raise UnsupportedValue(
            f"an annotation of {cls.__name__} cannot be read: {error}; what it names has to be defined in the"
            " module, not in a function, and not under TYPE_CHECKING"
        ) from None


def _text(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_origin(hint) else str(hint)
