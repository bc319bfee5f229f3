"""Sessions under seeded schedules of all that can go wrong between devices: they converge, and lose nothing."""

from __future__ import annotations

import pytest

from tests.lengths import profile

from .simulator import Network

SCHEDULES = 10_000 if profile == "soak" else 300
BATCH = SCHEDULES // 10


@pytest.mark.parametrize("first", range(0, SCHEDULES, BATCH))
def test_devices_converge_and_lose_nothing_acknowledged(first):
    for seed in range(first, first + BATCH):
        try:
            Network(seed).run(150)
        except Exception as error:
            raise AssertionError(f"the schedule with the seed {seed} fails: Network({seed}).run(150)") from error
