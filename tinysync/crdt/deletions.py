"""The entries that this device deleted while it was in touch with nobody.

Nothing in a document says what who deletes a plain value knew, nor whether who writes there again knew of that. So
this is told by circumstances: as long as nobody can have heard of a deletion, nobody can have known of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_ENTRIES: Final = 1_000


class DeletedHere:
    """Keys of deleted entries, up to a bound the last ones."""

    def __init__(self) -> None:
        self._entries: dict[str, None] = {}
        self._in_touch = False
        self._told = False
        """Whether somebody may have heard of what is here."""

    def note(self, entry: str) -> None:
        """Note that an entry was deleted."""
        if self._in_touch:
            return
        self._entries[entry] = None
        if len(self._entries) > MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]

    def __contains__(self, entry: str) -> bool:
        return entry in self._entries

    def tell(self) -> None:
        """Note that another device is told now all that there is; its answer may be on its way already."""
        self._told = True

    def meet(self) -> None:
        """Note that what another device had written without knowing is here: what comes now may know."""
        self._in_touch = True
        self._entries.clear()

    def part(self) -> None:
        """Note that a link is down."""
        self._in_touch = False
        if self._told:
            self._told = False
            self._entries.clear()

    @property
    def untold(self) -> list[str]:
        """The entries of which nobody has heard."""
        return [] if self._told else list(self._entries)

    def restore(self, entries: Iterable[str]) -> None:
        """Go on from what ``untold`` was."""
        self._entries = dict.fromkeys(entries)
