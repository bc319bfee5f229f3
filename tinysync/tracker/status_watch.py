"""Calling back when a status has changed, from a thread that holds no locks."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from tinysync.tracker.inbox import Dispatch

logger = logging.getLogger("tinysync")

MOMENT: Final = 0.05
"""Seconds for which changes are collected, so that what follows quickly is one call."""


class StatusSubscription:
    """A callback that hears of a status; call it to unsubscribe, or use it as a context manager.

    Unsubscribing twice is fine.
    """

    __slots__ = ("_watch", "callback")

    def __init__(self, watch: StatusWatch, callback: Callable[[Any], object]) -> None:
        self._watch = watch
        self.callback = callback

    def __call__(self) -> None:
        """Unsubscribe."""
        self._watch.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self()


class StatusWatch:
    """Compares a status with what it was whenever it may have changed; its thread runs while somebody listens.

    ``look`` returns the status. ``dispatch`` has the callbacks run where they are to be.
    ``difference`` makes of the status before and the one now what callbacks get: by default it is the one now.
    """

    def __init__(
        self,
        look: Callable[[], Any],
        name: str,
        dispatch: Dispatch = lambda function: function(),
        difference: Callable[[Any, Any], Any] = lambda _, after: after,
    ) -> None:
        self._look = look
        self._difference = difference
        self._name = name
        self._dispatch = dispatch
        self._guard = threading.Lock()
        self._subscriptions: tuple[StatusSubscription, ...] = ()
        self._wake = threading.Event()
        self._end = threading.Event()

    def poke(self) -> None:
        """Note that the status may have changed; cheap, from any thread."""
        self._wake.set()

    def add(self, callback: Callable[[Any], object]) -> StatusSubscription:
        """Call this back with each status that differs from the present one, and from then on.

        Raises UsageError for what cannot be called.
        """
        if not callable(callback):
            raise UsageError(f"a callback must be a function that takes what is new, not {callback!r}")
        subscription = StatusSubscription(self, callback)
        with self._guard:
            first = not self._subscriptions
            self._subscriptions = (*self._subscriptions, subscription)
        if first:
            before = self._look()
            with self._guard:
                self._stop()
                # Events of its own: the thread before it may not have ended yet.
                self._end, self._wake = threading.Event(), threading.Event()
                # What happened since it was looked is looked at once.
                self._wake.set()
                arguments = before, self._end, self._wake
                threading.Thread(target=self._run, args=arguments, name=self._name, daemon=True).start()
        return subscription

    def remove(self, subscription: StatusSubscription) -> None:
        """Do not call this back any more."""
        with self._guard:
            self._subscriptions = tuple(known for known in self._subscriptions if known is not subscription)
            if not self._subscriptions:
                self._stop()

    def close(self) -> None:
        """Call nobody back any more; does not wait for a callback that runs."""
        with self._guard:
            self._subscriptions = ()
            self._stop()

    def _stop(self) -> None:
        self._end.set()
        self._wake.set()

    def _run(self, before: Any, end: threading.Event, wake: threading.Event) -> None:
        while not end.wait(MOMENT):
            wake.wait()
            if end.is_set():
                return
            wake.clear()
            try:
                status = self._look()
            except Exception:
                logger.exception("Could not look at the status of the peers")
                continue
            if status != before and not end.is_set():
                news = self._difference(before, status)
                before = status
                self._tell(news)

    def _tell(self, status: Any) -> None:
        for subscription in self._subscriptions:
            self._dispatch(partial(self._call, subscription, status))

    def _call(self, subscription: StatusSubscription, status: Any) -> None:
        if subscription in self._subscriptions:
            try:
                subscription.callback(status)
            except Exception:
                logger.exception("A callback for the status of the peers failed")
