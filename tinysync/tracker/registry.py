"""The persisted structures that this process has open."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tinysync.errors import TinySyncError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinysync.tracker.replica import Replica

logger = logging.getLogger("tinysync")

open_replicas: dict[Path, Replica] = {}
"""Open structures by the folder of their state, of which there is one for each name, whatever the format."""

_ENDING: Final = (
    "the program is ending, and its structures were closed; register what writes at exit after tinysync is"
    " imported, so that it is called before that"
)

opening = threading.RLock()
"""Held while a structure is looked up and opened, so that no two calls open the same one."""


@contextmanager
def looked_up(state: Path | None) -> Iterator[Replica | None]:
    """Hold ``opening`` in a block, and return what is open there; not while another thread is closing it."""
    while True:
        with opening:
            known = open_replicas.get(state) if state is not None else None
            if known is None or not known.is_being_closed():
                yield known
                return
        known.wait_closed()


@atexit.register
def _close_all() -> None:
    for replica in list(open_replicas.values()):
        lock = replica.lock
        if lock.is_mine() and lock.blocks:
            logger.error(
                "%r had a transaction open when the program ended: what it changed was not saved", replica.name
            )
            continue
        try:
            replica.close(_ENDING)
        except TinySyncError as error:
            message = "Could not bring the files of %r up to date at exit: %s"
            logger.error(message, replica.name, error)  # noqa: TRY400 - it says all, as those that are raised
        except Exception:
            logger.exception("Could not bring the readable file of %r up to date at exit", replica.name)


def _abandon_all() -> None:
    """In a forked child: the files and the locks are the parent's, and two writers would use one client id."""
    for replica in open_replicas.values():
        replica.abandon("this process was forked from the one that opened it")
    open_replicas.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
