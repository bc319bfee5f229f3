"""Who may change a structure: one thread at a time, and in a thread with an event loop one task.

An interrupt, Ctrl-C for one, can come after every call in Python. So taking the lock and writing down that it is
taken is one call of C, and so is giving it back.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Self

from tinysync.errors import TransactionBusy
from tinysync.tracker import waits
from tinysync.transport.eventloop import current_task
from tinysync.transport.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tinysync.tracker.notify import Notifier

Taken = list[bool]
"""What a holder of the lock keeps: an entry for each time that it has taken it."""

AT_ONCE: Final = (False,)
_WAITING: Final = (True,)
_LAST: Final = (-1,)
_NOTHING: Final = repeat(None)
_exhaust: Final = deque[Any](maxlen=0).extend


class TransactionLock:
    """A reentrant lock that knows the ``with`` blocks of its holder, and who is calling back.

    When its holder gives it back after changes, it calls back, without the lock. Until that is done others do not
    change the structure, unless they would wait in a circle; what they change then is told by the thread that is
    calling back. ``on_free`` is called, by the thread that held the lock, when it has become free and there are
    ``jobs``.
    """

    __slots__ = (
        "_deciding", "_notifier", "_on_free", "_put_back", "_turns",
        "blocks", "give", "is_mine", "jobs", "native", "take", "task", "tasks", "teller", "to_tell",
    )  # fmt: skip

    def __init__(self, notifier: Notifier, on_free: Callable[[], None]) -> None:
        self.native = threading.RLock()
        self.give = self.native.release
        """Give the lock back once, without seeing to those who wait for that."""
        self.take = self.native.acquire
        self._put_back: Callable[[Any, None, None], object] = self.native.__exit__
        self.is_mine: Callable[[], bool] = self.native._is_owned  # type: ignore[attr-defined]  # as Condition does
        """Whether this thread has the lock."""
        self._notifier = notifier
        self.to_tell = notifier.waiting
        self.teller: int | None = None
        """The thread that is calling back."""
        self._deciding = threading.Lock()
        """Held while it is decided who calls back."""
        self._turns = Turns()
        self.tasks = self._turns.waiting
        """The tasks that wait for the lock."""
        self._on_free = on_free
        self.jobs: deque[Any] = deque()
        """What is to be done when the structure is free."""
        self.task: object | None = None
        self.blocks: Taken = []
        """What the ``with`` blocks that are open have taken."""

    @property
    def is_calling_back(self) -> bool:
        """Whether this thread is in a callback of the structure."""
        return self.teller is not None and self.teller == threading.get_ident()

    # --- taking --------------------------------------------------------------------------------------------

    def acquire(self, taken: Taken, *, to_read: bool = False) -> None:
        """Take the lock for a call, which has not taken it yet; raises TransactionBusy if it cannot be had.

        That is when another task of this thread is in a transaction, or another thread waits for this one.
        ``to_read``: while callbacks are called, too.
        """
        taken.extend(filter(None, map(self.take, AT_ONCE)))
        if not taken:
            self.wait_for_holder(taken)
        if self.task is not None and self.task is not current_task():
            self._put(taken)
            raise TransactionBusy(
                "another asyncio task has a transaction open on this structure; use 'async with' to wait for it",
            )
        if self.teller is not None and not to_read and self.teller != threading.get_ident():
            self._wait_for_callbacks(taken)

    def try_acquire(self, taken: Taken) -> bool:
        """Take the lock if the structure is free and no other thread waits for it."""
        if self.is_busy() or self.is_mine() or self.is_awaited():
            return False
        taken.extend(filter(None, map(self.take, AT_ONCE)))
        if not taken:
            return False
        if self.is_busy():
            self._put(taken)
            return False
        return True

    def is_awaited(self) -> bool:
        """Whether a thread waits for the lock."""
        return any(wait.lock is self for wait in tuple(waits.waits.values()))

    def is_busy(self) -> bool:
        """Whether a thread is calling back."""
        return self.teller is not None

    async def acquire_async(self, taken: Taken) -> None:
        """Take the lock without blocking the event loop; waits also for other tasks of this thread."""
        task = current_task()
        if self.task is not None and self.task is task:
            self.acquire(taken)
        else:
            await self._turns.take(lambda: self.try_acquire(taken))

    def wait_for_holder(self, taken: Taken) -> None:
        """Take the lock as soon as it is free; raises TransactionBusy if that would never be."""
        me = threading.get_ident()
        try:
            circle = waits.note(me, waits.Wait(self, for_callbacks=False))
            if any(wait.for_callbacks for wait in circle):
                waits.ring_all()
            elif circle:
                raise TransactionBusy(
                    "this thread is in a transaction that another thread waits for, which is in a transaction on"
                    " the structure that is to be changed here: open transactions on several structures in the"
                    " same order everywhere",
                )
            taken.extend(map(self.take, _WAITING))
        finally:
            waits.waits.pop(me, None)

    def _wait_for_callbacks(self, taken: Taken) -> None:
        me = threading.get_ident()
        going_round = False
        while self.teller is not None and not going_round:
            self._put(taken)
            going_round = self.is_mine() or self._callbacks_wait_too(me)
            taken.extend(filter(None, map(self.take, AT_ONCE)))
            if not taken:
                self.wait_for_holder(taken)

    def _callbacks_wait_too(self, me: int) -> bool:
        """Wait until callbacks are through; return True if they, in turn, wait for this thread."""
        wait = waits.Wait(self, for_callbacks=True)
        try:
            wait.bell.acquire()
            circle = waits.note(me, wait)
            while not circle and self.teller is not None:
                # An interrupt may have kept the other thread from ringing.
                wait.bell.acquire(timeout=1)
                circle = waits.circle(me)
            return bool(circle)
        finally:
            waits.waits.pop(me, None)

    # --- giving back ---------------------------------------------------------------------------------------

    def release(self, taken: Taken) -> None:
        """Give back what was taken last; at the end, call back, raising what callbacks raise, and do the jobs."""
        count = len(taken)
        try:
            if self.to_tell:
                self._release_and_tell(taken)
            else:
                self._put(taken)
        except BaseException:
            if len(taken) == count:  # an interrupt before anything was done
                taken.pop()
                self.give()
            raise
        finally:
            if self.jobs or self.tasks:
                self.freed()

    def freed(self) -> None:
        """See to those who wait until the structure is free, if it is."""
        if not (self.is_busy() or self.is_mine()):
            self._turns.wake()
            self._on_free()

    def _put(self, taken: Taken) -> None:
        _exhaust(map(self._put_back, map(taken.pop, _LAST), _NOTHING, _NOTHING))

    def _release_and_tell(self, taken: Taken) -> None:
        me = threading.get_ident()
        was_teller = self.teller == me
        try:
            with self._deciding:
                if self.teller is None:
                    # Before others can have the lock: who makes a change calls back with it.
                    self.teller = me
            self._put(taken)
            if self.teller == me and not (was_teller or self.is_mine()):
                self._notifier.tell(self._is_all_told)
        finally:
            if self.teller == me and not was_teller:
                self.teller = None
                if waits.waits:
                    waits.ring_all()

    def _is_all_told(self) -> bool:
        with self._deciding:
            if self.to_tell:
                return False
            self.teller = None
        if waits.waits:
            waits.ring_all()
        return True

    # --- blocks --------------------------------------------------------------------------------------------

    def begin_block(self, taken: Taken) -> None:
        """Keep what was taken until the end of a block."""
        if not self.blocks:
            self.task = current_task()
        self.blocks.extend(map(taken.pop, _LAST))

    def end_blocks(self) -> None:
        """Note that the outermost block is about to end."""
        self.task = None


class Hold:
    """A block in which a thread has a lock; ``ready`` is called at its beginning."""

    __slots__ = ("_lock", "_ready", "_taken", "_to_read")

    def __init__(self, lock: TransactionLock, ready: Callable[[], None], *, to_read: bool) -> None:
        self._lock = lock
        self._ready = ready
        self._taken: Taken = []
        self._to_read = to_read

    def __enter__(self) -> Self:
        self.__class__ = _Begun  # type: ignore[assignment]  # it is a Hold
        try:
            self._lock.acquire(self._taken, to_read=self._to_read)
            self._ready()
        except BaseException:
            if self._taken:
                self._lock.release(self._taken)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release(self._taken)
        self.__class__ = Hold


class _Begun(Hold):
    """A block that has begun: if an interrupt comes right before ``__exit__``, its end is the end of the block.

    Others have no ``__del__``, because interrupts get lost in there.
    """

    __slots__ = ()

    def __del__(self) -> None:
        if self._taken and self._lock.is_mine():
            self._lock.release(self._taken)
