"""Waiting for a turn without blocking an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Turns:
    """Tasks, of any event loops, that wait until something that is held can be taken."""

    def __init__(self) -> None:
        self.waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        """Those that have not been woken."""

    async def take(self, try_take: Callable[[], bool]) -> None:
        """Return once ``try_take()`` returned True; it is tried again after each ``wake``."""
        loop = asyncio.get_running_loop()
        while not try_take():
            turn: asyncio.Future[None] = loop.create_future()
            entry = (loop, turn)
            self.waiting.append(entry)
            # What was held may have been released between the attempt and the entry in the queue.
            if try_take():
                self.waiting.remove(entry)
                return
            await turn

    def wake(self) -> None:
        """Let all that wait try again; from any thread."""
        while self.waiting:
            loop, turn = self.waiting.pop()
            # Who waited in a loop that is closed has gone.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, turn)


def _finish(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
