"""When a session takes a new client id: ids are ordered by time, and the later session's writes win."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from tinysync.crdt.ids import SEED_CLIENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.crdt.encoding import UpdateInfo

RENEW_AFTER: Final = 3600.0
"""Seconds after which a session whose links were down takes a new client id."""


class Renewal:
    """What is known of the sessions that wrote a document, and of this one."""

    def __init__(self) -> None:
        self.highest = 0
        """The highest client id of a session, of those that are known."""
        self.is_pending = True
        """Whether it has to be looked at the next edit: it is the first one under its id, or links were down."""
        self.has_edited = False
        """Whether there was an edit under the client id."""
        self._was_parted = False
        self._renewed_at = 0.0

    def note(self, infos: Iterable[UpdateInfo]) -> None:
        """Note who has written some updates."""
        for info in infos:
            for client, _, _ in info.blocks:
                if self.highest < client < SEED_CLIENTS:
                    self.highest = client

    def parted(self) -> None:
        """Note that links were down: a new id is taken then, at most hourly."""
        self.is_pending = self._was_parted = True

    def forked(self) -> None:
        """Note that this process is a copy: the other one goes on with the id."""
        self.parted()
        self._renewed_at = -math.inf

    def is_due(self, own: int) -> bool:
        """Tell whether the edit that begins is to be made under a new client id instead of this one."""
        overtaken = not self.has_edited and self.highest > own
        return overtaken or (self._was_parted and time.monotonic() - self._renewed_at >= RENEW_AFTER)

    def edited(self) -> None:
        """Note that there is an edit under the client id: it stays that one until links are down."""
        self.has_edited = True
        self.is_pending = self._was_parted = False

    def renewed(self) -> None:
        """Note that there is a new client id."""
        self.begun()
        self._renewed_at = time.monotonic()

    def begun(self) -> None:
        """Note that nothing was written under the client id yet."""
        self.is_pending = True
        self.has_edited = False
