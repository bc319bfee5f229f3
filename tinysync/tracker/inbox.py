"""Updates of other devices on their way into the structure."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tinysync.transport.eventloop import LoopDispatch

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from tinysync.tracker.lock import Taken, TransactionLock

    Job = Callable[[], None]
    Dispatch = Callable[[Callable[[], None]], object]

logger = logging.getLogger("tinysync")


class Inbox:
    """Jobs that wait until the structure is free and, with ``dispatch``, until the program's thread takes them.

    Links put in one job at a time and wait for it, so the queue stays as short as there are links. While
    ``is_held``, no job is begun: who closes the structure is not kept by links that go on and on. ``name`` is the
    structure's, for messages.
    """

    def __init__(
        self,
        dispatch: Dispatch | None,
        lock: TransactionLock,
        name: str | None = None,
        *,
        is_held: Callable[[], bool] = lambda: False,
    ) -> None:
        self.dispatch = dispatch
        self._is_held = is_held
        self._name = name
        self._has_failed = False
        """Whether it was logged that ``dispatch`` raised."""
        self._lock = lock
        self._jobs: deque[tuple[Job, Job | None]] = lock.jobs
        self._draining: set[int] = set()
        """The threads that are doing jobs."""
        self._on_arrival: Callable[[], None] | None = None
        self._home = threading.get_ident()

    @property
    def is_home(self) -> bool:
        """Whether this is the thread in which the structure was tracked, which ``dispatch`` runs jobs in."""
        return threading.get_ident() == self._home

    @property
    def has_ended(self) -> bool:
        """Whether jobs were done in an event loop that has ended."""
        return isinstance(self.dispatch, LoopDispatch) and self.dispatch.has_ended

    def adopt(self, dispatch: Dispatch | None) -> None:
        """Have jobs done where this says, for this thread, if they were done in a loop that has ended."""
        if dispatch is not None and self.has_ended:
            self.dispatch = dispatch
            self._home = threading.get_ident()

    def put(self, job: Job, ended: Job | None = None) -> None:
        """Have a job done as soon as may be, and ``ended`` when callbacks have heard of it; from any thread."""
        self._jobs.append((job, ended))
        self.call()

    def call(self) -> None:
        """See to it that the waiting jobs are done; called whenever the structure became free."""
        if not self._jobs or self._is_held() or threading.get_ident() in self._draining:
            return
        if self._on_arrival is not None:
            self._on_arrival()
        self.run(self.drain)

    def run(self, function: Job) -> None:
        """Run a function in the thread that is for what comes from outside.

        What ``dispatch`` raises is logged: it concerns nobody here, who may have made a change that is saved.
        """
        if self.dispatch is None:
            function()
            return
        try:
            self.dispatch(function)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                logger.exception(
                    "The dispatch= of %r raised an error. What comes from other devices and from hand edits is not"
                    " applied while it does; close the structure and track it again with one that works.",
                    self._name,
                )

    def drain(self) -> None:
        """Do the waiting jobs in this thread, as long as nobody holds the structure."""
        me, taken = threading.get_ident(), list[bool]()
        if me in self._draining:
            return
        self._draining.add(me)
        try:
            while self._jobs and not self._is_held() and self._lock.try_acquire(taken):
                self._do_next(taken)
        finally:
            self._draining.discard(me)

    def _do_next(self, taken: Taken) -> None:
        ended = None
        try:
            try:
                if self._jobs and not self._is_held():  # another thread may have been faster
                    job, ended = self._jobs.popleft()
                    job()
            finally:
                self._lock.release(taken)
        finally:
            if taken:  # an interrupt before anything was done
                self._lock.give()
                taken.clear()
            if ended is not None:
                ended()

    def tell_arrivals(self, listener: Callable[[], None] | None) -> None:
        """Call ``listener`` whenever jobs can be done, for a thread that waits and drains at the same time."""
        self._on_arrival = listener
