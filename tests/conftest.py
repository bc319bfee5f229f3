"""How long the property tests run: HYPOTHESIS_PROFILE=default, ci or soak."""

import os

from hypothesis import HealthCheck, settings

# How fast a machine is says nothing about the code.
settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.register_profile(
    "soak",
    settings.get_profile("default"),
    max_examples=50_000,
    stateful_step_count=100,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if "CI" in os.environ else "default"))
