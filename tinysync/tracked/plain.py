"""Plain dicts, lists and sets: telling them from scalars, and copying them out."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, MutableSequence, MutableSet
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tinysync.model import Kind

CONTAINERS: Final[dict[type, Kind]] = {dict: "dict", list: "list", set: "set"}
"""The plain and the tracked types of containers. Of a structure that holds anything, all else is a value."""

ALWAYS_HELD: Final = frozenset({type(None), bool, int, float})
"""Types of which the document holds every value."""

_KINDS: Final[tuple[tuple[Kind, tuple[type, ...]], ...]] = (
    ("dict", (dict, Mapping)),
    ("list", (list, MutableSequence)),
    ("set", (set, MutableSet)),
)


def kind_of(value: Any) -> Kind | None:
    """Return as which kind of container a value is held, or None if it is none."""
    if isinstance(value, (bytearray, array)):
        return None
    return next((kind for kind, types in _KINDS if isinstance(value, types)), None)


def plain(value: Any) -> Any:
    """Return a deep copy of a container that is made of plain dicts, lists and sets; other values as they are."""
    kind = CONTAINERS.get(type(value))
    if kind == "dict":
        return {key: plain(item) for key, item in value.items()}
    if kind == "list":
        return [plain(item) for item in value]
    return set(value) if kind == "set" else value
