"""Links inside one process, without sockets: the twin of the websocket transport, for tests and simulations."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tinysync.errors import InvalidAddress, LinkClosed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

QUEUED_FRAMES: Final = 16


class MemoryLink:
    """One end of a link; each end belongs to the event loop that it was made for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_frame: int, guard: threading.Lock) -> None:
        self._loop = loop
        self._max_frame = max_frame
        self._guard = guard
        """Held while either end changes."""
        self._arrived: deque[bytes] = deque()
        self._changed = asyncio.Event()
        """Set when frames arrived or were taken on the other side, or the link went down."""
        self._down = False
        self._take: Callable[[bytes], bool] | None = None
        self._is_awaited = False
        """Whether somebody waits for a frame."""
        self._other: MemoryLink = self
        self.fingerprint: str | None = None
        self.origin = "from this process"

    @classmethod
    def pair(
        cls, one: asyncio.AbstractEventLoop, other: asyncio.AbstractEventLoop, max_frame: int
    ) -> tuple[MemoryLink, MemoryLink]:
        """Return the two ends of a new link, for the loops that they are for."""
        guard = threading.Lock()
        first, second = cls(one, max_frame, guard), cls(other, max_frame, guard)
        first._other, second._other = second, first
        return first, second

    async def send(self, frame: bytes) -> None:
        """Send a frame; waits while the other side is slow."""
        while True:
            self._changed.clear()
            if self.send_now([frame]):
                return
            if self._down:
                raise LinkClosed("the link went down")
            await self._changed.wait()

    def send_now(self, frames: Collection[bytes]) -> bool:
        """Send frames without waiting, if there is room on the other side; else return False."""
        with self._guard:
            if self._down or len(self._other._arrived) >= QUEUED_FRAMES:
                return False
            self._other._arrived.extend(frames)
        self._other._wake()
        return True

    async def receive(self) -> bytes:
        """Return the next frame; raises ProtocolError for one that is too large."""
        while True:
            self._changed.clear()
            with self._guard:
                frame = self._arrived.popleft() if self._arrived else None
                down = self._down
            if frame is not None:
                break
            if down:
                raise LinkClosed("the link went down")
            self._is_awaited = True
            try:
                await self._changed.wait()
            finally:
                self._is_awaited = False
        self._other._wake()
        if len(frame) > self._max_frame:
            raise ProtocolError(f"a frame of {len(frame)} bytes is over {self._max_frame}", "too-large")
        return frame

    def take_at_once(self, take: Callable[[bytes], bool]) -> None:
        """Offer frames to a function as they arrive, while ``receive`` waits for one."""
        self._take = take

    def trust(self) -> None:
        """Do nothing: frames of all sizes are in this process already."""

    async def is_alive(self, _seconds: float) -> bool:
        """Tell whether the link is up: nothing can be lost on it."""
        return not self._down

    def abort(self) -> None:
        """Break the link off."""
        self.cut()

    async def close(self) -> None:
        """Close the link; what was sent still arrives."""
        self._shut()

    def cut(self) -> None:
        """Break the link without a word, from any thread: what is on its way is lost."""
        with self._guard:
            self._arrived.clear()
            self._other._arrived.clear()
        self._shut()

    def _shut(self) -> None:
        with self._guard:
            self._down = self._other._down = True
        self._wake()
        self._other._wake()

    def _wake(self) -> None:
        # Nobody waits in a loop that is closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        while self._is_awaited and self._take is not None:
            with self._guard:
                frame = self._arrived[0] if self._arrived else None
            if frame is None or len(frame) > self._max_frame or not self._take(frame):
                break
            with self._guard:
                if self._arrived:  # it was not cut meanwhile
                    self._arrived.popleft()
            self._other._wake()
        self._is_awaited = False  # what waits must not be overtaken
        self._changed.set()


@dataclass(eq=False)
class _Place:
    """Somebody who listens."""

    loop: asyncio.AbstractEventLoop
    on_link: Callable[[MemoryLink], Awaitable[None]]
    handlers: set[asyncio.Task[None]] = field(default_factory=set)
    links: set[MemoryLink] = field(default_factory=set)

    def take(self, link: MemoryLink) -> None:
        """Serve a link, in the loop of the place."""
        task = asyncio.ensure_future(self._serve(link))
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)

    async def _serve(self, link: MemoryLink) -> None:
        self.links.add(link)
        try:
            await self.on_link(link)
        finally:
            self.links.discard(link)
            await link.close()


class MemoryNetwork:
    """The places of one simulated network and the links between them; used from any thread.

    A place is an address that somebody listens at. ``partition`` says who can reach whom; who connects is known by
    the address that he gives to ``MemoryTransport``.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.places: dict[str, _Place] = {}
        self._links: list[tuple[str, str, MemoryLink]] = []
        self._groups: dict[str, int] = {}

    def partition(self, *groups: Collection[str]) -> None:
        """Let addresses reach only those of their own group; those in no group reach each other. Cuts links."""
        with self._guard:
            self._groups = {address: number for number, group in enumerate(groups, 1) for address in group}
            kept = []
            for one, other, link in self._links:
                if self.are_joined(one, other):
                    kept.append((one, other, link))
                else:
                    link.cut()
            self._links = kept

    def are_joined(self, one: str, other: str) -> bool:
        """Tell whether two addresses can reach each other."""
        return self._groups.get(one, 0) == self._groups.get(other, 0)

    def link(self, one: str, other: str, max_frame: int) -> MemoryLink:
        """Return a link from the running loop to an address; raises LinkClosed."""
        with self._guard:
            place = self.places.get(other)
            if place is None or not self.are_joined(one, other):
                raise LinkClosed(f"nobody answers at {other!r}")
            ours, theirs = MemoryLink.pair(asyncio.get_running_loop(), place.loop, max_frame)
            self._links = [entry for entry in self._links if not entry[2]._down]
            self._links.append((one, other, ours))
            place.loop.call_soon_threadsafe(place.take, theirs)
        return ours


class MemoryListener:
    """A place of a network."""

    def __init__(self, network: MemoryNetwork, address: str) -> None:
        self._network = network
        self._place = network.places[address]
        self.address = address
        """The address that others connect to."""

    async def close(self) -> None:
        """Take no more links, and close those that came in."""
        if self._network.places.get(self.address) is self._place:
            del self._network.places[self.address]
        # What connected just before is served by a callback that is due already.
        await asyncio.sleep(0)
        for link in tuple(self._place.links):
            await link.close()
        if self._place.handlers:
            await asyncio.wait(set(self._place.handlers))


class MemoryTransport:
    """The transport of one device of a simulated network; ``own`` is its address there."""

    def __init__(self, max_frame: int, network: MemoryNetwork | None = None, own: str = "") -> None:
        self._max_frame = max_frame
        self._network = network or MemoryNetwork()
        self._own = own

    async def connect(self, address: str) -> MemoryLink:
        """Return a link to an address; raises LinkClosed if nobody listens there, or cannot be reached."""
        return self._network.link(self._own, address, self._max_frame)

    async def listen(self, address: str, on_link: Callable[[MemoryLink], Awaitable[None]]) -> MemoryListener:
        """Take links at an address; raises InvalidAddress if it is taken."""
        if address in self._network.places:
            raise InvalidAddress(f"cannot listen on {address!r}: somebody does already; choose another name")
        self._network.places[address] = _Place(asyncio.get_running_loop(), on_link)
        return MemoryListener(self._network, address)
