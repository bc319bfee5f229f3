from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.shortest_edit import equal_pairs
from tinysync.storage.alignment import same_element_pairs

FEW = st.lists(st.integers(0, 3), max_size=10)


def longest_common(old, new):
    table = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i, a in enumerate(old):
        for j, b in enumerate(new):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def increasing(pairs):
    return all(i < next_i and j < next_j for (i, j), (next_i, next_j) in pairwise(pairs))


@settings(max_examples=many(500))
@given(FEW, FEW)
def test_equal_pairs_are_a_longest_common_subsequence(old, new):
    pairs = equal_pairs(old, new)
    assert all(old[i] == new[j] for i, j in pairs)
    assert increasing(pairs)
    assert len(pairs) == longest_common(old, new)


@settings(deadline=None)
@given(FEW, FEW)
def test_same_elements_are_the_equal_ones_and_the_changed_between(old, new):
    pairs = same_element_pairs(old, new)
    assert increasing(pairs)
    assert set(equal_pairs(old, new)) <= set(pairs)
    assert len(pairs) <= min(len(old), len(new))


def test_a_changed_record_is_told_from_a_new_one():
    a, b = {"name": "a", "done": False, "n": 1}, {"name": "b", "done": False, "n": 2}
    new = {"name": "new", "done": False, "n": 3}
    assert same_element_pairs([a, b], [new, {**a, "done": True}, b]) == [(0, 1), (1, 2)]
    assert same_element_pairs([a, b], [{**b, "n": 5}]) == [(1, 0)]


def test_long_lists_with_few_differences_are_matched_whole():
    old = list(range(100_000))
    new = [x for x in old if x % 1000] + [-1]
    assert len(equal_pairs(old, new)) == 100_000 - 100


def test_long_lists_with_nothing_in_common_are_given_up():
    old = [0, 1] * 20_000
    new = ["same start", *range(2, 30_000), "same end"]
    pairs = equal_pairs(["same start", *old, "same end"], new)
    assert pairs == [(0, 0), (40_001, len(new) - 1)]
