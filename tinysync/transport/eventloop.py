"""What code outside of event loops needs to know about the one it may be running in."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from typing import TYPE_CHECKING, TypeVar

from tinysync.errors import UsageError

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable

Result = TypeVar("Result")


def current_task() -> object | None:
    """Return the asyncio task that is running in this thread, or None outside of tasks."""
    if asyncio._get_running_loop() is None:
        return None
    return asyncio.current_task()


def is_running() -> bool:
    """Tell whether an event loop is running in this thread."""
    return asyncio._get_running_loop() is not None


async def in_thread(function: Callable[..., Result], *arguments: object) -> Result:
    """Have another thread work something out, without blocking the loop; cancelled when the program is ending."""
    try:
        work = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    except RuntimeError:
        # Python starts no more threads at its exit, and links are up until the very end.
        raise asyncio.CancelledError from None
    return await work


async def result_of(future: concurrent.futures.Future[Result]) -> Result:
    """Return what another thread works out, without blocking the loop; a wait that is cancelled cancels the work.

    Raises UsageError if the work was called off over there.
    """
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if future.cancelled() and task is not None and not task.cancelling():
            raise UsageError("the peer was closed meanwhile; make a new one") from None
        raise


class LoopDispatch:
    """Has callables run in an event loop, from any thread.

    Once the loop is closed, who brings one runs it; those that the loop had not come to are run in a thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handed_over: set[weakref.ref[Callable[[], None]]] = set()

    @property
    def has_ended(self) -> bool:
        """Whether the loop is closed; one that only rests between two calls is not."""
        return self._loop.is_closed()

    def __call__(self, job: Callable[[], None]) -> None:
        """Have it run once."""
        waiting = [job]

        def run() -> None:
            _run_next(waiting)

        def let_go(handed_over: weakref.ref[Callable[[], None]]) -> None:
            self._handed_over.discard(handed_over)
            if waiting and self.has_ended:
                # Whoever closes a loop does not expect to run what others had for it.
                thread = threading.Thread(target=_run_next, args=[waiting], name="tinysync-loop", daemon=True)
                with contextlib.suppress(RuntimeError):  # an interpreter that is about to end begins no threads
                    thread.start()

        # A loop that is closed tells nobody: it lets go of what it has not run.
        self._handed_over.add(weakref.ref(run, let_go))
        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:
            if not self.has_ended:
                raise
        if self.has_ended:
            run()


def _run_next(waiting: list[Callable[[], None]]) -> None:
    try:
        job = waiting.pop()
    except IndexError:
        return  # another thread was faster
    job()


def running_loop_dispatch() -> LoopDispatch | None:
    """Return what has a callable run in the event loop that runs in this thread; None without a loop."""
    loop = asyncio._get_running_loop()
    return None if loop is None else LoopDispatch(loop)
