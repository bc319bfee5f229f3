"""Finding the part of a structure that cannot be written, to name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.errors import UnsupportedValue
from tinysync.tracked.adopt import place_of
from tinysync.tracked.plain import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def cannot_write(
    value: Any, steps: list[Any], dump: Callable[[Any], object], to: Path, error: Exception
) -> Exception:
    """Return what to raise for a value at ``steps`` below the root that could not be written to a file."""
    where = f"at {place_of(None, steps)}"
    while found := next(((place, part) for place, part in _parts(value) if not _passes(dump, part)), None):
        (is_key, step), value = found
        if is_key:
            where = f"as a key or element of {place_of(None, steps)}"
            break
        steps = [*steps, step]
        where = f"at {place_of(None, steps)}"
    return UnsupportedValue(f"a value cannot be written to {to}: {type(error).__name__}: {error} ({where})")


def _parts(value: Any) -> Iterator[tuple[tuple[bool, Any], Any]]:
    """Yield keys and elements (True), then the values of a dict or list with their steps."""
    kind = kind_of(value)
    if kind == "list":
        yield from (((False, index), item) for index, item in enumerate(value))
    elif kind is not None:
        yield from (((True, key), key) for key in value)
        if kind == "dict":
            yield from (((False, key), item) for key, item in value.items())


def _passes(dump: Callable[[Any], object], part: Any) -> bool:
    try:
        dump(part)
    except Exception:  # noqa: BLE001 - whatever it is, the part is found
        return False
    return True
