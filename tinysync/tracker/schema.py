"""What a replica knows of the types that its program gave the structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysync.crdt.ops import Op


class Schema(Protocol):
    """The types of a structure that is tracked as something else than the container it is."""

    cls: type
    """What the program sees the root as."""

    def check(self, ops: Sequence[Op], /) -> None:
        """Raise UnsupportedValue, naming the path, if an edit of this program wrote what does not fit."""

    def view(self, container: Any, /) -> Any:
        """Return what the program sees of the root."""

    def plain(self, container: Any, /) -> Any:
        """Return a plain copy, as the program sees it, of a live container."""
