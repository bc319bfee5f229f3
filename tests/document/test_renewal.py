"""A device that goes on under another client id still follows all that the document holds."""

from __future__ import annotations

import pytest

from .replicas import Replica, assert_converged, settle


def renew(replica):
    replica.document.was_forked()


def reopen(replica):
    replica.reopen()


def reopen_from_what_was_prepared(replica):
    replica.prepare()
    replica.reopen()


@pytest.mark.parametrize("again", [renew, reopen, reopen_from_what_was_prepared])
def test_what_others_add_to_a_list_that_was_deleted_is_seen(again):
    one, other = Replica({}), Replica({})
    one.root["a"] = [[True]]
    settle(one, other)
    del one.root["a"][0]
    again(one)
    one.root["b"] = 1
    other.root["a"][0].append(1)
    settle(one, other)
    assert one.root == other.root == {"a": [], "b": 1}
    assert_converged(one, other)


def test_what_was_written_here_comes_back():
    """It lies beside what nobody has asked the engine for yet, which then tells of more than that."""
    one, other = Replica({"l": [0]}), Replica({"l": [0]})
    settle(one, other)
    renew(one)
    one.root["l"].append(1)
    before = one.document.state_vector()
    renew(one)
    one.root["b"] = 1
    one.root["l"].append(2)
    one.root["c"] = 1
    other.pull(one)
    one.receive(other.document.diff(before))
    settle(one, other)
    assert one.root == other.root == {"l": [0, 1, 2], "b": 1, "c": 1}
    assert_converged(one, other)
