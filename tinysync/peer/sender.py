"""What goes out on one link: the frames of its session, as fast as the link takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from tinysync.errors import LinkClosed
from tinysync.protocol.session import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.protocol.events import Event
    from tinysync.protocol.session import Session
    from tinysync.protocol.yjs import YjsSession
    from tinysync.transport.link import Link

ACK_SECONDS: Final = 0.001
"""How long an acknowledgement waits for an update to travel with."""
MAX_OUTBOX: Final = 4
"""How many frames wait for a slow link; the rest stays in the session, where it is joined and bounded."""


class Sender:
    """Takes frames from a session and sends them; ``handle`` is called with the events that this leads to.

    All methods are called in the loop.
    """

    def __init__(
        self,
        link: Link,
        session: Session | YjsSession,
        loop: asyncio.AbstractEventLoop,
        handle: Callable[[list[Event]], None],
    ) -> None:
        self.sent = asyncio.Event()
        """Set when the session is closed and all was sent, or the link is down."""
        self._link = link
        self._session = session
        self._loop = loop
        self._handle = handle
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._is_sending = False
        self._pump_is_due = False
        self._ack_is_due = False

    async def run(self) -> None:
        """Send until the session is closed or the link is down, then close the link."""
        session = self._session
        try:
            while self._outbox or session.state is not LinkState.CLOSED:
                if not self._outbox and not session.has_more:
                    await self._wake.wait()
                self._wake.clear()
                self.pump()
                self._is_sending = True
                while self._outbox:
                    await self._link.send(self._outbox.popleft())
                self._is_sending = False
            self.sent.set()
            await self._link.close()
        except LinkClosed:
            pass  # the reader learns it too, and says so
        finally:
            self.sent.set()

    def pump(self) -> None:
        """Take from the session what can be sent, unless the link has enough to do."""
        self._pump_is_due = False
        session, outbox = self._session, self._outbox
        if len(outbox) < MAX_OUTBOX or session.state is LinkState.CLOSED:
            outbox.extend(session.frames_to_send())
            self._handle(session.events())
        # Without a detour over `run`, if possible: that would take one more turn of the loop.
        if outbox and not self._is_sending and self._link.send_now(outbox):
            outbox.clear()
        if outbox or session.has_more or session.state is LinkState.CLOSED:
            self._wake.set()

    def pump_soon(self) -> None:
        """Call `pump` in the next turn of the loop."""
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self.pump)

    def acknowledge_soon(self) -> None:
        """Send acknowledgements in a moment, unless they travel with something else until then."""
        if not self._ack_is_due:
            self._ack_is_due = True
            self._loop.call_later(ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        self._ack_is_due = False
        if self._session.has_acks:
            self.pump()
