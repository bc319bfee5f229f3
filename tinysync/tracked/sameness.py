"""When are two values the same? Type-exactly: 1, 1.0 and True differ, and so do 0.0 and -0.0."""

from __future__ import annotations

from typing import Any

from tinysync.crdt.values import pack
from tinysync.errors import UsageError
from tinysync.tracked.plain import CONTAINERS


def token(value: Any) -> Any:
    """Return something hashable that is equal for the same values only, live or plain, at any depth.

    The order of dicts and sets does not matter.
    """
    if type(value) in (str, int):
        return value
    kind = CONTAINERS.get(type(value))
    if kind == "dict":
        return "dict", frozenset((token(key), token(item)) for key, item in value.items())
    if kind == "list":
        return "list", tuple(map(token, value))
    if kind == "set":
        return "set", frozenset(map(token, value))
    try:
        return pack(value)
    except UsageError:
        # An object that only a structure without a document holds: who assigns it again may have changed it.
        return object()


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same."""
    return bool(token(one) == token(other))
