"""Which thread waits for which structure, so that threads that wait for each other are found out.

A thread waits for a structure that another has taken, or for the callbacks that another is calling. It is noted
here before it waits: of threads that wait in a circle, the last one that comes finds it.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tinysync.tracker.lock import TransactionLock

_OWNER: Final = re.compile(r" owner=(\d+) ")


@dataclass(slots=True, eq=False)
class Wait:
    """What one thread waits for; ``bell`` is released when it is to look again."""

    lock: TransactionLock
    for_callbacks: bool
    bell: threading.Lock = field(default_factory=threading.Lock)

    @property
    def thread(self) -> int | None:
        """The thread that is waited for; None if there is none any more."""
        return self.lock.teller if self.for_callbacks else _owner(self.lock)

    def ring(self) -> None:
        """Let the thread look again."""
        with suppress(RuntimeError):  # it was rung already
            self.bell.release()


waits: Final[dict[int, Wait]] = {}
"""What each thread waits for."""

_noting: Final = threading.Lock()


def note(me: int, wait: Wait) -> list[Wait]:
    """Note that a thread is about to wait; return the circle of waits that is in, if there is one."""
    with _noting:
        waits[me] = wait
        return circle(me)


def circle(me: int) -> list[Wait]:
    """Return the waits that lead from a thread back to itself; none if they do not."""
    found: list[Wait] = []
    thread: int | None = me
    while len(found) <= len(waits):
        wait = waits.get(thread) if thread is not None else None
        if wait is None:
            return []
        found.append(wait)
        thread = wait.thread
        if thread == me:
            return found
    return []


def ring_all() -> None:
    """Let those who wait for callbacks look again."""
    for wait in tuple(waits.values()):
        if wait.for_callbacks:
            wait.ring()


def _owner(lock: TransactionLock) -> int | None:
    # A lock that counts its owner itself could be wrong after an interrupt; the system's is not.
    match = _OWNER.search(repr(lock.native))
    owner = int(match[1]) if match is not None else 0
    return owner or None
