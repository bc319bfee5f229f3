"""An event loop of its own, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tinysync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines and functions in a background event loop, from the time it is made until ``stop``."""

    def __init__(self, name: str) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            # The threads of its executor end by themselves: one may be waiting for what the caller of stop holds.
            self._loop.close()

    def is_current(self) -> bool:
        """Tell whether the caller runs in the loop's own thread."""
        return threading.current_thread() is self._thread

    def is_running(self) -> bool:
        """Tell whether the loop can be used: it was not stopped, and this is not a forked process."""
        return self._pid == os.getpid() and self._thread.is_alive()

    def call(self, function: Callable[..., object], *args: Any) -> bool:
        """Have a function called in the loop, from any thread; returns False if the loop has stopped."""
        if self._pid != os.getpid():
            return False
        try:
            if self.is_current():
                self._loop.call_soon(function, *args)
            else:
                self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            return False
        return True

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the loop and wait for its result; not to be called from the loop's thread.

        Raises UsageError if the loop has stopped, or is the one of the process that this one was forked from.
        """
        if not self.is_running() or self.is_current():
            coroutine.close()
            if self._pid != os.getpid():
                raise UsageError("this peer belongs to the process that this one was forked from; make a new one")
            if self.is_current():
                raise UsageError("a callback that runs in the peer's own thread cannot wait for the peer")
            raise UsageError("this peer is closed; make a new one")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def run_function(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call a function in the loop, from any thread and the loop's own too, and return its result."""
        if self.is_current() and self._pid == os.getpid():
            return function(*args)

        async def call() -> Result:
            return function(*args)

        return self.run(call())

    def stop(self) -> None:
        """Stop the loop, cancelling what still runs in it, and wait for the thread."""
        if not self.is_running():
            return
        self.call(lambda: asyncio.ensure_future(self._finish()))
        if not self.is_current():
            self._thread.join()

    async def _finish(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop.stop()
