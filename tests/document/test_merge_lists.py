"""What becomes of lists that two devices change offline."""

from __future__ import annotations

import pytest


def test_appends_on_both_are_all_there(pair):
    a, b = pair.start({"l": [1]})
    a.l.append("a")
    b.l.append("b")
    result = pair.exchange()
    assert result.l in ([1, "a", "b"], [1, "b", "a"])
    pair.finish(result.__subject__)


def test_inserts_at_different_places_keep_their_places(pair):
    a, b = pair.start([1, 2, 3, 4])
    a.insert(1, "a")
    b.insert(3, "b")
    pair.finish([1, "a", 2, 3, "b", 4])


def test_a_run_of_inserts_stays_together(pair):
    a, b = pair.start([0])
    a.extend([1, 2, 3])
    b.extend([4, 5, 6])
    result = pair.exchange()
    assert result in ([0, 1, 2, 3, 4, 5, 6], [0, 4, 5, 6, 1, 2, 3])
    pair.finish(result.__subject__)


def test_a_list_created_with_content_on_both_is_one_of_them(pair):
    a, b = pair.start({})
    a.l = [1, 2]
    b.l = [1, 2]
    pair.finish({"l": [1, 2]})


def test_a_list_created_empty_on_both_merges(pair):
    a, b = pair.start({})
    a.l = []
    a.l.append(1)
    b.l = []
    b.l.append(2)
    result = pair.exchange()
    assert result.l in ([1, 2], [2, 1])
    pair.finish(result.__subject__)


def test_a_list_created_empty_and_filled_in_one_transaction_merges_too(pair):
    a, b = pair.start({})
    for root, value in ((a, 1), (b, 2)):
        with root:
            root.l = []
            root.l.append(value)
    result = pair.exchange()
    assert sorted(result.l) == [1, 2]
    pair.finish(result.__subject__)


def test_the_same_slot_assigned_on_both_has_one_value(pair):
    a, b = pair.start([1, 2, 3])
    a[1] = "a"
    b[1] = "b"
    pair.finish([1, "a" if pair.winner is pair.a else "b", 3])


def test_the_same_slot_assigned_on_both_with_containers_has_one_of_them(pair):
    a, b = pair.start([1, 2, 3])
    a[1] = {"a": 1}
    b[1] = ["b"]
    pair.finish([1, {"a": 1} if pair.winner is pair.a else ["b"], 3])


def test_a_slot_assigned_while_others_are_inserted_before_it(pair):
    a, b = pair.start([1, 2, 3])
    a[2] = "a"
    b[:0] = ["x", "y"]
    pair.finish(["x", "y", 1, 2, "a"])


def test_the_same_element_moved_on_both_is_there_once(pair):
    a, b = pair.start([1, 2, 3, 4, 5])
    a.move(0, 4)
    b.move(0, 2)
    result = pair.exchange()
    assert result in ([2, 3, 4, 5, 1], [2, 3, 1, 4, 5])
    pair.finish(result.__subject__)


def test_the_later_of_two_moves_of_one_element_wins(pair):
    a, b = pair.start([1, 2, 3, 4])
    a.move(0, 3)
    b.move(1, 0)
    b.move(1, 0)
    b.move(0, 2)
    result = pair.exchange()
    assert sorted(result) == [1, 2, 3, 4]
    pair.finish(result.__subject__)


def test_different_elements_moved_on_both(pair):
    a, b = pair.start([1, 2, 3, 4, 5])
    a.move(0, 4)
    b.move(4, 0)
    result = pair.exchange()
    assert sorted(result) == [1, 2, 3, 4, 5]
    assert [value for value in result if value in (2, 3, 4)] == [2, 3, 4]
    pair.finish(result.__subject__)


def test_a_move_and_an_assignment_at_once_both_take_effect(pair):
    a, b = pair.start([1, 2, 3])
    a.move(0, 2)
    b[0] = "new"
    pair.finish([2, 3, "new"])


def test_a_sort_and_assignments_at_once_both_take_effect(pair):
    a, b = pair.start([3, 1, 2])
    a.sort()
    b[0] = "three"
    b[1] = "one"
    pair.finish(["one", 2, "three"])


def test_a_sort_and_a_reverse_keep_every_element_once(pair):
    a, b = pair.start([3, 1, 2, 5, 4])
    a.sort()
    b.reverse()
    result = pair.exchange()
    assert sorted(result) == [1, 2, 3, 4, 5]
    pair.finish(result.__subject__)


def test_a_delete_wins_over_a_move(pair):
    a, b = pair.start([1, 2, 3])
    del a[0]
    b.move(0, 2)
    pair.finish([2, 3])


def test_a_delete_wins_over_an_assignment(pair):
    a, b = pair.start([1, 2, 3])
    del a[0]
    b[0] = "new"
    pair.finish([2, 3])


def test_a_delete_wins_over_a_move_and_an_assignment(pair):
    a, b = pair.start([1, 2, 3])
    a.remove(1)
    b.move(0, 2)
    b[2] = "new"
    pair.finish([2, 3])
    pair.a.root.append(4)
    pair.b.root.insert(0, 0)
    pair.finish([0, 2, 3, 4])


def test_the_same_element_deleted_on_both_is_deleted_once(pair):
    a, b = pair.start([1, 2, 3])
    del a[1]
    del b[1]
    pair.finish([1, 3])


def test_an_element_that_was_moved_before_is_deleted_on_one_and_moved_again_on_the_other(pair):
    a, b = pair.start([1, 2, 3, 4])
    a.move(0, 3)
    pair.exchange()
    pair.begin_sessions()
    a.pop()
    b.move(3, 1)
    pair.finish([2, 3, 4])


def test_a_dict_in_a_list_is_edited_while_it_is_moved(pair):
    a, b = pair.start([{"n": 1}, {"n": 2}, {"n": 3}])
    a.move(0, 2)
    b[0].n = "one"
    b[0].more = {"x": [1]}
    pair.finish([{"n": 2}, {"n": 3}, {"n": "one", "more": {"x": [1]}}])


def test_a_dict_in_a_list_is_deleted_while_it_is_edited(pair):
    a, b = pair.start([{"n": 1}, {"n": 2}])
    del a[0]
    b[0].n = "one"
    pair.finish([{"n": 2}])


def test_a_dict_in_a_list_is_moved_edited_and_deleted(pair):
    a, b = pair.start({"l": [{"n": 1}, {"n": 2}, {"n": 3}]})
    a.l.move(0, 2)
    a.l[2].n = "moved"
    del b.l[0]
    pair.finish({"l": [{"n": 2}, {"n": 3}]})


def test_a_dict_in_a_list_that_arrived_while_open_is_moved_and_edited(pair):
    a, b = pair.start([])
    a.extend([{"n": 1}, {"n": 2}, {"n": 3}])
    pair.exchange()
    pair.begin_sessions()
    inner = b[0]
    a.move(0, 2)
    b[0].n = "one"
    pair.exchange()
    assert b[2] is inner, "a container that is moved by others stays the object it is"
    pair.finish([{"n": 2}, {"n": 3}, {"n": "one"}])


def test_a_reconciling_assignment_of_a_list_leaves_concurrent_edits(pair):
    a, b = pair.start({"l": [1, {"k": 1}, 3]})
    a.l = [1, {"k": 2}, 3, 4]
    b.l[1].more = 1
    b.l[0] = "one"
    pair.finish({"l": ["one", {"k": 2, "more": 1}, 3, 4]})


def test_a_slice_assigned_against_an_append(pair):
    a, b = pair.start([1, 2, 3])
    a[0:2] = ["x"]
    b.append(4)
    pair.finish(["x", 3, 4])


def test_a_list_cleared_against_an_append_keeps_what_is_new(pair):
    a, b = pair.start([1, 2, 3])
    a.clear()
    b.append(4)
    pair.finish([4])


def test_a_list_deleted_against_an_append_is_deleted(pair):
    a, b = pair.start({"l": [1, 2]})
    del a["l"]
    b.l.append(3)
    pair.finish({})


@pytest.mark.parametrize("length", [1, 19, 20, 21, 100])
def test_long_inserts_arrive_in_order(pair, length):
    a, b = pair.start({"l": [0]})
    a.l.extend(range(1, length))
    b.l[0] = "zero"
    pair.finish({"l": ["zero", *range(1, length)]})
