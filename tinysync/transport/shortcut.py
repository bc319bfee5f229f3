"""Messages of a websocket that are taken as they arrive.

Whoever waits for a message is woken in the next turn of the event loop. Where a link is quick that turn is a good
part of the time that a message takes, so it is spared if somebody waits anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.asyncio.connection import Connection
from websockets.frames import DATA_OPCODES, Frame, Opcode

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.protocol import Event


class Shortcut(Connection):
    """A websocket of which ``take`` gets a message at once while it ``is_awaited``; it returns False to decline.

    What it declines, and everything that comes in fragments, is received as usual.
    """

    take: Callable[[bytes], bool] | None = None
    is_awaited = False
    """Whether somebody waits for a message, and there is none."""

    def process_event(self, event: Event) -> None:
        """Take in a frame, or what belongs to the opening handshake."""
        if type(event) is Frame and event.opcode in DATA_OPCODES:
            is_whole = event.opcode is Opcode.BINARY and event.fin
            if self.is_awaited and is_whole and self.take is not None and self.take(bytes(event.data)):
                return
            # What comes behind it must not overtake it.
            self.is_awaited = False
        super().process_event(event)
