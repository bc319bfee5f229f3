"""The TLS handshakes of links that come in: nothing of a link is read before it has shown who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import ServerConnection

from tinysync.errors import LinkRefused
from tinysync.transport.refusals import TOO_MANY, Refusals, reason_of
from tinysync.transport.shortcut import Shortcut

if TYPE_CHECKING:
    from tinysync.transport.security import Security

Admit = Callable[[ServerConnection, asyncio.BaseTransport], bool]
"""Tells whether a link that came in may go on; if not, it was broken off."""

HANDSHAKE_SECONDS: Final = 10.0
LAST_WORD_SECONDS: Final = 2.0

NOT_ALLOWED: Final = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""What a member of the group is told that is not allowed here."""


class Visitor(Shortcut, ServerConnection):
    """A link that came in, which becomes a websocket once the doorkeeper lets it in."""

    def __init__(self, *args: Any, doorkeeper: Doorkeeper, admit: Admit, **options: Any) -> None:
        super().__init__(*args, **options)
        self._admit = admit
        self.fingerprint = ""
        """Of the device at the other end, once it is known."""
        self.origin = ""
        self._doorkeeper = doorkeeper
        self._is_in = False
        self._has_spoken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have the link checked."""
        assert isinstance(transport, asyncio.Transport)
        if not self._admit(self, transport):
            return
        transport.pause_reading()
        self._doorkeeper.check(self, transport)

    def let_in(self, transport: asyncio.Transport, early: bytes) -> None:
        """Begin to talk over a link, with what it has sent already."""
        self._is_in = True
        transport.set_protocol(self)
        super().connection_made(transport)
        if early:
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        self._has_spoken = True
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the link."""
        if not self._is_in:
            return
        if not self._has_spoken:
            self._doorkeeper.was_left(self)
        super().connection_lost(exc)


class Stranger(Shortcut, ServerConnection):
    """A link that came in where there is no key: whoever begins with TLS is told apart in the log."""

    def __init__(self, *args: Any, refusals: Refusals, admit: Admit, **options: Any) -> None:
        super().__init__(*args, **options)
        self._refusals: Refusals | None = refusals
        self._admit = admit
        self._is_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to talk over a link, unless there are too many."""
        self._is_in = self._admit(self, transport)
        if self._is_in:
            super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the link."""
        if self._is_in:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        if self._refusals is not None and data.startswith(b"\x16\x03"):
            self._refusals.report(origin(self.transport), "it uses TLS, and this Peer has no key; give it one")
        self._refusals = None
        super().data_received(data)


class _Early(asyncio.Protocol):
    """Keeps what comes right behind the handshake."""

    def __init__(self) -> None:
        self.data = b""
        self.is_lost = False
        self.heard = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.heard.set()

    def connection_lost(self, _: Exception | None) -> None:
        self.is_lost = True
        self.heard.set()


class Doorkeeper:
    """Makes the handshakes of links that come in, a bounded number of them at a time.

    When there are too many, the oldest gives way, as it is the slowest.
    """

    def __init__(self, security: Security, refusals: Refusals, max_handshakes: int) -> None:
        self._security = security
        self._max_handshakes = max_handshakes
        self._refusals = refusals
        self._checks: dict[asyncio.Task[None], str] = {}
        """Where each comes from."""

    def check(self, visitor: Visitor, transport: asyncio.Transport) -> None:
        """Let a visitor in if it is of the group and allowed; else close the link."""
        visitor.origin = origin(transport)
        if len(self._checks) >= self._max_handshakes:
            slowest, whence = next(iter(self._checks.items()))
            slowest.cancel()
            self._refusals.report(whence, TOO_MANY)

        def ended(task: asyncio.Task[None]) -> None:
            del self._checks[task]
            if task.cancelled():  # maybe before it has begun
                transport.abort()

        task = asyncio.ensure_future(self._check(visitor, transport))
        self._checks[task] = visitor.origin
        task.add_done_callback(ended)

    async def close(self) -> None:
        """Break off what goes on."""
        checks = list(self._checks)
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    async def _check(self, visitor: Visitor, transport: asyncio.Transport) -> None:
        early = _Early()
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                encrypted = await asyncio.get_running_loop().start_tls(
                    transport,
                    early,
                    self._security.server,
                    server_side=True,
                    ssl_shutdown_timeout=LAST_WORD_SECONDS,
                )
        except OSError as error:  # TimeoutError and all of ssl's are some, too
            transport.abort()
            self._refusals.report(visitor.origin, reason_of(error))
        except BaseException:
            transport.abort()
            raise
        else:
            assert encrypted is not None
            await self._admit(visitor, encrypted, early)

    async def _admit(self, visitor: Visitor, transport: asyncio.Transport, early: _Early) -> None:
        try:
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            visitor.fingerprint = self._security.admit(certificate)
        except LinkRefused as refusal:
            self._refusals.report(visitor.origin, str(refusal))
            await _turn_away(transport, early)
        except BaseException:
            transport.abort()
            raise
        else:
            if early.is_lost:
                self.was_left(visitor)
            else:
                visitor.let_in(transport, early.data)

    def was_left(self, visitor: Visitor) -> None:
        """Note that a visitor who was let in went without a word."""
        self._refusals.report(
            visitor.origin,
            f"the device {visitor.fingerprint} does not go on; it may not have this one in its list of allowed "
            f"devices: there, pair {self._security.fingerprint}",
        )


async def _turn_away(transport: asyncio.Transport, early: _Early) -> None:
    """Answer what a visitor asks, whatever it is."""
    try:
        # Before its request has come, the answer could be lost with the connection.
        async with asyncio.timeout(LAST_WORD_SECONDS):
            await early.heard.wait()
        transport.write(NOT_ALLOWED)
        transport.close()
    except TimeoutError:
        transport.abort()
    except BaseException:
        transport.abort()
        raise


def origin(transport: asyncio.BaseTransport) -> str:
    """Say where a link comes from."""
    host = host_of(transport)
    return f"from {host}" if host else "from somebody who has left"


def host_of(transport: asyncio.BaseTransport) -> str:
    """Return the address that a link comes from, empty if it is gone."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if name else ""
