"""An event loop of its own, in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tinysync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")

logger = logging.getLogger("tinysync")


def _standard_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of the standard library, also where the program has set that loops are others, like uvloop."""
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop()
    return asyncio.SelectorEventLoop()


class LoopThread:
    """Runs coroutines and functions in a background event loop, from the time it is made until ``stop``."""

    def __init__(self, name: str) -> None:
        self._pid = os.getpid()
        self._loop = _standard_loop()
        self._stopped = False
        self._guard = threading.Lock()
        """Held while something is put into the loop, so that nothing is put there behind its end."""
        self._end: asyncio.Task[None] | None = None
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

    def call(self, function: Callable[..., object], *args: Any) -> bool:
        """Have a function called in the loop, from any thread; returns False if the loop was stopped."""
        if self._pid != os.getpid():
            return False
        with self._guard:
            if self._stopped:
                return False
            if self.is_current():
                self._loop.call_soon(function, *args)
            else:
                self._loop.call_soon_threadsafe(function, *args)
            return True

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the loop and wait for its result; not to be called from the loop's thread.

        Raises UsageError if the loop was stopped, before or meanwhile, or is the one of the process that this one
        was forked from.
        """
        future = self.begin(coroutine)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise UsageError("this peer was closed meanwhile; make a new one") from None
        except BaseException:
            future.cancel()
            raise

    def begin(self, coroutine: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Have a coroutine run in the loop, and return its result to come; raises UsageError as ``run`` does.

        The future is cancelled if the loop is stopped meanwhile.
        """
        try:
            return self._put(coroutine)
        except UsageError:
            coroutine.close()
            raise

    def _put(self, coroutine: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        if self._pid != os.getpid():
            raise UsageError("this peer belongs to the process that this one was forked from; make a new one")
        if self.is_current():
            raise UsageError("a callback that runs in the peer's own thread cannot wait for the peer")
        with self._guard:
            if self._stopped:
                raise UsageError("this peer is closed; make a new one")
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run_function(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call a function in the loop, from any thread and the loop's own too, and return its result."""
        if self.is_current() and self._pid == os.getpid():
            return function(*args)

        async def call() -> Result:
            return function(*args)

        return self.run(call())

    def stop(self, last: Coroutine[Any, Any, None] | None = None) -> None:
        """Run a last coroutine, then stop the loop and cancel what still runs in it.

        Waits until the thread has ended, unless called from the loop's own thread. In a forked process it does
        nothing.
        """
        if self._pid != os.getpid():
            if last is not None:
                last.close()
            return
        with self._guard:
            if not self._stopped:
                self._stopped = True
                self._loop.call_soon_threadsafe(self._begin_to_end, last)
            elif last is not None:
                last.close()
        if not self.is_current():
            self._thread.join()

    def _begin_to_end(self, last: Coroutine[Any, Any, None] | None) -> None:
        self._end = asyncio.ensure_future(self._finish(last))

    async def _finish(self, last: Coroutine[Any, Any, None] | None) -> None:
        try:
            if last is not None:
                await last
        except Exception:
            logger.exception("The thread %s did not end in good order", self._thread.name)
        finally:
            while tasks := asyncio.all_tasks() - {self._end}:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            self._loop.stop()
