"""Path patterns: which changes a callback for a part of the structure is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinysync.model import Path

    Literals = tuple[Any, ...]
    States = frozenset[int]

ONE: Final = "*"
ANY: Final = "**"

_INT = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)


@dataclass(slots=True)
class Touched:
    """What one edit of a container did, as patterns see it.

    ``entries`` are (key or index or set element, value) for each value that it took out and each that it put in.
    Elements of a list from ``shift_start`` on have moved up or down by ``shift`` places; ``items`` is the list
    as it is now.
    """

    path: Path
    entries: list[tuple[Any, Any]]
    shift_start: int = 0
    shift: int = 0
    items: Sequence[Any] = ()


class Pattern:
    """A parsed path pattern: see ``Tracker.on`` for the language.

    It is matched like a regular expression over steps: a set of positions in the pattern, advanced step by step.
    """

    __slots__ = ("_end", "_start", "_steps")

    def __init__(self, steps: Sequence[str | Literals]) -> None:
        self._steps = tuple(steps)
        self._end = len(self._steps)
        self._start = self._closed({0})

    def matches(self, touched: Touched) -> bool:
        """Tell whether an edit changed something that the pattern is about."""
        states = self._start
        for step in touched.path:
            if self._end in states:
                return True
            states = self._after(states, step)
        if self._end in states:
            return True
        return bool(states) and (
            any(self._reaches(self._after(states, step), value) for step, value in touched.entries)
            or (touched.shift != 0 and self._is_shifted(states, touched))
        )

    def _is_shifted(self, states: States, touched: Touched) -> bool:
        """Tell whether another element now stands at an index that the pattern names."""
        items, shift = touched.items, touched.shift
        for index in self._named(states):
            if type(index) is not int or not touched.shift_start <= index < len(items) + max(-shift, 0):
                continue
            after = self._after(states, index)
            # What stands there now, and what stood there: that is by now where it moved to.
            if any(
                self._reaches(after, items[place]) for place in (index, index + shift) if 0 <= place < len(items)
            ):
                return True
        return False

    def _reaches(self, states: States, value: Any) -> bool:
        """Tell whether the pattern ends at a value or somewhere inside it."""
        if self._end in states:
            return True
        if not states or not isinstance(value, (dict, list, set)):
            return False
        return any(self._reaches(self._after(states, step), item) for step, item in self._inside(states, value))

    def _inside(self, states: States, value: Any) -> Iterator[tuple[Any, Any]]:
        """Return the entries of a container that the pattern may go on with."""
        if any(self._steps[state] in {ONE, ANY} for state in states):
            if isinstance(value, dict):
                yield from value.items()
            elif isinstance(value, list):
                yield from enumerate(value)
            else:
                yield from ((element, None) for element in value)
            return
        for key in self._named(states):
            if isinstance(value, list):
                if type(key) is int and 0 <= key < len(value):
                    yield key, value[key]
            elif key in value:
                yield key, value[key] if isinstance(value, dict) else None

    def _named(self, states: States) -> Iterator[Any]:
        for state in states:
            step = self._steps[state] if state < self._end else ANY
            if not isinstance(step, str):
                yield from step

    def _after(self, states: States, step: Any) -> States:
        found = set()
        for state in states:
            if state == self._end:
                continue
            wanted = self._steps[state]
            if wanted == ANY:
                found.add(state)
            elif wanted == ONE or step in wanted:
                found.add(state + 1)
        return self._closed(found)

    def _closed(self, states: set[int]) -> States:
        """Add the positions behind each ``**``, which may stand for no step at all."""
        for state in sorted(states):
            following = state
            while following < self._end and self._steps[following] == ANY:
                following += 1
                states.add(following)
        return frozenset(states)


def parse_pattern(pattern: str | Sequence[Any]) -> Pattern:
    """Return the pattern that a str like 'servers/*/port', or a list or tuple of steps, stands for.

    Raises UsageError if it is none.
    """
    if isinstance(pattern, str):
        steps = pattern.split("/") if pattern else []
        if "" in steps:
            raise UsageError(
                f"the path pattern {pattern!r} has an empty step; write it without a '/' at either end, and give "
                "a key that is empty or contains '/' in a list of steps: ['servers', 'a/b', 'port']",
            )
        return Pattern([step if step in {ONE, ANY} else _literals(step) for step in steps])
    if not isinstance(pattern, (list, tuple)):
        raise UsageError(f"a path pattern is a str like 'servers/*/port' or a list of steps, not {pattern!r}")
    try:
        hash(tuple(pattern))
    except TypeError:
        raise UsageError(f"the path pattern {pattern!r} has a step that cannot be a key") from None
    return Pattern([step if isinstance(step, str) and step in {ONE, ANY} else (step,) for step in pattern])


def _literals(text: str) -> Literals:
    """Return the keys that a step of a str pattern stands for: '0' is an index, or a key that is a str or int."""
    return (text, int(text)) if _INT.fullmatch(text) and len(text) < 20 else (text,)
