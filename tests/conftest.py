"""Loads the profile that says how long the property tests run."""

import tests.lengths  # noqa: F401 - importing it is what is wanted
