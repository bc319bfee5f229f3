"""Loads the profile that says how long the property tests run, and keeps the tests out of the user's folders."""

import os
import tempfile

import tests.lengths  # noqa: F401 - importing it is what is wanted

_state = tempfile.TemporaryDirectory(prefix="tinysync-tests-")
os.environ["XDG_STATE_HOME"] = os.environ["LOCALAPPDATA"] = _state.name
