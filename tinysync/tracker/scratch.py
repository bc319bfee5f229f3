"""Documents beside the one of a structure, of which nobody hears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.document import Document
from tinysync.errors import BadUpdate, EngineFailure, StorageError
from tinysync.tracked.adopt import make_container

if TYPE_CHECKING:
    from tinysync.crdt.node import Node
    from tinysync.model import Kind


def scratch(kind: Kind, updates: list[bytes]) -> Document:
    """Return a document, with its structure, that holds just these updates. Raises StorageError."""

    def make(kind: Kind, node: Node) -> Any:
        return make_container(kind, node, None)

    document = Document(kind, make)
    try:
        document.load(updates)
    except (BadUpdate, EngineFailure) as error:
        raise unusable(error) from error
    return document


def unusable(error: Exception) -> StorageError:
    """Return what is raised when updates cannot be used."""
    return StorageError(f"what the op log keeps of the past cannot be used: {error}")
