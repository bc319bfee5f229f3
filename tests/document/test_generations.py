"""A container that is created again is really new, also where the number of its generation was lost in a merge."""

from __future__ import annotations

from tests.tracker.opened import assert_in_agreement, in_memory


def pull(one, other):
    """Bring what the other has into the one."""
    with one.reading():
        one.receiver.receive(other.document.diff(one.document.state_vector()), "other", lambda _: None)


def test_a_default_list_set_again_after_a_lost_generation_has_its_content():
    a, b = in_memory({}), in_memory({})
    a.root.setdefault("l", [1, 2, 3])
    pull(b, a)
    # From here b's session is the later one: its generation 1 wins over the 2 that a reaches meanwhile.
    del b.root["l"]
    del a.root["l"]
    a.root.setdefault("l", [1, 2, 3])
    del a.root["l"]
    pull(a, b)
    pull(b, a)

    a.root.setdefault("l", [1, 2, 3])
    assert a.root == {"l": [1, 2, 3]}
    assert_in_agreement(a)
    a.root.l.clear()
    assert_in_agreement(a)
    pull(b, a)
    assert b.root == a.root == {"l": []}
    assert_in_agreement(b)
