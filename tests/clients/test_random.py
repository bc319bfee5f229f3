"""JavaScript reads and writes the document format as Python does, whatever happens while they are apart."""

from __future__ import annotations

import itertools
import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.devices.device import assert_equal
from tests.document.edits import CONTAINERS, KEYS, NAMES, SCALARS, edits
from tests.lengths import many
from tests.peer.devices import wait_until
from tinysync import tracker
from tinysync.crdt.check import check_state_vector

_ELEMENTS = [None, True, 0, 1.0, 2.5, "", "~", "ä", b"\xff", (1, (1.0, "x")), 2**80]
numbers = st.integers(0, 1000)
keys = st.sampled_from(NAMES) | st.sampled_from(KEYS)
values = st.sampled_from(SCALARS) | st.sampled_from(CONTAINERS)
theirs = st.fixed_dictionaries(
    {
        "where": numbers,
        "what": numbers,
        "which": numbers,
        "key": keys,
        "element": st.sampled_from(_ELEMENTS),
        "value": values,
    }
)
rounds = st.lists(st.tuples(st.lists(edits, max_size=5), st.lists(theirs, max_size=5)), max_size=3)
names = (f"random{n}" for n in itertools.count())


def plain(value):
    """A form in which values are equal if they are but for what JavaScript cannot tell: 1 from 1.0."""
    match value:
        case dict():
            return {plain(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case tuple():
            return tuple(map(plain, value))
        case set() | frozenset():
            return type(value)(map(plain, value))
        case float() if math.isnan(value):
            return "nan"
        case float() if value.is_integer():
            return int(value)
    return value


def in_step(structure, page):
    """Wait until both have all that the other has, and show the same."""
    replica = tracker(structure)._replica

    def are_equal():
        with replica.reading():
            ours = check_state_vector(replica.document.state_vector())
        return dict(page.call("vector")) == ours and plain(page.value) == plain(tracker(structure).snapshot())

    wait_until(are_equal)
    assert_equal(structure)


@settings(max_examples=many(50), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(start=st.sampled_from([one for one in CONTAINERS if isinstance(one, dict)]), rounds=rounds)
def test_both_make_the_same_of_it(device, node, start, rounds):
    if not hasattr(node, "page"):
        node.page, node.device = node(), device(yjs="127.0.0.1:0")
    name = next(names)
    ours = node.device.track(start, name)
    page = node.page.open(node.device.peer.yjs_url, name)
    in_step(ours, page)
    for here, there in rounds:
        page.call("offline")
        for edit in here:
            edit.on(ours)
        page.call("edit", there)
        page.call("online")
        in_step(ours, page)
    page.call("end")
    tracker(ours).close()
