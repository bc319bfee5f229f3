"""Large updates are cut into portions that come to the same, and cost the engine no more than they should."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.document.edits import edits
from tests.document.encoding import TRUE, beside, deletions, element, entry, string, update, values
from tests.document.replicas import Replica, same, settle
from tests.lengths import many
from tinysync.crdt import portions as cutting
from tinysync.crdt.check import check_update
from tinysync.crdt.portions import MAX_JOINED, PORTION_PARTS, TRANSACTION_PARTS, portions
from tinysync.errors import BadUpdate

START = {"a": {"b": 1, "c": [1, {"a": [2]}, [3]]}, "b": [1, 2, 3], "c": {1, "x"}}


@given(st.lists(edits, max_size=15), st.integers(1, 12))
@settings(max_examples=many(60))
def test_the_portions_of_an_update_come_to_the_same(done, parts):
    one, other = Replica(START), Replica({"d": [1]}, version=1)
    for number, edit in enumerate(done):
        edit.on((one, other)[number % 2].root)
        if number % 5 == 0:
            settle(one, other)
    settle(one, other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "SMALL_UPDATE", 0)
        patch.setattr(cutting, "PORTION_PARTS", parts)
        cut = list(portions([], one.document.diff()))
    fresh = Replica({})
    for portion in cut:
        assert sum(check_update(piece).parts for piece in portion) <= 2 * parts
        fresh.document.show(fresh.document.receive(portion))
        fresh.check()
        assert fresh.document.is_complete()
    other.pull(fresh)
    fresh.pull(other)
    assert same(fresh.root, one.root)


def roundtrip(evil, *, made_in_one_go=False):
    """Apply an update in portions and as it is; the same shows."""
    cut = list(portions([[evil]]) if made_in_one_go else portions([], [evil]))
    one, other = (Replica({"l": [0]}) for _ in range(2))
    for portion in cut:
        one.document.show(one.document.receive(portion))
    other.document.show(other.document.receive([evil]))
    assert same(one.root, other.root)
    one.check()
    return cut


LIST = Replica({"l": [0]}).root["l"]._node.id


def test_many_values_are_cut():
    count = 3 * PORTION_PARTS
    cut = roundtrip(update(element(values(*[string(str(n)) for n in range(count)]), root=f"l:{LIST}")))
    assert len(cut) == 3
    assert max(check_update(piece).parts for piece in chain(*cut)) <= PORTION_PARTS + 1


def test_many_blocks_that_could_be_one_are_joined():
    blocks = [element(TRUE, root=f"l:{LIST}"), *(beside(TRUE, left=(1, n)) for n in range(1999))]
    ((joined,),) = roundtrip(update(*blocks))
    assert check_update(joined).parts == 2001
    assert check_update(joined).joinable <= MAX_JOINED


def test_blocks_of_others_come_first():
    blocks = [element(TRUE, root=f"l:{LIST}"), *(beside(TRUE, left=(2, n)) for n in range(999))]
    others = [beside(TRUE, left=(1, n)) for n in range(1000)]
    both = b"\x02" + update(*blocks)[1:-1] + update(*others, client=2)[1:]
    roundtrip(both)


def test_many_entries_and_deletions_are_cut():
    count = 2 * PORTION_PARTS
    gone = deletions(*[(client, 0, 1) for client in range(5, 5 + count)])
    cut = list(portions([], [update(*[entry(TRUE, key=f"x/{n}") for n in range(count)], deleted=gone)]))
    assert len(cut) == 6
    infos = [check_update(piece) for piece in chain(*cut)]
    assert sum(info.parts for info in infos) == 3 * count
    assert sum(len(info.needs) for info in infos) == count


def test_small_updates_stay_together_and_as_they_are():
    small = [update(entry(TRUE, key=f"x/{n}"), client=n) for n in range(5000)]
    cut = list(portions([], small))
    assert [*chain(*cut)] == small
    assert 2 < len(cut) < 50
    assert list(portions([], [])) == []


def test_what_was_made_in_one_go_stays_one():
    count = 3 * PORTION_PARTS
    apart = [entry(TRUE, key=f"x/{n}") for n in range(count)]
    gone = deletions(*[(client, 0, 1) for client in range(5, 5 + count)])
    many_values = [element(values(*[TRUE[2:]] * count), root=f"l:{LIST}")]
    large = [update(*apart, deleted=gone), update(*many_values, client=2)]
    small = [update(entry(TRUE, key="y"), client=n) for n in range(3, 5)]
    cut = list(portions([[small[0]], large, [small[1]]], [update(*apart, client=6)]))
    assert cut[:2] == [[small[0]], large]
    assert cut[2][0] == small[1]
    assert all(sum(check_update(piece).parts for piece in portion) <= PORTION_PARTS + 3 for portion in cut[2:])


def test_what_was_made_in_one_go_is_cut_if_it_is_enormous():
    evil = update(element(values(*[b"\x78"] * (TRANSACTION_PARTS + 1)), root=f"l:{LIST}"))
    cut = roundtrip(evil, made_in_one_go=True)
    assert max(check_update(piece).parts for piece in chain(*cut)) <= PORTION_PARTS + 1
    joined = [element(TRUE, root=f"l:{LIST}"), *(beside(TRUE, left=(1, n)) for n in range(2 * PORTION_PARTS))]
    (cut,) = roundtrip(update(*joined), made_in_one_go=True)
    assert sum(check_update(piece).joinable for piece in cut) <= MAX_JOINED


@pytest.mark.parametrize(
    "evil",
    [b"\x00" * 5000, update(element(values(*[b"\x78"] * 4_000_000)))],
    ids=["not an update", "too many parts"],
)
def test_what_cannot_be_taken_is_refused(evil):
    with pytest.raises(BadUpdate):
        list(portions([[evil]]))
    with pytest.raises(BadUpdate):
        list(portions([], [evil]))
