"""What annotations say about stored values: which ones fit, and how they are stored and read.

The *stored* form of a dataclass instance is a dict of its fields, that of an Enum's member its value; all else is
stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, MutableSet
from typing import TYPE_CHECKING, Any, Final

from tinysync.tracked.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from enum import Enum

    from tinysync.model import Kind
    from tinysync.typed.schema import Schema


class Misfit(Exception):
    """A value that does not fit its annotation; ``steps`` lead to it from where the check began."""

    def __init__(self, shape: Shape, value: Any, steps: Sequence[Any]) -> None:
        super().__init__(shape, value, steps)
        self.shape = shape
        self.value = value
        self.steps = steps


class Shape:
    """Any value: the base of all others."""

    name = "Any"
    kind: Kind | None = None
    """As which kind of container such values are stored, if only as one."""
    converts = False
    """Whether the stored form is another one than what the program sees, here or inside."""

    def takes(self, value: Any) -> bool:
        """Tell whether a value of the program may be assigned, whatever is inside of it."""
        return self.fits(value)

    def fits(self, stored: Any) -> bool:
        """Tell whether a stored value fits, whatever is inside of it."""
        return True

    def check(self, stored: Any, steps: Sequence[Any]) -> None:
        """Raise Misfit unless a stored value fits, with all that is in it."""
        if not self.fits(stored):
            raise Misfit(self, stored, steps)
        for step, shape, item in self.parts(stored):
            shape.check(item, (*steps, step))

    def parts(self, stored: Any) -> Iterable[tuple[Any, Shape, Any]]:
        """Return step, shape and stored value of each thing that is directly inside."""
        return ()

    def inside(self, key: Any) -> Shape:
        """Return the shape of what is stored under a key, or in a list."""
        return ANYTHING

    def of_kind(self, kind: Kind) -> Shape:
        """Return the shape of those values that are stored as a kind of container."""
        return self

    def encode(self, value: Any, steps: Sequence[Any]) -> Any:
        """Return the stored form of a value; raise Misfit if what has to be converted is something else."""
        return value

    def decode(self, stored: Any, schema: Schema) -> Any:
        """Return what the program sees of a stored value: a view of a container. What does not fit stays."""
        return stored

    def plain(self, stored: Any, given: Any = None) -> Any:
        """Return a plain copy as the program sees it; ``given`` has the defaults for what is missing in it."""
        return plain(stored)

    def keep_unknown(self, old: Any, new: Any) -> Any:
        """Return a new stored form with those entries of the old one that the dataclass does not know."""
        return new


ANYTHING: Final = Shape()


class Instance(Shape):
    """A value of a type; as for type checkers, an int is a float and a complex, and a float a complex."""

    def __init__(self, kind: type) -> None:
        self.name = "None" if kind is type(None) else kind.__name__
        self._types = {float: (float, int), complex: (complex, float, int)}.get(kind, (kind,))

    def fits(self, stored: Any) -> bool:
        return isinstance(stored, self._types)


class OneOf(Shape):
    """A Literal."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.name = f"one of {', '.join(map(repr, values))}"
        self._values = values

    def fits(self, stored: Any) -> bool:
        return any(type(stored) is type(value) and stored == value for value in self._values)


class Member(Shape):
    """A member of an Enum, which is stored by its value."""

    converts = True

    def __init__(self, enum: type[Enum]) -> None:
        self.name = enum.__name__
        self.enum = enum

    def takes(self, value: Any) -> bool:
        return isinstance(value, self.enum)

    def fits(self, stored: Any) -> bool:
        try:
            value = self.enum(stored).value
        except (TypeError, ValueError):
            return False
        return type(value) is type(stored) and bool(value == stored)

    def encode(self, value: Any, steps: Sequence[Any]) -> Any:
        if not isinstance(value, self.enum):
            raise Misfit(self, value, steps)
        return value.value

    def decode(self, stored: Any, schema: Schema) -> Any:
        return self.enum(stored) if self.fits(stored) else stored

    def plain(self, stored: Any, given: Any = None) -> Any:
        return self.enum(stored) if self.fits(stored) else plain(stored)


class TupleOf(Shape):
    """A tuple or frozenset, of which all elements, or those at each place, have a shape."""

    def __init__(
        self, name: str, kind: type[tuple[Any, ...] | frozenset[Any]], items: Sequence[Shape], *, repeated: bool
    ) -> None:
        self.name = name
        self._kind = kind
        self._items = items
        self._repeated = repeated

    def fits(self, stored: Any) -> bool:
        return isinstance(stored, self._kind) and (self._repeated or len(stored) == len(self._items))

    def parts(self, stored: Any) -> Iterable[tuple[Any, Shape, Any]]:
        for index, item in enumerate(stored):
            yield index, self._items[0 if self._repeated else index], item


class ListOf(Shape):
    """A list."""

    kind = "list"

    def __init__(self, name: str, item: Shape) -> None:
        self.name = name
        self.item = item

    @property
    def converts(self) -> bool:  # type: ignore[override] # asked when recursive dataclasses are complete
        return self.item.converts

    def fits(self, stored: Any) -> bool:
        return isinstance(stored, MutableSequence) and not isinstance(stored, bytearray)

    def parts(self, stored: Any) -> Iterable[tuple[Any, Shape, Any]]:
        return ((index, self.item, value) for index, value in enumerate(stored))

    def inside(self, key: Any) -> Shape:
        return self.item

    def encode(self, value: Any, steps: Sequence[Any]) -> Any:
        if not self.converts or not self.fits(value):
            return value
        return [self.item.encode(one, (*steps, index)) for index, one in enumerate(value)]

    def decode(self, stored: Any, schema: Schema) -> Any:
        return schema.view(stored, self) if self.converts and self.fits(stored) else stored

    def plain(self, stored: Any, given: Any = None) -> Any:
        return [self.item.plain(value) for value in stored] if self.fits(stored) else plain(stored)


class DictOf(Shape):
    """A dict with keys and values of a shape."""

    kind = "dict"

    def __init__(self, name: str, key: Shape, item: Shape) -> None:
        self.name = name
        self.key = key
        self.item = item

    @property
    def converts(self) -> bool:  # type: ignore[override] # asked when recursive dataclasses are complete
        return self.item.converts

    def fits(self, stored: Any) -> bool:
        return isinstance(stored, Mapping)

    def parts(self, stored: Any) -> Iterable[tuple[Any, Shape, Any]]:
        for key, value in stored.items():
            yield key, self.key, key
            yield key, self.item, value

    def inside(self, key: Any) -> Shape:
        return self.item

    def encode(self, value: Any, steps: Sequence[Any]) -> Any:
        if not self.converts or not self.fits(value):
            return value
        return {key: self.item.encode(one, (*steps, key)) for key, one in value.items()}

    def decode(self, stored: Any, schema: Schema) -> Any:
        return schema.view(stored, self) if self.converts and self.fits(stored) else stored

    def plain(self, stored: Any, given: Any = None) -> Any:
        if not self.fits(stored):
            return plain(stored)
        given = given if isinstance(given, dict) else {}
        return {key: self.item.plain(value, given.get(key)) for key, value in stored.items()}

    def keep_unknown(self, old: Any, new: Any) -> Any:
        if self.converts and isinstance(old, dict) and isinstance(new, dict):
            return {
                key: self.item.keep_unknown(old[key], value) if key in old else value for key, value in new.items()
            }
        return new


class SetOf(Shape):
    """A set."""

    kind = "set"

    def __init__(self, name: str, item: Shape) -> None:
        self.name = name
        self.item = item

    def fits(self, stored: Any) -> bool:
        return isinstance(stored, MutableSet)

    def parts(self, stored: Any) -> Iterable[tuple[Any, Shape, Any]]:
        return ((value, self.item, value) for value in stored)

    def inside(self, key: Any) -> Shape:
        return self.item


class Either(Shape):
    """A union. At most one of its members is stored as each kind of container."""

    def __init__(self, members: Sequence[Shape]) -> None:
        self.name = " | ".join(member.name for member in members)
        self.members = members

    @property
    def converts(self) -> bool:  # type: ignore[override] # asked when recursive dataclasses are complete
        return any(member.converts for member in self.members)

    def takes(self, value: Any) -> bool:
        return any(member.takes(value) for member in self.members)

    def fits(self, stored: Any) -> bool:
        return any(member.fits(stored) for member in self.members)

    def check(self, stored: Any, steps: Sequence[Any]) -> None:
        misfit = Misfit(self, stored, steps)
        for member in self.members:
            try:
                return member.check(stored, steps)
            except Misfit as error:
                if len(error.steps) > len(steps):
                    misfit = error
        raise misfit

    def of_kind(self, kind: Kind) -> Shape:
        return next((member for member in self.members if member.kind == kind), ANYTHING)

    def encode(self, value: Any, steps: Sequence[Any]) -> Any:
        for member in self.members:
            if member.takes(value):
                return member.encode(value, steps)
        if self.converts:
            raise Misfit(self, value, steps)
        return value

    def decode(self, stored: Any, schema: Schema) -> Any:
        return self._of(stored).decode(stored, schema)

    def plain(self, stored: Any, given: Any = None) -> Any:
        return self._of(stored).plain(stored, given)

    def keep_unknown(self, old: Any, new: Any) -> Any:
        return self._of(new).keep_unknown(old, new)

    def _of(self, stored: Any) -> Shape:
        fitting = [member for member in self.members if member.fits(stored)]
        return next((member for member in fitting if member.converts), fitting[0] if fitting else ANYTHING)
