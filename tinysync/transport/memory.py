"""Links inside one process: the twin of the websocket transport, for tests and simulations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tinysync.errors import InvalidAddress, LinkClosed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

QUEUED_FRAMES: Final = 16


class MemoryLink:
    """One end of a link within an event loop; ``cut`` breaks it without a word."""

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._changed = asyncio.Event()
        """Set when frames were taken from ``_arrived``, or the link went down."""
        self._down = False
        self._other: MemoryLink = self

    @classmethod
    def pair(cls, max_frame: int) -> tuple[MemoryLink, MemoryLink]:
        """Return the two ends of a new link."""
        one, other = cls(max_frame), cls(max_frame)
        one._other, other._other = other, one
        return one, other

    async def send(self, frame: bytes) -> None:
        """Send a frame; waits while the other side is slow."""
        while not self.send_now([frame]):
            if self._down:
                raise LinkClosed("the link went down")
            self._other._changed.clear()
            await self._other._changed.wait()

    def send_now(self, frames: Collection[bytes]) -> bool:
        """Send frames without waiting, if there is room on the other side; else return False."""
        if self._down or self._other._arrived.qsize() >= QUEUED_FRAMES:
            return False
        for frame in frames:
            self._other._arrived.put_nowait(frame)
        return True

    async def receive(self) -> bytes:
        """Return the next frame; raises ProtocolError for one that is too large."""
        if self._down and self._arrived.empty():
            raise LinkClosed("the link went down")
        frame = await self._arrived.get()
        self._changed.set()
        if frame is None:
            raise LinkClosed("the link went down")
        if len(frame) > self._max_frame:
            raise ProtocolError(f"a frame of {len(frame)} bytes is over {self._max_frame}", "too-large")
        return frame

    async def close(self) -> None:
        """Close the link; what was sent still arrives."""
        for end in (self, self._other):
            if not end._down:
                end._down = True
                end._arrived.put_nowait(None)
                end._changed.set()

    async def cut(self) -> None:
        """Break the link: what is on its way is lost."""
        for end in (self, self._other):
            while not end._arrived.empty():
                end._arrived.get_nowait()
        await self.close()


class MemoryListener:
    """A name under which links come in."""

    def __init__(self, transport: MemoryTransport, address: str) -> None:
        self._transport = transport
        self._address = address

    @property
    def address(self) -> str:
        """The name."""
        return self._address

    async def close(self) -> None:
        """Take no more links, and close those that came in."""
        await self._transport.shut(self._address)


class MemoryTransport:
    """All names and links of one simulated network; used within one event loop."""

    def __init__(self, max_frame: int = 64 << 20) -> None:
        self._max_frame = max_frame
        self._listening: dict[str, Callable[[MemoryLink], Awaitable[None]]] = {}
        self._handlers: dict[str, set[asyncio.Task[None]]] = {}
        self._links: dict[str, list[MemoryLink]] = {}

    async def connect(self, address: str) -> MemoryLink:
        """Return a link to a name; raises LinkClosed if nobody listens there."""
        on_link = self._listening.get(address)
        if on_link is None:
            raise LinkClosed(f"nobody answers at {address!r}")
        ours, theirs = MemoryLink.pair(self._max_frame)
        self._links[address].append(theirs)

        async def handle() -> None:
            try:
                await on_link(theirs)
            finally:
                await theirs.close()

        task = asyncio.ensure_future(handle())
        self._handlers[address].add(task)
        task.add_done_callback(self._handlers[address].discard)
        return ours

    async def listen(self, address: str, on_link: Callable[[MemoryLink], Awaitable[None]]) -> MemoryListener:
        """Take links under a name; raises InvalidAddress if it is taken."""
        if address in self._listening:
            raise InvalidAddress(f"cannot listen on {address!r}: somebody does already; choose another name")
        self._listening[address] = on_link
        self._handlers[address] = set()
        self._links[address] = []
        return MemoryListener(self, address)

    async def shut(self, address: str) -> None:
        """Stop listening under a name and close the links that came in there."""
        self._listening.pop(address, None)
        for link in self._links.pop(address, ()):
            await link.close()
        handlers = self._handlers.pop(address, set())
        if handlers:
            await asyncio.wait(handlers)
