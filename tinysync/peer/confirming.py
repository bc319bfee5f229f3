"""What a peer has confirmed to hold of a document, to be told and remembered."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from tinysync.errors import EngineFailure

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from tinysync.peer.shared import SharedDocument
    from tinysync.protocol.documents import Documents
    from tinysync.protocol.yjs import YjsRoom
    from tinysync.status import Coverage

REST_SECONDS: Final = 0.5
"""How long after something happened it is looked what the document holds; what happens meanwhile is one look."""
_MAX_LOOKS: Final = 8


class Owner(Protocol):
    """What this needs of its connection."""

    loop: asyncio.AbstractEventLoop

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something as long as the link is up."""

    def flush(self) -> None:
        """Count what was published, and send what the session has to send."""

    def confirmed(self, document: SharedDocument, coverage: Coverage) -> None:
        """Remember what the peer holds."""


class Confirmation:
    """How far the peer of one link is with one document; all methods are called in the loop.

    Acknowledgements count frames. So what the document holds is looked at now and then, with the number of the
    last frame that had been given to the link by then: once that one is acknowledged, the peer holds as much.
    """

    def __init__(self, document: SharedDocument, documents: Documents | YjsRoom, owner: Owner) -> None:
        self.coverage: Coverage | None = None
        """What the peer is known to hold; None: nothing was confirmed on this link yet."""
        self._document = document
        self._documents = documents
        self._owner = owner
        self._looks: deque[tuple[int, Coverage]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def close(self) -> None:
        """Look no more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def stir(self) -> None:
        """Note that something was sent, received or acknowledged."""
        self._advance()
        if self._timer is None and not self._closed:
            self._timer = self._owner.loop.call_later(REST_SECONDS, self._wake)

    def _wake(self) -> None:
        self._owner.begin(self.look())

    async def look(self) -> None:
        """Look what the document holds; waits while a transaction is open."""
        try:
            coverage = await coverage_of(self._document)
        finally:
            self._timer = None
        if coverage is not None:
            self.note(coverage)

    def note(self, coverage: Coverage) -> None:
        """Note that the document holds at least this much."""
        if self._closed:
            return
        # All of it was published, or passed on, before it could be seen.
        self._owner.flush()
        if len(self._looks) == _MAX_LOOKS:
            self._looks.pop()
        self._looks.append((self._documents.given(self._document.name), coverage))
        self._advance()

    def _advance(self) -> None:
        advanced = False
        while self._looks and self._documents.is_acknowledged(self._document.name, self._looks[0][0]):
            _, self.coverage = self._looks.popleft()
            advanced = True
        if advanced and self.coverage is not None:
            self._owner.confirmed(self._document, self.coverage)

    @property
    def is_whole(self) -> bool:
        """Whether the peer has acknowledged all that was given to the link."""
        return self._documents.is_acknowledged(self._document.name, self._documents.given(self._document.name))


async def coverage_of(document: SharedDocument) -> Coverage | None:
    """Return what a document holds, None if that cannot be known any more; waits while a transaction is open."""
    try:
        return await asyncio.to_thread(document.coverage)
    except EngineFailure:
        return None  # whoever writes learns it
    except RuntimeError:
        return None  # the interpreter ends, and begins no threads any more
