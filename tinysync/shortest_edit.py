"""The shortest way from one sequence to another, by Myers' greedy algorithm."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

WORK_LIMIT: Final = 200_000
"""Steps, besides four for each element, after which the sequences count as wholly different."""


class Hunk(NamedTuple):
    """``old[old_start:old_stop]`` becomes ``new[new_start:new_stop]``."""

    old_start: int
    old_stop: int
    new_start: int
    new_stop: int


def equal_pairs(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the pairs of indices of a longest common subsequence, from left to right.

    Of sequences that have little in common, so that it would take long to find, only the common beginning and end
    are returned.
    """
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    middle = _common_pairs(old[head : len(old) - tail], new[head : len(new) - tail])
    return [
        *((i, i) for i in range(head)),
        *((i + head, j + head) for i, j in middle),
        *((len(old) - i, len(new) - i) for i in range(tail, 0, -1)),
    ]


def hunks(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Hunk]:
    """Return what has to change in ``old`` for it to become ``new``, from left to right.

    Elements are compared by ``==``. Sequences that have little in common, so that the shortest way would take long
    to find, are one hunk, without their common beginning and end.
    """
    ends = [(-1, -1), *equal_pairs(old, new), (len(old), len(new))]
    between = [Hunk(i + 1, next_i, j + 1, next_j) for (i, j), (next_i, next_j) in pairwise(ends)]
    return [hunk for hunk in between if hunk.old_start < hunk.old_stop or hunk.new_start < hunk.new_stop]


def _common_pairs(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    numbers = {item: number for number, item in enumerate(set(old) & set(new))}
    in_old = [i for i, item in enumerate(old) if item in numbers]
    in_new = [j for j, item in enumerate(new) if item in numbers]
    pairs = _longest_common([numbers[old[i]] for i in in_old], [numbers[new[j]] for j in in_new])
    return [(in_old[i], in_new[j]) for i, j in pairs]


def _longest_common(old: list[int], new: list[int]) -> list[tuple[int, int]]:
    """Return the pairs of indices of a longest common subsequence, or none if it takes too long to find."""
    work = WORK_LIMIT + 4 * (len(old) + len(new))
    # reached[d][i]: how far in ``old`` one gets by d insertions and deletions on diagonal 2 * i - d, where the
    # number of a diagonal is the index in ``old`` less the one in ``new``.
    reached: list[list[int]] = []
    while work > 0:
        distance = len(reached)
        row: list[int] = []
        for i in range(distance + 1):
            start = x = _entered(reached[-1], i, distance) if reached else 0
            y = x - (2 * i - distance)
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y = x + 1, y + 1
            row.append(x)
            work -= 1 + x - start
            if x >= len(old) and y >= len(new):
                return _walked_back([*reached, row], i)
        reached.append(row)
    return []


def _entered(before: list[int], i: int, distance: int) -> int:
    """Return where a diagonal is entered: by an insertion from the one above or a deletion from the one below."""
    if i == 0 or (i < distance and before[i - 1] < before[i]):
        return before[i]
    return before[i - 1] + 1


def _walked_back(reached: list[list[int]], i: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for distance in range(len(reached) - 1, -1, -1):
        before = reached[distance - 1] if distance else []
        entered = _entered(before, i, distance) if distance else 0
        diagonal = 2 * i - distance
        pairs.extend((x, x - diagonal) for x in range(reached[distance][i] - 1, entered - 1, -1))
        inserted = i == 0 or (i < distance and before[i - 1] < before[i])
        i = i if inserted else i - 1
    pairs.reverse()
    return pairs
