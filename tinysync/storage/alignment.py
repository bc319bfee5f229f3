"""Which elements of two lists are the same element: equal ones by Myers' greedy diff, changed ones by likeness."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tinysync.storage.plain import identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Pair = tuple[int, int]
"""An index into the old list and one into the new list."""

_MAX_STEPS: Final = 2_000_000
_MAX_COMPARISONS: Final = 10_000
_SHARED: Final = 8.0
"""How much more wholly shared content says than a shared place."""


def equal_pairs(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Pair]:
    """Return the pairs of a longest common subsequence, from left to right.

    Of sequences that differ in thousands of places, only the common beginning and end are returned: finding the
    rest would take too long.
    """
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    middle = _myers(old[head : len(old) - tail], new[head : len(new) - tail])
    return [
        *((i, i) for i in range(head)),
        *((i + head, j + head) for i, j in middle),
        *((len(old) - i, len(new) - i) for i in range(tail, 0, -1)),
    ]


def same_element_pairs(old: Sequence[Any], new: Sequence[Any]) -> list[Pair]:
    """Return which readable values in two lists are the same element, perhaps changed, from left to right."""
    equal = equal_pairs([identity(item) for item in old], [identity(item) for item in new])
    pairs: list[Pair] = []
    for (i, j), (next_i, next_j) in pairwise([(-1, -1), *equal, (len(old), len(new))]):
        changed = _alike_pairs(old[i + 1 : next_i], new[j + 1 : next_j])
        pairs += ((i + 1 + a, j + 1 + b) for a, b in changed)
        if next_i < len(old):
            pairs.append((next_i, next_j))
    return pairs


def _myers(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Pair]:
    """Return the pairs of a longest common subsequence, or none if it takes too long to find."""
    steps = 0
    # How far into old a number of edits leads on each diagonal (index in old less index in new).
    reached: dict[int, int] = {1: 0}
    trail: list[dict[int, int]] = []
    while steps < _MAX_STEPS:
        distance = len(trail)
        trail.append(reached)
        reached = {}
        for diagonal in range(-distance, distance + 1, 2):
            x, _ = _enter(trail[-1], diagonal)
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y, steps = x + 1, y + 1, steps + 1
            if x == len(old) and y == len(new):
                return _walk_back(trail, diagonal, x)
            reached[diagonal] = x
        steps += distance + 1
    return []


def _enter(reached: dict[int, int], diagonal: int) -> Pair:
    """Return where a diagonal is entered by one more edit, and the diagonal that it comes from."""
    deleted = reached.get(diagonal - 1, -1) + 1
    inserted = reached.get(diagonal + 1, -1)
    return (deleted, diagonal - 1) if deleted > inserted else (inserted, diagonal + 1)


def _walk_back(trail: list[dict[int, int]], diagonal: int, x: int) -> list[Pair]:
    pairs: list[Pair] = []
    for reached in reversed(trail):
        entered, previous = _enter(reached, diagonal)
        pairs += ((i, i - diagonal) for i in range(x - 1, entered - 1, -1))
        x = entered - 1 if previous < diagonal else entered
        diagonal = previous
    pairs.reverse()
    return pairs


def _alike_pairs(old: Sequence[Any], new: Sequence[Any]) -> list[Pair]:
    """Pair up the values of two stretches that have nothing equal, so that what is paired is most alike.

    None are paired if the stretches are long: then nothing tells which are the same element.
    """
    if not old or not new or len(old) * len(new) > _MAX_COMPARISONS:
        return []
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    likeness = [[_likeness(a, b) for b in new] for a in old]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            best[i][j] = max(likeness[i][j] + best[i + 1][j + 1], best[i + 1][j], best[i][j + 1])
    pairs: list[Pair] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if best[i][j] == likeness[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(a: Any, b: Any) -> float:
    """Return 1 for values that share nothing but their place, more the more content two containers share."""
    if type(a) is not type(b) or not isinstance(a, (dict, list, set)):
        return 1.0
    shared = (_parts(a) & _parts(b)).total()
    return 1.0 + _SHARED * shared / max(len(a), len(b), 1)


def _parts(container: Any) -> Counter[Hashable]:
    if isinstance(container, dict):
        return Counter((identity(key), identity(value)) for key, value in container.items())
    return Counter(map(identity, container))
