"""Callbacks: in the order of the changes, one after the other, whatever they do themselves."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysync.errors import EndlessCallbacks
from tinysync.tracker.touched import touched_by_ops, touched_by_patches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from tinysync.crdt.ops import Op
    from tinysync.crdt.patching import Patch
    from tinysync.model import Change
    from tinysync.tracker.patterns import Pattern, Touched

    Callback = Callable[[Change | list[Change]], object]

logger = logging.getLogger("tinysync")

MOST_ROUNDS: Final = 1000
"""How deep answers may be nested: changes that callbacks make because of a change, others because of these, ..."""

MOST_ANSWERS: Final = 20_000
"""How many changes callbacks may make because of changes that callbacks made, before it counts as endless."""


class Subscription:
    """A callback that listens, from ``Tracker.on``; call it to unsubscribe.

    As a context manager it unsubscribes at the end of the block. Unsubscribing twice is fine; the callback is not
    called any more, also for changes that were made before.
    """

    __slots__ = ("_notifier", "callback", "pattern")

    def __init__(self, notifier: Notifier, callback: Callback, pattern: Pattern | None) -> None:
        self._notifier = notifier
        self.callback = callback
        self.pattern = pattern

    def __call__(self) -> None:
        """Unsubscribe."""
        self._notifier.remove(self)

    @property
    def active(self) -> bool:
        """Whether the callback still listens."""
        return self in self._notifier.subscriptions

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self()


class Noted(NamedTuple):
    """A change, and those of the subscriptions with a pattern that it concerns."""

    change: Change
    concerned: Collection[Subscription] = ()


class Notifier:
    """Calls back with the changes of each transaction; used under the structure's lock, but for subscribing.

    A callback that changes the structure begins a transaction of its own, whose notification waits until the
    present one is through. ``name`` is the structure's, for messages.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._subscribing = threading.Lock()
        self.subscriptions: tuple[Subscription, ...] = ()
        """Those that listen; replaced as a whole."""
        self._with_pattern: tuple[Subscription, ...] = ()
        self._waiting: deque[tuple[int, list[Noted]]] = deque()
        self._round: int | None = None
        """How deep the changes are nested that are being told about; None: nobody is being called."""
        self._held = 0

    def __bool__(self) -> bool:
        return bool(self.subscriptions)

    # --- subscribing ---------------------------------------------------------------------------------------

    def add(self, callback: Callback, pattern: Pattern | None = None) -> Subscription:
        """Call this back from now on, for changes that the pattern is about, or all."""
        subscription = Subscription(self, callback, pattern)
        with self._subscribing:
            self._replace((*self.subscriptions, subscription))
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Do not call this back any more."""
        with self._subscribing:
            self._replace(tuple(other for other in self.subscriptions if other is not subscription))

    def _replace(self, subscriptions: tuple[Subscription, ...]) -> None:
        self._with_pattern = tuple(one for one in subscriptions if one.pattern is not None)
        self.subscriptions = subscriptions

    # --- what concerns whom --------------------------------------------------------------------------------

    def note(self, change: Change, ops: Sequence[Op]) -> Noted:
        """Find out whom a change concerns that made these ops, right after it was made."""
        if not self._with_pattern:
            return Noted(change)
        concerned: set[Subscription] = set()
        for touched in touched_by_ops(ops):
            concerned.update(self._concerned(touched))
        return Noted(change, concerned)

    def note_patches(self, changes: Sequence[Change], patches: Sequence[Patch]) -> list[Noted]:
        """Find out whom the changes of another device concern that these patches made, right after all of them."""
        if not self._with_pattern:
            return [Noted(change) for change in changes]
        concerned: list[set[Subscription]] = [set() for _ in changes]
        for index, touched in touched_by_patches(patches):
            concerned[index].update(self._concerned(touched))
        return list(map(Noted, changes, concerned))

    def _concerned(self, touched: Touched) -> Iterator[Subscription]:
        return (one for one in self._with_pattern if one.pattern is not None and one.pattern.matches(touched))

    # --- calling back --------------------------------------------------------------------------------------

    def notify(self, noted: list[Noted]) -> list[BaseException]:
        """Call back with the changes of one transaction; return what the callbacks raised.

        EndlessCallbacks is among that if they kept changing the structure in answer to their own changes. The
        changes that are made by then stay; nobody is told about the last ones.
        """
        errors: list[BaseException] = []
        if self._round is not None:
            self._waiting.append((self._round + 1, noted))
            return errors
        self._waiting.append((0, noted))
        return errors if self._held else self._tell_waiting()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep changes in a block, and call back at its end; then what callbacks raise is logged."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if not self._held and self._round is None:
                log_all(self._tell_waiting(), self._name, "remote or file")

    def _tell_waiting(self) -> list[BaseException]:
        errors: list[BaseException] = []
        answers = 0
        try:
            while self._waiting:
                self._round, batch = self._waiting.popleft()
                answers += self._round > 1
                if self._round > MOST_ROUNDS or answers > MOST_ANSWERS:
                    self._waiting.clear()
                    errors.append(self._endless())
                    break
                self._tell(batch, errors)
        finally:
            self._round = None
        return errors

    def _tell(self, batch: list[Noted], errors: list[BaseException]) -> None:
        for subscription in self.subscriptions:
            changes = [
                change for change, concerned in batch if subscription.pattern is None or subscription in concerned
            ]
            # Another callback may have ended this one meanwhile.
            if not changes or not subscription.active:
                continue
            try:
                subscription.callback(changes[0] if len(changes) == 1 else changes)
            except BaseException as error:  # noqa: BLE001 - collected, and raised or logged when all are through
                errors.append(error)

    def _endless(self) -> EndlessCallbacks:
        what = f"the structure {self._name!r}" if self._name is not None else "the structure"
        return EndlessCallbacks(
            f"callbacks of {what} keep changing it in answer to their own changes, {MOST_ROUNDS:,} rounds deep or "
            f"{MOST_ANSWERS:,} times: they are stopped, and not told about the last of these changes; have them "
            "write only what is not so already, and what belongs together in one 'with' block",
        )


def raise_all(errors: list[BaseException]) -> None:
    """Raise what callbacks raised, now that everything else is done."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup("several callbacks failed; the change itself is made and saved", errors)


def log_all(errors: list[BaseException], name: str | None, origin: str) -> None:
    """Log what callbacks raised for a change that no local call made."""
    for error in errors:
        logger.error("A callback of %r failed on a %s change", name, origin, exc_info=error)
