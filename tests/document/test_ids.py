"""Session ids come from the clock, whatever it says."""

from __future__ import annotations

import time

import pytest

from tinysync.crdt.ids import EPOCH_2020, HOURS_AHEAD, RANDOM_BITS, SEED_CLIENTS, new_client_id

CLOCKS = [-1e6, 0, 946_684_800, EPOCH_2020 - 1, EPOCH_2020, 1.8e9, 3.464e9, 3.5e9, 7e9, 253_402_300_799]


@pytest.mark.parametrize("clock", CLOCKS)
def test_ids_rise_and_stay_below_those_of_seeds(clock, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: clock)
    highest = 0
    for _ in range(HOURS_AHEAD - 4):
        before, highest = highest, new_client_id(highest)
        assert before < highest < SEED_CLIENTS


@pytest.mark.parametrize("hours", range(4 * HOURS_AHEAD))
def test_the_highest_ids_that_were_seen_do_not_lead_among_those_of_seeds(hours, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 7e9)
    seen = SEED_CLIENTS - 1 - (hours << RANDOM_BITS)
    assert 0 < new_client_id(seen) < SEED_CLIENTS
