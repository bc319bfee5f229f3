"""dictdiffer's diff, made exact: without it 1 and True, 1.0 and 1, or floats that are close, are no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dictdiffer

from tinysync.tracked.sameness import token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.model import Path

    Item = tuple[str, Path, Any]
    """('change', path, (old, new)), or ('add' or 'remove', path of the container, [(key, value), ...])."""


class _Exact:
    """A value that is equal only to what is the same, type included."""

    __slots__ = ("value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Exact):
            return False
        one, two = self.value, other.value
        return one is two or (type(one) is type(two) and bool(token(one) == token(two)))

    def __deepcopy__(self, memo: object) -> _Exact:
        return self


def exact_diff(first: Any, second: Any, path: Path) -> Iterator[Item]:
    """Return the differences of two values at a path, as dictdiffer does.

    Dicts are compared key by key, lists index by index. Keys and set elements are compared as dicts and sets do
    it: 1 and True are one. What is in the result is plain, and nobody else's.
    """
    for action, node, changes in dictdiffer.diff(_wrapped(first), _wrapped(second), path, dot_notation=False):
        if action == "change":
            yield action, node, tuple(map(_unwrapped, changes))
        else:
            yield action, node, [(key, _unwrapped(value)) for key, value in changes]


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _wrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_wrapped(item) for item in value]
    return set(value) if isinstance(value, set) else _Exact(value)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    return value.value if isinstance(value, _Exact) else value
