"""What keeps documents from being shared on one link, and when that is tried again."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Protocol

from tinysync.errors import KindMismatch, PeerError, PeerRefused
from tinysync.protocol.messages import Code
from tinysync.transport.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import Any

    from tinysync.model import DocumentId
    from tinysync.peer.shared import SharedDocument
    from tinysync.protocol.events import DocumentRefused

logger = logging.getLogger("tinysync")


class Owner(Protocol):
    """What this needs of its connection."""

    device_name: str

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something as long as the link is up."""

    def offer(self, document: SharedDocument) -> None:
        """Share a document on the link."""


class Obstacles:
    """Refusals, which last, and failures, which pass: of this side or the other; all in the loop.

    A document that was refused because of a change that was too large is offered again once it has changed.
    """

    def __init__(self, documents: Mapping[DocumentId, SharedDocument], owner: Owner) -> None:
        self.refusals: dict[DocumentId, PeerError | KindMismatch] = {}
        self.failures: dict[DocumentId, str] = {}
        """Why the peer could not go on with a document of which it has not acknowledged anything since."""
        self.oversized: set[DocumentId] = set()
        """Documents that were refused because of a change that was too large, and have not changed since."""
        self._documents = documents
        self._owner = owner
        self._retries: dict[DocumentId, Backoff] = {}

    def __contains__(self, name: DocumentId) -> bool:
        return name in self.refusals or name in self.failures

    def refused(self, event: DocumentRefused, twin: Obstacles | None) -> None:
        """Note that a document is refused; ``twin`` has what is known of it on another link to the device."""
        name = event.document
        message = f"{name!r} cannot be shared with {self._owner.device_name}: {event.text}"
        known = self.failures.get(name) if twin is None else str(twin.refusals.get(name))
        if known != message:
            logger.warning("%s", message)
        self.refusals[name] = KindMismatch(message) if event.code == Code.KIND else PeerRefused(message)
        if event.code == Code.TOO_LARGE:
            self.oversized.add(name)

    def changed(self, name: DocumentId) -> None:
        """Offer a document again that was too large: it may fit now."""
        if name in self.oversized:
            self.oversized.discard(name)
            self.failures[name] = str(self.refusals.pop(name))
            self.try_again(self._documents[name])

    def offered(self, name: DocumentId) -> None:
        """Note that the peer offers a document: if it was too large, it has changed there."""
        if name in self.oversized:
            self.oversized.discard(name)
            self._owner.offer(self._documents[name])

    def opened(self, name: DocumentId) -> None:
        """Note that a document is shared."""
        self.refusals.pop(name, None)

    def withdrawn(self, name: DocumentId) -> None:
        """Forget about a document that this side does not share any more."""
        self.refusals.pop(name, None)
        self.oversized.discard(name)
        self._retries.pop(name, None)

    def try_again(self, document: SharedDocument) -> None:
        """Offer a document again in a while, which grows from one time to the next."""
        self._owner.begin(self._try_again(document))

    async def _try_again(self, document: SharedDocument) -> None:
        backoff = self._retries.setdefault(document.name, Backoff(random.Random()))  # noqa: S311 - jitter
        await asyncio.sleep(backoff.next())
        if self._documents.get(document.name) is document:
            self._owner.offer(document)
