"""An always-on peer: it has no application, and stores and forwards what the devices of its group bring."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Any, Final, get_args

from tinysync.api import track, tracker
from tinysync.errors import TinySyncError, UsageError
from tinysync.model import DocumentId, Kind
from tinysync.peer import Peer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

logger = logging.getLogger("tinysync")

_EMPTY: Final[dict[str, Callable[[], Any]]] = {"dict": dict, "list": list, "set": set}
assert set(_EMPTY) == set(get_args(Kind))


def serve(folder: str | os.PathLike[str], peer: Peer, *, opened: Callable[[str], object] | None = None) -> Serving:
    """Keep every document that the devices linked with a peer bring, in a folder, and pass it on to the others.

    So devices that are never on at the same time have each other's changes. A document is opened when a device
    brings it, and is an ordinary structure: readable as ``<folder>/<name>.yaml``, which may be edited by hand, and
    with its history. ``Peer(documents=...)`` says which ones are kept.

    folder: where they are kept; after a restart with the same folder it goes on with what is there.
    peer: stays open when the Serving is closed.
    opened: called with the name of a document when it was opened, in a thread of its own.

    A document that cannot be opened (its name is no file name, the disk is full, it is of another kind here) is
    reported in the log, and tried again when a device brings it anew. Raises UsageError if the peer is closed.
    """
    if not isinstance(peer, Peer):
        raise UsageError(f"serve() takes a folder and a Peer, not {peer!r}")
    return Serving(folder, peer, opened)


class Serving:
    """The documents that ``serve`` keeps; a context manager that closes them."""

    def __init__(self, folder: str | os.PathLike[str], peer: Peer, opened: Callable[[str], object] | None) -> None:
        self.peer = peer
        self._folder = folder
        self._opened = opened
        self._structures: dict[str, Any] = {}
        self._offers: queue.SimpleQueue[tuple[DocumentId, str] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"tinysync-serve-{peer.device}", daemon=True)
        self._thread.start()
        try:
            peer.watch_offers(self._offered)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<Serving {len(self._structures)} documents in {str(self._folder)!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def documents(self) -> dict[str, Any]:
        """The structures that are open, by name."""
        return dict(self._structures)

    def close(self) -> None:
        """Close all documents and take no more; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.peer.unwatch_offers(self._offered)
        self._offers.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        for structure in self._structures.values():
            tracker(structure).close()

    def _offered(self, name: DocumentId, kind: str) -> None:
        self._offers.put((name, kind))

    def _work(self) -> None:
        while not self._closed and (offer := self._offers.get()) is not None:
            name, kind = offer
            known = self._structures.get(name)
            if known is not None and not tracker(known).closed:
                continue
            try:
                self._open(name, kind)
            except (TinySyncError, OSError) as error:
                logger.warning("Cannot keep the document %r: %s", name, error)
            except Exception:
                logger.exception("Cannot keep the document %r", name)

    def _open(self, name: DocumentId, kind: str) -> None:
        empty = _EMPTY.get(kind)
        if empty is None:
            raise UsageError(f"this version does not know documents of the kind {kind!r}")
        self._structures[name] = track(empty(), name, folder=self._folder, sync=self.peer)
        if self._opened is not None:
            self._opened(name)
