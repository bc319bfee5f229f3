"""What a peer needs of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinysync.model import Delivered, DeviceId, DocumentId, Kind
    from tinysync.protocol.authors import KnownAuthors
    from tinysync.status import Coverage, KnownDevice


class SharedDocument(Protocol):
    """A document as its peers deal with it; its methods may be called from any thread."""

    @property
    def name(self) -> DocumentId:
        """The name under which peers share it."""

    @property
    def kind(self) -> Kind:
        """The kind of its root."""

    @property
    def epoch(self) -> int:
        """Its epoch; documents of another one cannot be merged with it."""

    @property
    def replica(self) -> DeviceId:
        """Identifies the folder in which it is kept on this device; empty: nothing is kept."""

    @property
    def authors(self) -> KnownAuthors | None:
        """Who wrote it, as far as that is known; None: nobody asks."""

    def is_copied_by(self, peer: DeviceId) -> bool:
        """Tell whether a peer with a folder of the same id has a copy of it, and not the same one; may block.

        It has if it runs and nobody else has this folder open. ``peer`` is the id of the peer itself.
        """

    def known_devices(self) -> list[KnownDevice]:
        """Return what is remembered of other devices that have it."""

    def note_device(self, device: KnownDevice) -> None:
        """Remember how far another device is; ``save_devices`` makes that last."""

    def note_unreached(self, addresses: Mapping[str, str]) -> bool:
        """Remember the addresses where nobody is found, and why; return whether that is news."""

    def save_devices(self) -> None:
        """Write down what was remembered since; may block."""

    def coverage(self) -> Coverage:
        """Return in short what it holds; may block while a transaction is open.

        All of it was published, and what was delivered its ``done`` was called for.
        """

    def state_vector(self) -> bytes:
        """Return the encoded state vector; may block while a transaction is open."""

    def told(self, state_vector: bytes) -> Coverage:
        """Return what a replica with this state vector holds at least; raises BadUpdate if it is none."""

    def diff(self, state_vector: bytes, in_pieces: bool = False) -> list[bytes]:
        """Return what a replica with this state vector lacks; may block. Raises BadUpdate if it is none.

        ``in_pieces``: it is cut, if it is long, each piece building on those before it.
        """

    def digest(self) -> bytes:
        """Return a digest of its cells, equal wherever the same updates are held; empty if it has none now."""

    def portions(self, transactions: list[list[bytes]], diff: list[bytes]) -> list[list[bytes]]:
        """Return what comes to the same as updates, in portions for ``deliver``: each keeps it busy for a moment.

        Those of a transaction are in one portion, unless they are enormous. May take long
        where they are large. Raises BadUpdate if one is not of its format, or too large.
        """

    def deliver(
        self,
        updates: list[bytes],
        device: DeviceId,
        done: Callable[[Delivered], None],
        ended: Callable[[], None] = ...,
        *,
        is_diff: bool = ...,
    ) -> None:
        """Bring updates into the document as soon as it is free.

        ``is_diff``: they are, or are a part of, what the device held when it was asked.
        Calls ``done`` when they are durable or have failed, and ``ended`` when the document is free again, both
        from any thread.
        """

    def greet(self) -> dict[int, bytes]:
        """Return the passing states that a peer is to be told for which the document was opened just now."""

    def receive_presence(self, update: bytes, source: object) -> None:
        """Take in passing states that came over the link ``source``; raises ProtocolError."""

    def presence_lost(self, source: object) -> None:
        """Note that a link is down."""

    def tick_presence(self) -> bool:
        """Renew and forget what is due; return whether there is anybody, so that it has to be called again."""

    def links_were_down(self) -> None:
        """Note that the document may have been edited on both sides of a link that was down."""
