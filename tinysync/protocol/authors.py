"""Who wrote under which client id: told to the peer before what was written there, and only once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from tinysync.model import Author
from tinysync.protocol.messages import Wrote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tinysync.model import DocumentId

_FRAME: Final = 2048
"""Bytes that a frame needs at most beside its client ids."""
_CLIENT: Final = 9
"""Bytes that a client id takes at most."""


class KnownAuthors(Protocol):
    """The authors of one document, as far as they are known; its methods are quick, and called from any thread."""

    count: int
    """How many client ids were learned so far, those that were forgotten since among them."""

    def after(self, count: int) -> tuple[int, Mapping[Author, list[int]]]:
        """Return the count, and all authors of client ids that were learned since it was ``count``."""

    def learn(self, author: Author, clients: list[int]) -> tuple[int, int]:
        """Take in what somebody says of client ids; return the count before and after."""


class AuthorsExchange:
    """What two sides have told each other of the authors of one document.

    At most ``most`` client ids go into a frame; the peer that takes none is told nothing.
    """

    def __init__(self, document: DocumentId, known: KnownAuthors, most: int, max_frame: int) -> None:
        self.known = known
        self.told = 0
        """What the count was when the peer was told last."""
        self._document = document
        self._most = min(most, (max_frame - _FRAME) // _CLIENT)

    def news(self) -> Iterator[Wrote]:
        """Yield the frames with what the peer was not told yet."""
        self.told, news = self.known.after(self.told)
        if self._most > 0:
            for author, clients in news.items():
                for start in range(0, len(clients), self._most):
                    part = clients[start : start + self._most]
                    yield Wrote(self._document, author.replica, author.name, part)

    def learn(self, message: Wrote) -> bool:
        """Take in what the peer tells; return whether some of it is news."""
        before, after = self.known.learn(Author(message.replica, message.name), message.clients)
        if self.told == before:
            self.told = after  # what it has said it need not be told
        return after > before
