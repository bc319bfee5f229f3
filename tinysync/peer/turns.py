"""Who is asked for what a document lacks: one device after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tinysync.model import DocumentId
    from tinysync.peer.opened import OpenDocument

PATIENCE: Final = 1.0
"""Seconds for which nothing may come from the device that is asked, before the others are asked as well."""


class Turns:
    """Lets those wait that could be asked, as long as another sends what is missing: they need not send it again.

    All methods are called in the loop.
    """

    def __init__(self) -> None:
        self._waiting: dict[DocumentId, deque[OpenDocument]] = {}
        """For each document those to be asked; the first one is being asked."""

    def wait(self, opened: OpenDocument) -> None:
        """Have this one asked when it is its turn, which may be now."""
        waiting = self._waiting.setdefault(opened.document.name, deque())
        waiting.append(opened)
        if len(waiting) == 1:
            self._ask(waiting)

    def over(self, opened: OpenDocument) -> None:
        """Note that this one has answered, or is gone."""
        name = opened.document.name
        waiting = self._waiting.get(name, deque())
        if opened not in waiting:
            return
        is_first = waiting[0] is opened
        waiting.remove(opened)
        if not waiting:
            del self._waiting[name]
        elif is_first:
            self._ask(waiting)

    def _ask(self, waiting: deque[OpenDocument]) -> None:
        opened = waiting[0]
        opened.take_turn()
        self._look_later(opened)

    def _look_later(self, opened: OpenDocument) -> None:
        asyncio.get_running_loop().call_later(PATIENCE, self._look, opened, opened.steps)

    def _look(self, opened: OpenDocument, steps: int) -> None:
        waiting = self._waiting.get(opened.document.name)
        if not waiting or waiting[0] is not opened:
            return
        if opened.steps > steps:
            self._look_later(opened)
            return
        del self._waiting[opened.document.name]
        for other in waiting:
            if other is not opened:
                other.take_turn()
