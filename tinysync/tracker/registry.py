"""The persisted structures that this process has open."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.tracker.tracker import Tracker

logger = logging.getLogger("tinysync")

open_trackers: dict[Path, Tracker] = {}
"""Open trackers by the path of their readable file."""

opening = threading.RLock()
"""Held while a structure is looked up and opened, so that no two calls open the same one."""


@atexit.register
def _close_all() -> None:
    for tracker in list(open_trackers.values()):
        try:
            tracker.close()
        except Exception:
            logger.exception("Could not bring the readable file of %r up to date at exit", tracker.name)


def _abandon_all() -> None:
    """In a forked child: the files and the locks are the parent's, and two writers would use one client id."""
    for tracker in open_trackers.values():
        tracker.abandon("this process was forked from the one that opened it")
    open_trackers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
