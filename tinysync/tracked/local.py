"""What stands in for the document where there is none: a structure that only this device has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.node import Node
from tinysync.tracked.adopt import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinysync.crdt.ops import Op
    from tinysync.model import Kind
    from tinysync.tracked.recorder import Recorder


class LocalDocument:
    """The root of a structure whose journals are committed to its place on disk alone.

    ``reason`` says, in a sentence for the user, why there is no document.
    """

    def __init__(self, kind: Kind, reason: str) -> None:
        self.root = Node(kind, None, None)
        self.reason = reason

    def fill(self, content: Any, recorder: Recorder) -> None:
        """Make the live structure of a checked copy of its content."""
        fill(self.root, content, recorder)

    def commit(self, ops: Sequence[Op]) -> list[bytes]:
        """Return no updates: nobody else has the structure."""
        del ops
        return []

    def rebuild(self, updates: Iterable[bytes], failed: Sequence[Op] | None = None) -> None:
        """Do nothing: the journal has set the live structure back, and there is nothing beside it."""
