"""What moves frames between two peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection


class Link(Protocol):
    """One connection: frames arrive whole and in order, or not at all.

    ``send`` and ``receive`` raise LinkClosed once the link is down, for whatever reason.
    """

    @property
    def fingerprint(self) -> str | None:
        """That of the device at the other end, which was checked; None without security."""

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""

    async def send(self, frame: bytes) -> None:
        """Send a frame; waits while the other side is slow."""

    def send_now(self, frames: Collection[bytes]) -> bool:
        """Send frames at once and without waiting, if nothing else waits to be sent; else return False."""

    async def receive(self) -> bytes:
        """Return the next frame."""

    def take_at_once(self, take: Callable[[bytes], bool]) -> None:
        """Offer frames to a function as they arrive, while ``receive`` waits for one.

        Those for which it returns False ``receive`` returns, in order with the others. It must not raise.
        """

    def trust(self) -> None:
        """Take frames of the full size from now on: the other side has introduced itself."""

    async def is_alive(self, seconds: float) -> bool:
        """Tell whether the other side answers within so many seconds."""

    def abort(self) -> None:
        """Break the link off, without a word."""

    async def close(self) -> None:
        """Close the link after what was sent; closing twice is fine."""


class Listener(Protocol):
    """A place where links come in."""

    @property
    def address(self) -> str:
        """The address that others connect to."""

    async def close(self) -> None:
        """Take no more links; those that came in are closed."""


class Transport(Protocol):
    """A way to reach peers."""

    async def connect(self, address: str) -> Link:
        """Return a link to the peer at an address; raises LinkClosed if there is none."""

    async def listen(self, address: str, on_link: Callable[[Link], Awaitable[None]]) -> Listener:
        """Run ``on_link`` for each link that comes in; raises InvalidAddress if the place is taken."""
