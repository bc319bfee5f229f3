"""Which documents a peer may share, and who wants to hear of those that others bring."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tinysync.model import DocumentId
    from tinysync.peer.connection import Connection

    Listener = Callable[[DocumentId, str], None]


class Offers:
    """Tells listeners of documents that devices bring and that this peer may share, but does not yet.

    ``patterns`` are those of the names that it may share; None: all.
    """

    def __init__(self, patterns: tuple[str, ...] | None) -> None:
        self.patterns = patterns
        self._listeners: tuple[Listener, ...] = ()

    def may_share(self, name: DocumentId) -> bool:
        """Whether documents of this name may be shared."""
        return self.patterns is None or any(fnmatchcase(name, pattern) for pattern in self.patterns)

    def watch(self, listener: Listener, connections: Iterable[Connection]) -> None:
        """Call a function for each offer from now on, and for those that there are."""
        self._listeners = (*self._listeners, listener)
        for connection in connections:
            for name, kind in connection.session.documents.offered().items():
                if self.may_share(name):
                    listener(name, kind)

    def unwatch(self, listener: Listener) -> None:
        """Do not call this function any more."""
        self._listeners = tuple(known for known in self._listeners if known != listener)

    def offered(self, name: DocumentId, kind: str) -> None:
        """Tell of a document that a device brings."""
        if self.may_share(name):
            for listener in self._listeners:
                listener(name, kind)
