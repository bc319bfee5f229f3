import copy
import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import KindMismatch
from tinysync.storage.merge import apply_edits
from tinysync.storage.plain import identity, readable_keys, to_readable

from .values import HASHABLE, LIVE, READABLE

ID = UUID(int=5)


def kind(value):
    return next(kind for kind in (dict, list, set) if isinstance(value, kind))


def merged(live, base, edited):
    live = copy.deepcopy(live)
    apply_edits(live, base, edited)
    return live


def has_ambiguous_keys(value):
    """Whether somewhere two keys have one readable name, which another key's coming or going could change."""
    if isinstance(value, (dict, set, frozenset)) and any(
        isinstance(name, str) and name.endswith(")") and type(key) is not str and "(" in name[1:]
        for name, key in readable_keys(value).items()
    ):
        return True
    inner = (
        value.values()
        if isinstance(value, dict)
        else value
        if isinstance(value, (list, set, tuple, frozenset))
        else ()
    )
    return any(has_ambiguous_keys(item) for item in inner)


class NormalMutators:
    """Containers that hold one to the mutators that the documentation lists."""

    class Dict(dict):
        clear = pop = popitem = update = setdefault = __ior__ = None

    class List(list):
        append = extend = insert = pop = remove = clear = sort = reverse = __iadd__ = __imul__ = None

    class Set(set):
        clear = pop = remove = update = difference_update = __ior__ = __isub__ = __iand__ = __ixor__ = None

    @classmethod
    def of(cls, value):
        if isinstance(value, dict):
            return cls.Dict({key: cls.of(item) for key, item in value.items()})
        if isinstance(value, list):
            return cls.List([cls.of(item) for item in value])
        return cls.Set(value) if isinstance(value, set) else value


EDITABLE = st.tuples(LIVE, READABLE).filter(lambda pair: kind(pair[0]) is kind(pair[1]))


@st.composite
def hand_edited(draw, value):
    """Return a readable value with a few things changed at any depth."""
    other = draw(READABLE)
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            choice = draw(st.integers(0, 5))
            if choice == 0:
                continue
            result[key] = draw(hand_edited(item)) if choice < 3 else item
        return {**result, **(other if isinstance(other, dict) else {})}
    if isinstance(value, list):
        result = []
        for item in value:
            choice = draw(st.integers(0, 6))
            if choice == 1:
                result.append(other)
            if choice:
                result.append(draw(hand_edited(item)) if choice < 4 else item)
        return result
    if isinstance(value, set):
        return {item for item in value if draw(st.booleans())} | (other if isinstance(other, set) else set())
    return draw(st.sampled_from([value, other, 1, 1.0, True, "1"]))


@settings(max_examples=many(60))
@given(st.data(), LIVE)
def test_a_file_edited_while_nothing_else_changed_is_what_one_gets(data, live):
    base = to_readable(live)
    edited = data.draw(hand_edited(base))
    live = NormalMutators.of(live)
    apply_edits(live, base, edited)
    assert has_ambiguous_keys(live) or identity(to_readable(live)) == identity(edited)


@settings(max_examples=many(60))
@given(EDITABLE)
def test_so_is_a_file_that_has_nothing_to_do_with_it(pair):
    live, edited = pair
    for base in (to_readable(live), None):
        got = merged(live, base, edited)
        assert has_ambiguous_keys(got) or identity(to_readable(got)) == identity(edited)


@settings(max_examples=many(60))
@given(LIVE)
def test_an_unedited_file_changes_nothing(live):
    untouched = copy.deepcopy(live)
    apply_edits(live, to_readable(live), to_readable(live))
    assert repr(live) == repr(untouched) or live == untouched


@settings(max_examples=many(60))
@given(st.data(), READABLE, LIVE)
def test_whatever_the_three_are_it_ends_and_the_edit_is_in(data, base, live):
    assume(kind(base) is kind(live))
    edited = data.draw(hand_edited(base))
    before = {identity(name) for name in base} if not isinstance(base, list) else set()
    got = to_readable(merged(live, base, edited))
    if isinstance(edited, dict):
        for name, value in edited.items():
            if identity(name) not in before and not isinstance(value, (dict, set)):
                assert identity(got[name]) == identity(value)
    if isinstance(edited, set):
        assert all(name in got for name in edited if identity(name) not in before)


@settings(max_examples=many(60))
@given(
    base=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6),
    ours=st.dictionaries(st.sampled_from("abc"), st.integers(4, 9) | st.none(), max_size=3),
    theirs=st.dictionaries(st.sampled_from("def"), st.integers(4, 9) | st.none(), max_size=3),
)
def test_disjoint_edits_of_a_dict_both_survive(base, ours, theirs):
    def change(value, *edits):
        value = dict(value)
        for key, item in (pair for edit in edits for pair in edit.items()):
            if item is None:
                value.pop(key, None)
            else:
                value[key] = item
        return value

    assert merged(change(base, ours), base, change(base, theirs)) == change(base, ours, theirs)


@settings(max_examples=many(60))
@given(st.integers(0, 6), st.lists(st.integers(0, 12), max_size=4), st.lists(st.integers(0, 12), max_size=4))
def test_insertions_and_deletions_in_lists_both_survive(size, ours, theirs):
    base = [f"base {n}" for n in range(size)]

    def change(name, places):
        value, deleted = list(base), set()
        for n, place in enumerate(places):
            if place > 8 and value:
                deleted.add(value.pop(place % len(value)))
            else:
                value.insert(place % (len(value) + 1), f"{name} {n}")
        return value, {item for item in deleted if item in base}

    # Deleting next to an insertion looks like a change of the element, which is a conflict: keep them apart.
    (live, gone), (edited, gone_too) = change("live", [p for p in ours if p <= 8]), change("file", theirs)
    got = merged(live, base, edited)
    assert sorted(set(got)) == sorted(got)
    inserted = {item for item in live + edited if item not in base}
    if not gone_too:
        assert set(got) == set(base) - gone | inserted
        assert [item for item in got if item in base] == base
        assert [item for item in got if item in edited] == edited


@pytest.mark.parametrize(
    ("live", "base", "edited", "expected"),
    [
        # a value that both changed: the file wins
        ({"a": 2}, {"a": 1}, {"a": 3}, {"a": 3}),
        ({"a": {"x": 2, "y": 2}}, {"a": {"x": 1, "y": 1}}, {"a": {"x": 3, "y": 1}}, {"a": {"x": 3, "y": 2}}),
        # deleted on one side
        ({}, {"a": 1}, {"a": 2}, {"a": 2}),
        ({}, {"a": {"x": 1, "y": 2}}, {"a": {"x": 5, "y": 2}}, {"a": {"x": 5, "y": 2}}),
        ({}, {"a": 1}, {"a": 1}, {}),
        ({"a": 2}, {"a": 1}, {}, {}),
        # made on both
        ({"a": {"x": 1}}, {}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": {1}}, {}, {"a": {2}}, {"a": {1, 2}}),
        ({"a": [1, 2]}, {}, {"a": [1, 3]}, {"a": [1, 3]}),
        ({"a": {"x": 1}}, {"a": 0}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": {"x": 1}}, {"a": 0}, {"a": 1}, {"a": 1}),
        # kinds that changed
        ({"a": {"x": 1}}, {"a": {"x": 1}}, {"a": ["x"]}, {"a": ["x"]}),
        ({"a": [1]}, {"a": [1]}, {"a": None}, {"a": None}),
        # lists
        ([1, 2], [1], [1, 3], [1, 3, 2]),
        ([0, 1], [1], [9, 1], [9, 0, 1]),
        ([2, 3], [1, 2, 3], [1, 2, 4], [2, 4]),
        ([1, 2, 3], [1, 2, 3], [3], [3]),
        ([1, 3], [1, 2, 3], [1, 2, 3, 4], [1, 3, 4]),
        ([1, 3], [1, 2, 3], [1, 20, 3], [1, 20, 3]),
        ([1, 20, 3], [1, 2, 3], [1, 3], [1, 3]),
        ([1, 2, 3], [1, 2, 3], [1, "new", 3], [1, "new", 3]),
        ([5, 5, 5], [5, 5], [5], [5, 5]),
        # a crash between writing the file and noting it, and then a hand edit: nothing is doubled
        ([1, 2], [1], [1, 2, 3], [1, 2, 3]),
        (["a", "b", "c"], ["b"], ["a", "b", "c", "d"], ["a", "b", "c", "d"]),
        # a record edited on both sides, and new ones on both
        (
            [{"id": 1, "x": 1, "y": 9}, {"id": 3}],
            [{"id": 1, "x": 1, "y": 1}],
            [{"id": 2}, {"id": 1, "x": 9, "y": 1}],
            [{"id": 2}, {"id": 1, "x": 9, "y": 9}, {"id": 3}],
        ),
        # sets
        ({1, 2, 4}, {1, 2, 3}, {1, 3, 5}, {1, 4, 5}),
        # one key of another type
        ({1: "a"}, {1: "a"}, {True: "a"}, {True: "a"}),
        ({1}, {1}, {1.0}, {1.0}),
    ],
)
def test_merges(live, base, edited, expected):
    got = merged(live, base, edited)
    assert identity(got) == identity(expected)


def test_untouched_values_keep_what_the_file_cannot_say():
    live = {"price": Decimal("1.50"), "size": (1, 2), (1, 2): {ID}, "list": [(1,), Decimal(2), 3], "n": 1}
    base = to_readable(live)
    edited = copy.deepcopy(base)
    edited["n"] = 2
    edited["list"][2] = 4
    got = merged(live, base, edited)
    assert got == {"price": Decimal("1.50"), "size": (1, 2), (1, 2): {ID}, "list": [(1,), Decimal(2), 4], "n": 2}
    assert isinstance(got["list"][1], Decimal)
    assert str(got["price"]) == "1.50"


def test_touched_values_keep_their_type_where_the_file_says_the_same():
    live = {"price": Decimal("1.5"), "size": (1, 2), "at": dt.time(12), (1, 2): "x"}
    got = merged(live, None, {"price": 2.5, "size": [1, 3], "at": "13:00:00", "(1, 2)": "y"})
    assert got == {"price": Decimal("2.5"), "size": (1, 3), "at": dt.time(13), (1, 2): "y"}
    assert isinstance(got["price"], Decimal)


def test_keys_go_by_their_readable_names():
    live = {(1, 2): 1, ID: 2, None: 3}
    got = merged(live, to_readable(live), {str(ID): 2, None: 4, "(3, 4)": 5})
    assert got == {ID: 2, None: 4, "(3, 4)": 5}


def test_untouched_containers_stay_the_same_objects():
    live = {"a": {"x": 1}, "b": [{"y": 1}, {"z": 1}], "c": {"deep": {"w": 1}}}
    before = live["a"], live["b"], live["b"][0], live["b"][1], live["c"]["deep"]
    base = to_readable(live)
    edited = copy.deepcopy(base)
    edited["b"].insert(0, {"new": 1})
    edited["b"][2]["z"] = 2
    edited["c"]["other"] = 1
    apply_edits(live, base, edited)
    after = live["a"], live["b"], live["b"][1], live["b"][2], live["c"]["deep"]
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert live == edited


@pytest.mark.parametrize(
    ("live", "edited"), [({}, []), ([], {}), (set(), []), ({}, set()), ([], "text"), ({}, None)]
)
def test_a_root_of_another_kind_is_refused(live, edited):
    with pytest.raises(KindMismatch, match="where the structure is a"):
        apply_edits(live, to_readable(live), edited)


def test_a_large_list_is_merged_as_quickly_as_it_is_compared():
    live = [{"id": n, "name": f"record {n}"} for n in range(3000)]
    base = to_readable(live)
    edited = copy.deepcopy(base)
    edited[5]["name"] = "changed"
    del edited[100:200]
    edited[1000:1000] = [{"id": -n} for n in range(50)]
    apply_edits(live, base, edited)
    assert live == edited
    wholly_other = [{"id": n, "name": f"other {n}"} for n in range(3000, 6000)]
    apply_edits(live, edited, wholly_other)
    assert live == wholly_other


@settings(max_examples=many(60))
@given(st.sets(HASHABLE, max_size=6), st.data())
def test_sets_lose_and_gain_exactly_what_the_file_did(live, data):
    base = to_readable(live)
    edited = {name for name in base if data.draw(st.booleans())} | {"added by hand"}
    got = merged(live, base, edited)
    names = readable_keys(live)
    assert got == {names[name] for name in edited if name in names} | {"added by hand"}
