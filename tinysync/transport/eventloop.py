"""What code outside of event loops needs to know about the one it may be running in."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

from tinysync.errors import UsageError

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable

    Dispatch = Callable[[Callable[[], None]], object]

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


def running_loop_dispatch() -> Dispatch | None:
    """Return a function that has a callable run in the event loop running in this thread; None without a loop.

    Once the loop is closed, what is dispatched is dropped: nobody is there any more to see it.
    """
    loop = asyncio._get_running_loop()
    if loop is None:
        return None

    def dispatch(job: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(job)

    return dispatch
