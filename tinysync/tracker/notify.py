"""Callbacks: in the order of the changes, one after the other, whatever they do themselves."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.model import Change

    Callback = Callable[[Change | list[Change]], object]

logger = logging.getLogger("tinysync")


class Notifier:
    """Calls back with the changes of each transaction.

    A callback that changes the structure begins a transaction of its own, whose notification waits until the
    present one is through.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self._waiting: deque[list[Change]] = deque()
        self._calling = False

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callback) -> None:
        """Call this back from now on."""
        self._callbacks.append(callback)

    def notify(self, changes: list[Change]) -> list[Exception]:
        """Call back with the changes of one transaction; return what the callbacks raised."""
        self._waiting.append(changes)
        errors: list[Exception] = []
        if self._calling:
            return errors
        self._calling = True
        try:
            while self._waiting:
                batch = self._waiting.popleft()
                argument = batch[0] if len(batch) == 1 else batch
                for callback in tuple(self._callbacks):
                    try:
                        callback(argument)
                    except Exception as error:  # noqa: BLE001 - collected, and raised or logged when all are through
                        errors.append(error)
        finally:
            self._calling = False
        return errors


def raise_all(errors: list[Exception]) -> None:
    """Raise what callbacks raised, now that everything else is done."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several callbacks failed; the change itself is made and saved", errors)


def log_all(errors: list[Exception], name: str | None, origin: str) -> None:
    """Log what callbacks raised for a change that no local call made."""
    for error in errors:
        logger.error("A callback of %r failed on a %s change", name, origin, exc_info=error)
