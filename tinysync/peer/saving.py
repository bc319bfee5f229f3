"""Writing down what documents remember of other devices: in a while, and not at every change."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tinysync.peer.shared import SharedDocument

SAVE_SECONDS: Final = 2.0
"""How long what is remembered of other devices may wait to be written down."""


class Saving:
    """Has documents write down what they remember, in other threads; all methods are called in the loop."""

    def __init__(self) -> None:
        self.waiting: set[SharedDocument] = set()
        """Documents that remember something that was not written down yet."""

    def begin(self, document: SharedDocument, *, at_once: bool = False) -> None:
        """Have a document written in a while, or ``at_once``."""
        if at_once:
            _begin_to_save(document)
            return
        if not self.waiting:
            asyncio.get_running_loop().call_later(SAVE_SECONDS, self._save)
        self.waiting.add(document)

    def _save(self) -> None:
        documents, self.waiting = self.waiting, set()
        for document in documents:
            _begin_to_save(document)


def _begin_to_save(document: SharedDocument) -> None:
    # An interpreter that is about to end begins no threads; all is written at exit.
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop().run_in_executor(None, document.save_devices)
