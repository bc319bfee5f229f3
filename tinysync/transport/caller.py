"""The near end of a link to another device: it checks who answers, and says why it was refused."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake, InvalidStatus

from tinysync.errors import LinkRefused
from tinysync.transport.refusals import reason_of
from tinysync.transport.shortcut import Shortcut

if TYPE_CHECKING:
    from tinysync.transport.security import Security

_FORBIDDEN: Final = 403


class Caller(Shortcut, ClientConnection):
    """A link to another device; without security it is just a websocket."""

    def __init__(self, *args: Any, security: Security | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._security = security
        self.fingerprint = ""
        """Of the device at the other end, once it is known."""
        self._refusal: LinkRefused | None = None
        self._end: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check who it is that answers, before anything is sent or read."""
        if self._security is not None:
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            try:
                self.fingerprint = self._security.admit(certificate)
            except LinkRefused as refusal:
                self._refusal = refusal
        super().connection_made(transport)
        if self._refusal is not None:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what came in, unless it comes from somebody who may not link."""
        if self._refusal is None:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the link."""
        self._end = exc
        super().connection_lost(exc)

    async def handshake(self, *args: Any, **options: Any) -> None:
        """Make a websocket of the link; raises LinkRefused if one side does not want it."""
        if self._refusal is not None:
            await asyncio.wait([self.connection_lost_waiter])
            raise self._refusal
        try:
            await super().handshake(*args, **options)
        except InvalidHandshake as error:
            # With TLS 1.3 the other side has checked this one only by now.
            if isinstance(self._end, ssl.SSLError):
                raise LinkRefused(reason_of(self._end)) from error
            if (
                self._security is not None
                and isinstance(error, InvalidStatus)
                and error.response.status_code == _FORBIDDEN
            ):
                raise LinkRefused(
                    "this device is not in its list of allowed devices; on that device, pair "
                    f"{self._security.fingerprint}",
                ) from error
            raise
