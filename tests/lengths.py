"""How long the property tests run: HYPOTHESIS_PROFILE=default, ci or soak."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

SOAK: Final = 500
"""How many times as many examples the soak profile tries."""

# How fast a machine is says nothing about the code.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.register_profile("soak", settings.get_profile("default"), max_examples=100 * SOAK)

profile = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if "CI" in os.environ else "default")
settings.load_profile(profile)


takes_long = pytest.mark.timeout(0 if profile == "soak" else 1200)
"""For tests of thousands of steps, which a busy machine slows down."""


def many(examples):
    """Return how many examples to try where a short run tries so many."""
    return examples * SOAK if profile == "soak" else examples


def rounds(name, capfd):
    """Count the rounds of a test that makes as many steps as may be in a soak run, and show how far it is."""
    total, began = many(1), time.monotonic()
    for number in range(total):
        if total > 1:
            with capfd.disabled():
                minutes = (time.monotonic() - began) / 60
                print(
                    f"{name}: round {number + 1} of {total}, after {minutes:.1f} minutes",
                    file=sys.stderr,
                    flush=True,
                )
        yield number
