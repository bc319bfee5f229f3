"""Loads the profile that says how long the property tests run, and keeps what surrounds the tests out of them."""

import os
import signal
import tempfile

import tests.lengths  # noqa: F401 - importing it is what is wanted

# The user's own folders.
_state = tempfile.TemporaryDirectory(prefix="tinysync-tests-")
os.environ["XDG_STATE_HOME"] = os.environ["LOCALAPPDATA"] = _state.name

# What a shell starts in the background ignores Ctrl-C, and so would the commands that tests stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
