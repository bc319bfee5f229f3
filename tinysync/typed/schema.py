"""The types of one structure: reading, writing and checking what is in it."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from tinysync.crdt.ops import ABSENT, Assign, Put, Splice
from tinysync.errors import UnsupportedValue
from tinysync.tracked.adopt import place_of
from tinysync.tracked.base import Tracked, is_attached
from tinysync.tracked.plain import plain
from tinysync.typed.annotations import record_of
from tinysync.typed.containers import TypedDict, TypedList
from tinysync.typed.records import Record
from tinysync.typed.shapes import DictOf, ListOf, Misfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysync.crdt.node import Node
    from tinysync.crdt.ops import Op
    from tinysync.typed.shapes import Shape

logger = logging.getLogger("tinysync")


def is_instance_of_dataclass(value: object) -> bool:
    """Tell whether a value is an instance of a dataclass, and not the class itself."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


class Schema:
    """A dataclass, and the views of one structure through it.

    Raises UnsupportedValue for a dataclass with annotations that cannot be stored, and an instance that does not
    fit them.
    """

    def __init__(self, instance: Any) -> None:
        self.cls: type = instance.__class__
        self._root = record_of(self.cls)
        self._views: WeakValueDictionary[tuple[int, int], Any] = WeakValueDictionary()
        """By the ids of container and shape. A view keeps its container, so that no id comes to mean another."""
        self._reported: set[tuple[Record, str]] = set()
        try:
            self.defaults: dict[str, Any] = plain(self._root.encode(instance, ()))
            self._root.check(self.defaults, ())
        except Misfit as misfit:
            raise _refused(misfit, None) from None

    # --- checking ------------------------------------------------------------------------------------------

    def check(self, ops: Sequence[Op], /) -> None:
        """Raise UnsupportedValue, naming the path, if one of the edits wrote what does not fit."""
        for op in ops:
            if op.node.attached:
                try:
                    self._check(op)
                except Misfit as misfit:
                    raise _refused(misfit, op.node) from None

    def _check(self, op: Op) -> None:
        shape = self._shape_of(op.node)
        if isinstance(op, Put):
            if op.new is not ABSENT and op.node.kind == "set":
                shape.inside(None).check(op.key, (op.key,))
            elif op.new is not ABSENT:
                if isinstance(shape, DictOf):
                    shape.key.check(op.key, (op.key,))
                shape.inside(op.key).check(op.new, (op.key,))
        elif isinstance(op, Assign):
            shape.inside(None).check(op.new, (op.index,))
        elif isinstance(op, Splice):
            item = shape.inside(None)
            for index, value in enumerate(op.new, op.index):
                item.check(value, (index,))

    def _shape_of(self, node: Node) -> Shape:
        if node.parent is None:
            return self._root
        return self._shape_of(node.parent).inside(node.key).of_kind(node.kind)

    # --- reading and writing -------------------------------------------------------------------------------

    def view(self, container: Any, shape: Shape | None = None) -> Any:
        """Return the view of a live container: the same one, as long as somebody has it."""
        shape = shape or self._root
        if not isinstance(container, Tracked):
            # It was written into what is not, or no longer, part of a structure.
            return shape.plain(container)
        key = id(container), id(shape)
        view = self._views.get(key)
        if view is None:
            view = self._views.setdefault(key, self._new_view(container, shape))
        if isinstance(view, (TypedList, TypedDict)):
            view._tinysync_refresh()
        return view

    def _new_view(self, container: Any, shape: Shape) -> Any:
        if isinstance(shape, ListOf):
            return TypedList.over(container, shape, self)
        if isinstance(shape, DictOf):
            return TypedDict.over(container, shape, self)
        assert isinstance(shape, Record)
        view: Any = object.__new__(shape.view_class)
        object.__setattr__(view, "_tinysync_container", container)
        object.__setattr__(view, "_tinysync_schema", self)
        return view

    def read(self, container: Any, record: Record, name: str) -> Any:
        """Return a field's value. One that does not fit is given as it is, and reported in the log once."""
        stored = dict.get(container, name, ABSENT)
        shape = record.shapes[name]
        if stored is ABSENT:
            return self._missing(container, record, name)
        if not shape.fits(stored) and (record, name) not in self._reported:
            self._reported.add((record, name))
            logger.warning(
                "%s of %r holds %s (%s), but %s.%s is %s: it is given as it is",
                place_of(container._node, [name]),
                _name_of(container),
                _short(stored),
                type(stored).__name__,
                record.name,
                name,
                shape.name,
            )
        return shape.decode(stored, self)

    def write(self, container: Any, name: str, shape: Shape, value: Any) -> None:
        """Set a field; what the dict that is there holds and the dataclass does not know stays."""
        if shape.converts and not isinstance(value, Tracked):
            with _locked(container):
                stored = self.encode(container, shape, value, name)
                container[name] = shape.keep_unknown(dict.get(container, name), stored)
        else:
            container[name] = value

    def encode(self, container: Any, shape: Shape, value: Any, *steps: Any) -> Any:
        """Return the stored form of what is to be written into a container."""
        try:
            return shape.encode(value, steps)
        except Misfit as misfit:
            raise _refused(misfit, container._node) from None

    def _missing(self, container: Any, record: Record, name: str) -> Any:
        """Return the default of a field that the document, of an older version of the app, does not have."""
        shape = record.shapes[name]
        default = record.default(name, self._given_at(container))
        if default is ABSENT:
            raise AttributeError(
                f"{place_of(container._node, [name])} is not there, and {record.name}.{name} has no default; "
                "assign to it, or raise version= to bring in what is given to track()",
                name=name,
            )
        if not isinstance(default, (dict, list, set)):
            return shape.decode(default, self)
        if not is_attached(container) or container._tracker.closed:
            return shape.plain(default)
        # It is there to be changed: then it has to be in the structure.
        return shape.decode(container.setdefault(name, default), self)

    def _given_at(self, container: Any) -> dict[str, Any]:
        given: Any = self.defaults
        for step in container._node.path() if is_attached(container) else ():
            given = given.get(step) if isinstance(given, dict) else None
        return given if isinstance(given, dict) else {}

    def plain(self, container: Any, /) -> Any:
        """Return a plain copy, as the program sees it, of a live container: instances of the dataclasses."""
        with _locked(container):
            shape = self._shape_of(container._node)
            return shape.plain(container, self._given_at(container))


def _locked(container: Any) -> Any:
    # Of what was removed, too, which has no tracker any more.
    return container._recorder.reading()


def _name_of(container: Any) -> str | None:
    name: str | None = container._recorder.name
    return name


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _refused(misfit: Misfit, node: Node | None) -> UnsupportedValue:
    place = place_of(node, misfit.steps)
    kind = type(misfit.value).__name__
    return UnsupportedValue(f"{place} must be {misfit.shape.name}, not {_short(misfit.value)} ({kind})")
