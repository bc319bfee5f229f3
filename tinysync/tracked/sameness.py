"""When are two values the same? Type-exactly: 1, 1.0 and True differ, and so do 0.0 and -0.0."""

from __future__ import annotations

from typing import Any

from tinysync.crdt.values import pack


def token(value: Any) -> Any:
    """Return something hashable that is equal for the same values only, live or plain, at any depth.

    The order of dicts and sets does not matter.
    """
    if type(value) in (str, int):
        return value
    if isinstance(value, dict):
        return "dict", frozenset((token(key), token(item)) for key, item in value.items())
    if isinstance(value, list):
        return "list", tuple(map(token, value))
    if isinstance(value, set):
        return "set", frozenset(map(token, value))
    return pack(value)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same."""
    return one is other or token(one) == token(other)
