"""Links over websockets: one binary message a frame."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import ssl
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.protocol import State

from tinysync.errors import InvalidAddress, LinkClosed, LinkRefused, ProtocolError
from tinysync.transport.addresses import Address, parse_address
from tinysync.transport.caller import Caller
from tinysync.transport.doorkeeper import LAST_WORD_SECONDS, Doorkeeper, Stranger, Visitor, host_of, origin
from tinysync.transport.rates import Rates
from tinysync.transport.refusals import NEEDS_KEY, NEEDS_NO_KEY, NOBODY, Refusals, reason_of
from tinysync.transport.shortcut import Shortcut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from websockets.asyncio.server import Server, ServerConnection

    from tinysync.transport.security import Security

OPEN_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 1.0
PING_SECONDS: Final = 20.0
QUEUED_FRAMES: Final = 4
logger = logging.getLogger("tinysync.websockets")
# What strangers do to an open port is for those who look for it, not for everybody's terminal.
logger.addHandler(logging.NullHandler())


def break_off(socket: ServerConnection) -> None:
    """Break off a link that is coming in."""
    if hasattr(socket, "transport"):  # else its handshake is still going on, and the doorkeeper has its eye on it
        socket.transport.abort()


def cannot_listen(address: str, error: OSError) -> InvalidAddress:
    """Return what to raise where an address cannot be listened at."""
    advice = "another program listens there; choose another port, or 0 for any free one"
    if error.errno != errno.EADDRINUSE:
        advice = "choose an address of this machine and a port that this user may listen on"
    return InvalidAddress(f"cannot listen on {address!r}: {error.strerror or error}; {advice}")


def _in_short(error: Exception) -> str:
    """Return what the system says of an attempt to connect, without the address, which is known."""
    if isinstance(error, OSError) and error.errno and error.strerror:
        # Those below 0 are not of the system.
        return os.strerror(error.errno) if error.errno > 0 else error.strerror
    return str(error) or type(error).__name__


class WebSocketLink:
    """A link over one websocket."""

    def __init__(self, socket: Shortcut, max_frame: int) -> None:
        self._socket = socket
        self._max_frame = max_frame
        self.fingerprint: str | None = getattr(socket, "fingerprint", None) or None
        self.origin = origin(socket.transport)

    async def send(self, frame: bytes) -> None:
        """Send a frame; waits while the other side is slow."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise LinkClosed(f"the link went down: {error}") from None

    def send_now(self, frames: Collection[bytes]) -> bool:
        """Send frames in one write and without waiting, if nothing waits to be sent; else return False."""
        protocol, transport = self._socket.protocol, self._socket.transport
        if protocol.state is not State.OPEN or transport.get_write_buffer_size():
            return False
        for frame in frames:
            protocol.send_binary(frame)
        transport.writelines(protocol.data_to_send())
        return True

    async def receive(self) -> bytes:
        """Return the next frame; raises ProtocolError for a text message."""
        try:
            self._socket.is_awaited = True
            frame = await self._socket.recv()
        except ConnectionClosed as error:
            raise LinkClosed(f"the link went down: {error}") from None
        finally:
            self._socket.is_awaited = False
        if isinstance(frame, str):
            raise ProtocolError("the peer sent a text message; frames are binary", "malformed")
        return frame

    def take_at_once(self, take: Callable[[bytes], bool]) -> None:
        """Offer frames to a function as they arrive, while ``receive`` waits for one."""
        self._socket.take = take

    def trust(self) -> None:
        """Take frames of the full size from now on.

        The frame that comes next is excepted, as the library has begun to wait for it.
        """
        self._socket.protocol.max_message_size = self._max_frame

    async def is_alive(self, seconds: float) -> bool:
        """Tell whether the other side answers a ping within so many seconds (RFC 6455, section 5.5.2)."""
        try:
            async with asyncio.timeout(seconds):
                await (await self._socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    def abort(self) -> None:
        """Break the link off, without a word."""
        self._socket.transport.abort()

    async def linger(self, seconds: float) -> None:
        """Return when the link is down, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._socket.wait_closed(), seconds)

    async def close(self) -> None:
        """Close the link after what was sent, or after a second if the other side does not take it."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close()
        except TimeoutError:
            # The goodbye waits for room in the write buffer, and there will be none.
            self._socket.transport.abort()
            await self._socket.wait_closed()
        except BaseException:
            self._socket.transport.abort()
            raise


class WebSocketListener:
    """A websocket server."""

    def __init__(
        self,
        server: Server,
        address: Address,
        links: set[WebSocketLink],
        opening: Collection[ServerConnection],
        doorkeeper: Doorkeeper | None,
    ) -> None:
        self._server = server
        self._address = address
        self._links = links
        self._opening = opening
        self._doorkeeper = doorkeeper

    @property
    def address(self) -> str:
        """The URL, with the port that is really listened on."""
        return str(self._address)

    async def close(self) -> None:
        """Take no more links and close those that came in."""
        self._server.close(close_connections=False)
        for socket in self._opening:
            break_off(socket)
        if self._doorkeeper is not None:
            await self._doorkeeper.close()
        await asyncio.gather(*[link.close() for link in self._links])
        await self._server.wait_closed()


class WebSocketTransport:
    """Connects and listens by websockets; ``max_frame`` bytes is the largest message taken.

    Until a link is trusted that is ``max_first_frame``. Of links that come in, ``max_handshakes`` may be in the
    making at once, where the oldest gives way, and ``handshakes_per_second`` may begin from each address.

    With ``security`` links are encrypted, and made only with those that it admits: of all others nothing is read.
    """

    def __init__(
        self,
        max_frame: int,
        security: Security | None = None,
        *,
        max_first_frame: int | None = None,
        max_handshakes: int = 64,
        handshakes_per_second: int = 20,
    ) -> None:
        self._max_frame = max_frame
        self._max_first_frame = max_first_frame or max_frame
        self._max_handshakes = max_handshakes
        self._handshakes_per_second = handshakes_per_second
        self._security = security
        self._refusals = Refusals()

    async def connect(self, address: str) -> WebSocketLink:
        """Return a link to an address; raises InvalidAddress, LinkClosed if nobody answers, and LinkRefused."""
        place = parse_address(address, secure=self._security is not None)
        encryption: dict[str, Any] = {}
        if self._security is not None:
            # No host is named in clear: what answers is known by its certificate, wherever it is found.
            encryption = {
                "ssl": self._security.client,
                "server_hostname": "",
                "ssl_shutdown_timeout": LAST_WORD_SECONDS,
            }
        try:
            socket = await connect(
                str(place),
                # Named again, so that no redirect can lead anywhere else.
                host=place.host,
                port=place.port,
                compression=None,
                max_size=self._max_first_frame,
                max_queue=QUEUED_FRAMES,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                proxy=None,
                logger=logger,
                create_connection=partial(Caller, security=self._security),  # type: ignore[arg-type]  # any factory will do
                **encryption,
            )
        except (ssl.SSLError, LinkRefused) as error:
            reason = str(error) if isinstance(error, LinkRefused) else reason_of(error)
            raise LinkRefused(f"no link to {place}: {reason}", reason) from error
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, ValueError) as error:
            reason = f"{NOBODY} ({_in_short(error)})"
            if isinstance(error, InvalidMessage | ConnectionResetError | ConnectionAbortedError):
                reason = NEEDS_NO_KEY if self._security else NEEDS_KEY
            raise LinkClosed(f"no link to {place}: {reason}", reason) from error
        assert isinstance(socket, Caller)
        return WebSocketLink(socket, self._max_frame)

    async def listen(
        self,
        address: str,
        on_link: Callable[[WebSocketLink], Awaitable[None]],
    ) -> WebSocketListener:
        """Run ``on_link`` for each link that comes in; raises InvalidAddress if the port is in use.

        Browsers are turned away, as any page in one could connect to this machine.
        """
        place = parse_address(address, listening=True, secure=self._security is not None)
        links: set[WebSocketLink] = set()
        doorkeeper = None
        if self._security is not None:
            doorkeeper = Doorkeeper(self._security, self._refusals, self._max_handshakes)
        rates = Rates(self._handshakes_per_second)
        opening: dict[ServerConnection, None] = {}
        """Links that came in and are no websockets yet."""

        async def handle(socket: ServerConnection) -> None:
            opening.pop(socket, None)
            assert isinstance(socket, Shortcut)
            link = WebSocketLink(socket, self._max_frame)
            links.add(link)
            try:
                await on_link(link)
            finally:
                await link.close()
                links.discard(link)

        def admit(socket: ServerConnection, transport: asyncio.BaseTransport) -> bool:
            assert isinstance(transport, asyncio.Transport)
            if not rates.admits(host_of(transport)):
                self._refusals.report(origin(transport), "links come from there too often")
                transport.abort()
                return False
            if len(opening) >= self._max_handshakes:
                slowest = next(iter(opening))
                del opening[slowest]
                break_off(slowest)
            opening[socket] = None
            return True

        def receive(*args: Any, **options: Any) -> ServerConnection:
            if doorkeeper is None:
                return Stranger(*args, **options, refusals=self._refusals, admit=admit)
            return Visitor(*args, **options, doorkeeper=doorkeeper, admit=admit)

        try:
            server = await serve(
                handle,
                place.host,
                place.port,
                origins=[None],
                compression=None,
                max_size=self._max_first_frame,
                max_queue=QUEUED_FRAMES,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                logger=logger,
                create_connection=receive,  # type: ignore[arg-type]  # any factory will do
            )
        except OSError as error:
            raise cannot_listen(address, error) from error
        port = next(iter(server.sockets)).getsockname()[1]
        return WebSocketListener(server, replace(place, port=port), links, opening, doorkeeper)
