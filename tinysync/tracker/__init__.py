"""The tracker: one tracked structure with its lock, its transactions, its callbacks and its place on disk."""

from tinysync.tracker.opening import open_tracker
from tinysync.tracker.tracker import Tracker

__all__ = ["Tracker", "open_tracker"]
