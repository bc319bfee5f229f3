"""Links over websockets: one binary message a frame."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tinysync.errors import InvalidAddress, LinkClosed, ProtocolError
from tinysync.transport.addresses import Address, parse_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.server import Server, ServerConnection

OPEN_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 2.0
PING_SECONDS: Final = 20.0
QUEUED_FRAMES: Final = 16


class WebSocketLink:
    """A link over one websocket."""

    def __init__(self, socket: ClientConnection | ServerConnection) -> None:
        self._socket = socket

    async def send(self, frame: bytes) -> None:
        """Send a frame; waits while the other side is slow."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise LinkClosed(f"the link went down: {error}") from None

    def send_now(self, frame: bytes) -> bool:
        """Send a frame without waiting, if nothing waits to be sent; else return False."""
        if self._socket.transport.get_write_buffer_size():
            return False
        broadcast([self._socket], frame)
        return True

    async def receive(self) -> bytes:
        """Return the next frame; raises ProtocolError for a text message."""
        try:
            frame = await self._socket.recv()
        except ConnectionClosed as error:
            raise LinkClosed(f"the link went down: {error}") from None
        if isinstance(frame, str):
            raise ProtocolError("the peer sent a text message; frames are binary", "malformed")
        return frame

    async def close(self) -> None:
        """Close the link after what was sent."""
        await self._socket.close()


class WebSocketListener:
    """A websocket server."""

    def __init__(self, server: Server, address: Address) -> None:
        self._server = server
        self._address = address

    @property
    def address(self) -> str:
        """The ``ws://`` URL, with the port that is really listened on."""
        return str(self._address)

    async def close(self) -> None:
        """Take no more links and close those that came in."""
        self._server.close()
        await self._server.wait_closed()


class WebSocketTransport:
    """Connects and listens by websockets; ``max_frame`` bytes is the largest message taken."""

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame

    async def connect(self, address: str) -> WebSocketLink:
        """Return a link to a ``ws://`` address; raises InvalidAddress, or LinkClosed if nobody answers there."""
        url = str(parse_address(address))
        try:
            socket = await connect(
                url,
                compression=None,
                max_size=self._max_frame,
                max_queue=QUEUED_FRAMES,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
            raise LinkClosed(f"nobody answers at {url}: {error}") from error
        return WebSocketLink(socket)

    async def listen(
        self,
        address: str,
        on_link: Callable[[WebSocketLink], Awaitable[None]],
    ) -> WebSocketListener:
        """Run ``on_link`` for each link that comes in; raises InvalidAddress if the port is in use."""
        place = parse_address(address, listening=True)

        async def handle(socket: ServerConnection) -> None:
            await on_link(WebSocketLink(socket))

        try:
            server = await serve(
                handle,
                place.host,
                place.port,
                compression=None,
                max_size=self._max_frame,
                max_queue=QUEUED_FRAMES,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
            )
        except OSError as error:
            advice = "another program listens there; choose another port, or 0 for any free one"
            if error.errno != errno.EADDRINUSE:
                advice = "choose an address of this machine and a port that this user may listen on"
            raise InvalidAddress(f"cannot listen on {address!r}: {error.strerror or error}; {advice}") from error
        port = next(iter(server.sockets)).getsockname()[1]
        return WebSocketListener(server, Address(place.host, port))
