"""One tracked structure: its replica with lock, transactions, callbacks and disk, and the handle for programs."""

from tinysync.tracker.diffs import Mark
from tinysync.tracker.notify import Subscription
from tinysync.tracker.opening import open_replica
from tinysync.tracker.replica import Replica
from tinysync.tracker.tracker import Tracker

__all__ = ["Mark", "Replica", "Subscription", "Tracker", "open_replica"]
