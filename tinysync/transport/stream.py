"""A bounded queue from any thread into one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

Item = TypeVar("Item")


class _Gap:
    """Stands where items were dropped."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Stream(Generic[Item]):
    """An asynchronous iterator over what is put in; made in a running event loop, and read there.

    Whoever puts never waits: over ``limit`` waiting items, new ones are dropped, and where they are missing the
    reader gets the exception that ``missed`` makes of their number. The iterator goes on after that.
    """

    def __init__(self, limit: int, missed: Callable[[int], Exception]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._missed = missed
        self._items: deque[Item | _Gap] = deque()
        self._guard = threading.Lock()
        self._arrived = asyncio.Event()
        self._ended = False

    def put(self, items: Iterable[Item]) -> None:
        """Add items, from any thread."""
        with self._guard:
            for item in items:
                if self._ended:
                    return
                if len(self._items) < self._limit:
                    self._items.append(item)
                    continue
                gap = self._items[-1]
                if not isinstance(gap, _Gap):
                    gap = _Gap()
                    self._items.append(gap)
                gap.count += 1
        self._wake()

    def end(self) -> None:
        """Let the iterator end behind what was put in, from any thread."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        # A loop that is closed has no reader any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._arrived.set)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            with self._guard:
                self._arrived.clear()
                item = self._items.popleft() if self._items else None
            if isinstance(item, _Gap):
                raise self._missed(item.count)
            if item is not None:
                return item
            if self._ended:
                raise StopAsyncIteration
            await self._arrived.wait()
