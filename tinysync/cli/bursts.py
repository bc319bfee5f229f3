"""What is told of many changes at once: the first ones, and how many more there are."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FEW: Final = 20
"""So many changes are told one by one, of a transaction or of what comes without a pause."""

CALM: Final = 1.0
"""Seconds with no more than a few changes that end a burst."""

LONG: Final = 10
"""After so many times as long at the latest it is told how many more there are."""


class Burst:
    """Lets the first changes of each burst through, and counts the others; from any thread.

    A burst is what one device changes until it changes only a few things a second. ``tell_rest`` is called with
    the device, and how many more changes there were; not at once, as more may come.
    """

    def __init__(self, tell_rest: Callable[[str, int], None]) -> None:
        self._tell_rest = tell_rest
        self._guard = threading.Lock()
        self._who = ""
        self._shown = 0
        self._more = 0
        """How many were counted and not told of."""
        self._lately = 0
        """How many came since it was last looked whether that is a burst."""
        self._looks = 0
        """How often it was looked since it was last told how many more there are."""
        self._timer: threading.Timer | None = None

    def passes(self, who: str) -> bool:
        """Count a change; return whether it is one of the first of its burst."""
        with self._guard:
            if who != self._who:
                self._end()
                self._who = who
            self._lately += 1
            if self._timer is None:
                self._look_later()
            if self._shown < FEW:
                self._shown += 1
                return True
            self._more += 1
            return False

    def close(self) -> None:
        """Tell what was not told yet."""
        with self._guard:
            self._end()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _look_later(self) -> None:
        timer = threading.Timer(CALM, self._look)
        timer.daemon = True
        with suppress(RuntimeError):  # an interpreter that is about to end begins no threads
            timer.start()
            self._timer = timer

    def _look(self) -> None:
        with self._guard:
            if self._timer is None:
                return
            self._timer = None
            self._looks += 1
            is_calm = self._lately <= FEW
            if is_calm:
                self._end()
            else:
                if self._looks >= LONG:
                    self._tell()
                self._lately = 0
                self._look_later()

    def _end(self) -> None:
        self._tell()
        self._shown = self._lately = 0

    def _tell(self) -> None:
        more, self._more, self._looks = self._more, 0, 0
        if more:
            self._tell_rest(self._who, more)
