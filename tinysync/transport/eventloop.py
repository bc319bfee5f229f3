"""What code outside of event loops needs to know about the one it may be running in."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Dispatch = Callable[[Callable[[], None]], object]


def current_task() -> object | None:
    """Return the asyncio task that is running in this thread, or None outside of tasks."""
    if asyncio._get_running_loop() is None:
        return None
    return asyncio.current_task()


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
