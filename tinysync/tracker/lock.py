"""Who may change a structure: one thread at a time, and in a thread with an event loop one task."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tinysync.errors import TransactionBusy
from tinysync.transport.eventloop import current_task
from tinysync.transport.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable


class TransactionLock:
    """A reentrant lock that knows how deep the transactions of its holder are nested.

    ``on_free`` is called, by the thread that held the lock, whenever it has become free.
    """

    __slots__ = ("_lock", "_on_free", "_task", "_turns", "_waiting", "depth", "holds")

    def __init__(self, on_free: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._turns = Turns()
        self._waiting: list[None] = []
        """One for each thread that waits for the lock."""
        self._on_free = on_free
        self._task: object | None = None
        self.depth = 0
        """How many ``with`` blocks are open."""
        self.holds = 0
        """How often the holder has taken the lock."""

    def acquire(self) -> None:
        """Take the lock for a call; raises TransactionBusy if another task of this thread is in a transaction."""
        if not self._lock.acquire(blocking=False):
            self._waiting.append(None)
            try:
                self._lock.acquire()
            finally:
                self._waiting.pop()
        if self._task is not None and self._task is not current_task():
            self._lock.release()
            raise TransactionBusy(
                "another asyncio task has a transaction open on this structure; use 'async with' to wait for it",
            )
        self.holds += 1

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it, not even this thread, and no other thread waits for it."""
        if self._waiting or not self._lock.acquire(blocking=False):
            return False
        if self.holds:
            self._lock.release()
            return False
        self.holds = 1
        return True

    def release(self) -> None:
        """Give back what ``acquire``, ``try_acquire`` or ``acquire_async`` took."""
        self.holds -= 1
        free = not self.holds
        self._lock.release()
        if free:
            self._turns.wake()
            self._on_free()

    async def acquire_async(self) -> None:
        """Take the lock without blocking the event loop; waits also for other tasks of this thread."""
        task = current_task()
        if self._task is not None and self._task is task:
            self.acquire()
        else:
            await self._turns.take(self.try_acquire)

    def begin(self) -> None:
        """Open a transaction; the lock is held."""
        if not self.depth:
            self._task = current_task()
        self.depth += 1

    def end(self) -> None:
        """Close the innermost transaction."""
        self.depth -= 1
        if not self.depth:
            self._task = None
