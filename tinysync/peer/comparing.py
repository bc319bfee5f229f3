"""Comparing what two devices hold, whenever they have been in step for a moment.

That every update was acknowledged says that both hold the same updates, not that these made the same of both: two
devices that write under one client id, after somebody copied a running device's disk, hold different things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from tinysync.errors import DocumentsDiffer
from tinysync.transport.eventloop import in_thread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from typing import Any

    from tinysync.peer.shared import SharedDocument
    from tinysync.protocol.documents import Documents
    from tinysync.protocol.events import DigestReceived
    from tinysync.protocol.yjs import YjsRoom

QUIET_SECONDS: Final = 1.0
"""How long nothing must have happened before a digest is sent."""


class Owner(Protocol):
    """What a comparison needs of its connection."""

    loop: asyncio.AbstractEventLoop
    device_name: str

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something as long as the link is up."""

    def flush(self) -> None:
        """Count what was published, and send what the session has to send."""

    def compared(self, document: SharedDocument, error: DocumentsDiffer | None) -> None:
        """Note the result of a comparison."""


class Comparison:
    """The comparisons of one document on one link; all methods are called in the loop.

    Each side sends a digest of its document when nothing has happened for a moment, with the numbers of the last
    frames each way; the other side compares it if it is at the same numbers, else something is on its way.
    """

    def __init__(self, document: SharedDocument, documents: Documents | YjsRoom, owner: Owner) -> None:
        self._document = document
        self._documents = documents
        self._owner = owner
        self._last_event = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._sent: tuple[int, int] | None = None
        self._comparing = False

    def stir(self) -> None:
        """Note that something was sent or received: a digest is due a moment after the last such event."""
        self._last_event = self._owner.loop.time()
        if self._timer is None:
            self._timer = self._owner.loop.call_later(QUIET_SECONDS, self._wake)

    def close(self) -> None:
        """Compare no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        self._timer = None
        quiet_at = self._last_event + QUIET_SECONDS
        if quiet_at > self._owner.loop.time():
            self._timer = self._owner.loop.call_at(quiet_at, self._wake)
        else:
            self._owner.begin(self._send())

    async def _send(self) -> None:
        found = await self._digest()
        if found is not None and found[0] != self._sent:
            self._sent = found[0]
            self._documents.send_digest(self._document.name, *found)
            self._owner.flush()

    async def _digest(self) -> tuple[tuple[int, int], bytes] | None:
        """Return what the document holds and at which numbers, or None if it is not in step, or not any more."""
        name = self._document.name
        self._owner.flush()
        counts = self._documents.in_step(name)
        if counts is None:
            return None
        digest = await in_thread(self._document.digest)
        self._owner.flush()
        return (counts, digest) if digest and self._documents.in_step(name) == counts else None

    def received(self, event: DigestReceived) -> None:
        """Compare what the peer holds with what this side holds, if both are in step."""
        if not self._comparing and event.digest:
            self._comparing = True
            self._owner.begin(self._compare(event))

    async def _compare(self, event: DigestReceived) -> None:
        try:
            found = await self._digest()
        finally:
            self._comparing = False
        if found is None or found[0] != (event.received, event.sent):
            return
        name, device = self._document.name, self._owner.device_name
        error = None
        if found[1] != event.digest:
            error = DocumentsDiffer(
                f"{name!r} holds something else here than on {device}, although both have the same updates: was"
                " the disk of a running device copied? Nothing is overwritten. To make them the same, take a copy"
                f" of the readable file on one of the two, close {name!r} there, move its files and state folder"
                " away, track it again and enter what is missing",
            )
        self._owner.compared(self._document, error)
