"""Presence without I/O: clocks, renewal, ends, and what others may send."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysync.errors import ProtocolError
from tinysync.protocol import Limits
from tinysync.protocol.presence import (
    FORGET_SECONDS,
    OUTDATED_SECONDS,
    RENEW_SECONDS,
    PresenceStates,
    encode_state,
    joined,
)

LIMITS = Limits()


def states(own=1, limits=LIMITS):
    return PresenceStates(own, limits)


def tell(heard, *others, now=0.0, source="link"):
    """Give what is to be told to others; returns what they have to tell."""
    return [other.receive(joined(heard.tell), source, now) for other in others]


def test_the_bytes_are_those_of_yjs():
    # What y-protocols/awareness encodes for client 300 with clock 1 and the state {"a":1}.
    assert joined(states(300).set({"a": 1}, 0).tell) == bytes([1, 0xAC, 0x02, 1, 7]) + b'{"a":1}'


def test_a_state_appears_changes_and_goes():
    ours, theirs = states(1), states(2)
    assert tell(ours.set({"at": 1}, 0), theirs)[0].shown
    assert theirs.states() == {1: {"at": 1}}
    assert tell(ours.set({"at": 2}, 0), theirs)[0].shown
    assert theirs.states() == {1: {"at": 2}}
    assert tell(ours.set(None, 0), theirs)[0].shown
    assert theirs.states() == {}


def test_what_is_old_or_known_is_not_passed_on():
    ours, theirs = states(1), states(2)
    first, second = ours.set({"at": 1}, 0), ours.set({"at": 2}, 0)
    assert tell(second, theirs)[0].tell
    for heard in (first, second):
        (again,) = tell(heard, theirs)
        assert not again.tell
        assert not again.shown
    assert theirs.states() == {1: {"at": 2}}


def test_it_is_renewed_and_runs_out():
    ours, theirs = states(1), states(2)
    tell(ours.set({"at": 1}, 0), theirs)
    assert not ours.tick(RENEW_SECONDS - 1).tell
    renewed = ours.tick(RENEW_SECONDS)
    assert not renewed.shown
    assert not tell(renewed, theirs, now=RENEW_SECONDS)[0].shown
    assert not theirs.tick(OUTDATED_SECONDS).shown
    assert theirs.states()
    assert theirs.tick(RENEW_SECONDS + OUTDATED_SECONDS).shown
    assert theirs.states() == {}
    assert not theirs.is_idle
    theirs.tick(RENEW_SECONDS + FORGET_SECONDS)
    assert theirs.is_idle


def test_who_is_taken_for_gone_says_that_he_is_not():
    one, middle, other = states(1), states(2), states(3)
    tell(one.set({"at": 1}, 0), middle)
    lost = middle.lost("link")
    assert lost.shown
    assert middle.states() == {}
    (answer,) = tell(lost, one, source="another way")
    tell(answer, middle, other)
    assert middle.states() == other.states() == {1: {"at": 1}}
    assert not middle.lost("another link").shown


def test_more_than_the_limit_are_not_seen():
    limits = Limits(max_present=3)
    crowded = states(1, limits)
    for client in range(2, 10):
        crowded.receive(joined(states(client).set({"x": client}, 0).tell), None, 0)
    assert len(crowded.states()) == 3
    crowd = joined({client: next(iter(states(client).set({}, 0).tell.values())) for client in range(2, 6)})
    with pytest.raises(ProtocolError):
        crowded.receive(crowd, None, 0)


def entry(text, client=b"\x05", clock=b"\x01"):
    return b"\x01" + client + clock + len(text).to_bytes(1, "big") + text


@pytest.mark.parametrize(
    "update",
    [
        b"",
        b"\x01",
        b"\x00x",
        entry(b"{}")[:-1],
        entry(b"{}") + b"x",
        entry(b"[]"),
        entry(b"1"),
        entry(b"NaN"),
        entry(b'{"x":NaN}'),
        entry(b'{"x":1e999}'),
        entry(b'{"x":"\\ud800"}'),
        entry(b"\xff\xfe"),
        entry(b"{}", client=b"\xff" * 8),
        entry(b"{}", clock=b"\xff" * 5),
        b"\x01\x05\x01\x81\x20" + b" " * 4095 + b"{}",
        b"\x01\x05\x01\xf0\x1f" + b'{"x":' + b"[" * 4080,
    ],
)
def test_what_is_malformed_is_refused_as_a_whole(update):
    ours = states(1)
    with pytest.raises(ProtocolError):
        ours.receive(update, None, 0)
    assert ours.states() == {}


@given(st.binary(max_size=100), st.binary(max_size=20))
def test_garbage_is_a_protocol_error(garbage, text):
    for update in (garbage, entry(text)):
        with contextlib.suppress(ProtocolError):
            states(1).receive(update, None, 0)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["set", "clear", "tell all", "lose", "tick"]),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(), max_size=2),
    ),
    max_size=40,
)


@given(steps)
def test_all_see_the_same_once_everybody_was_heard(steps):
    everybody = [states(client) for client in range(4)]
    now = 0.0
    for who, what, state in steps:
        now += 0.1
        one = everybody[who]
        match what:
            case "set":
                one.set(state, now)
            case "clear":
                one.set(None, now)
            case "lose":
                one.lost("link")
            case "tick":
                one.tick(now)
            case "tell all":
                for other in everybody:
                    other.receive(joined(one.entries()), "link", now)
    own = {one.own: one.states()[one.own] for one in everybody if one.own in one.states()}
    # A renewal of each, on its way to all the others, and what that makes them say.
    on_their_way = [one.renew(now) if one.own in own else one.set(None, now) for one in everybody]
    while on_their_way:
        heard = on_their_way.pop()
        if heard.tell:
            on_their_way += tell(heard, *everybody, now=now)
    assert [one.states() for one in everybody] == [own] * 4


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), json_values, max_size=4))
def test_states_arrive_as_they_are(state):
    with contextlib.suppress(UnicodeEncodeError):
        text = encode_state(state)
        ours, theirs = states(1), states(2)
        tell(ours.set(state, 0), theirs)
        assert theirs.states() == {1: json.loads(text)} == {1: state}
