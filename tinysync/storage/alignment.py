"""Which elements of two lists are the same element: equal ones first, then changed ones by likeness."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tinysync.shortest_edit import equal_pairs
from tinysync.storage.plain import identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Pair = tuple[int, int]
"""An index into the old list and one into the new list."""

_MAX_COMPARISONS: Final = 10_000
_SHARED: Final = 8.0
"""How much more wholly shared content says than a shared place."""


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
