"""What keeps a readable file from being written: told once, and tried again."""

from __future__ import annotations

import random

from tinysync.errors import StorageError, UnreadableFile
from tinysync.transport.backoff import Backoff


class Trouble:
    """Why a file cannot be written at the moment, if it cannot."""

    def __init__(self) -> None:
        self._known: object = None
        self._backoff = Backoff(random.Random())  # noqa: S311 - jitter

    def is_new(self, error: StorageError) -> bool:
        """Note that writing failed; return whether that is to be told."""
        # The texts of errors of the system may name one file or another.
        system = error.__cause__
        trouble: object = system.errno if isinstance(system, OSError) else str(error)
        known, self._known = self._known, trouble
        return trouble != known

    def retry_after(self, error: StorageError) -> float | None:
        """Return after how many seconds it may be tried again; None: not before somebody corrects the file."""
        return None if isinstance(error, UnreadableFile) else self._backoff.next()

    def over(self) -> None:
        """Note that the file was written."""
        self._known = None
        self._backoff.reset()
