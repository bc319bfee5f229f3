from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tinysync.transport.backoff import FIRST, LONGEST, Backoff


@given(st.integers(), st.integers(1, 50))
def test_delays_stay_within_bounds_that_grow(seed, count):
    backoff = Backoff(random.Random(seed))
    delays = [backoff.next() for _ in range(count)]
    assert delays[0] <= FIRST
    assert all(0 < delay <= LONGEST for delay in delays)


def test_it_comes_to_long_delays_and_back():
    backoff = Backoff(random.Random(1))
    for _ in range(20):
        backoff.next()
    assert max(backoff.next() for _ in range(20)) > LONGEST / 2
    backoff.reset()
    assert backoff.next() <= FIRST


def test_two_devices_do_not_come_back_in_step():
    one, other = Backoff(random.Random(1)), Backoff(random.Random(2))
    assert [one.next() for _ in range(5)] != [other.next() for _ in range(5)]
