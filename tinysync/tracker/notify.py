"""Callbacks: in the order of the changes, one after the other, whatever they do themselves."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysync.errors import EndlessCallbacks
from tinysync.tracker.touched import touched_by_ops, touched_by_patches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from tinysync.crdt.ops import Op
    from tinysync.crdt.patching import Patch
    from tinysync.model import Change, Conflict, Origin
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


class Batch(NamedTuple):
    """The changes of one transaction that callbacks are to hear of.

    ``depth`` is how deep they are nested: made because of changes that were made because of others. ``cause`` is
    the step that undo takes them back with.
    """

    depth: int
    changes: list[Noted]
    origin: Origin
    cause: object
    conflicts: Sequence[Conflict] = ()


class Notifier:
    """Calls back with the changes of each transaction.

    Those are put in under the structure's lock, and told without it, by one thread at a time. A callback that
    changes the structure begins a transaction of its own, whose notification waits until the present one is
    through. ``name`` is the structure's, for messages.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._subscribing = threading.Lock()
        self.subscriptions: tuple[Subscription, ...] = ()
        """Those that listen; replaced as a whole."""
        self._with_pattern: tuple[Subscription, ...] = ()
        self._conflict_callbacks: tuple[Callable[[Conflict], object], ...] = ()
        self.waiting: deque[Batch] = deque()
        self.batch: Batch | None = None
        """What is being told; None: nobody is being called."""

    def __bool__(self) -> bool:
        return bool(self.subscriptions)

    # --- subscribing ---------------------------------------------------------------------------------------

    def add(self, callback: Callback, pattern: Pattern | None = None) -> Subscription:
        """Call this back from now on, for changes that the pattern is about, or all."""
        subscription = Subscription(self, callback, pattern)
        with self._subscribing:
            self._replace((*self.subscriptions, subscription))
        return subscription

    def add_for_conflicts(self, callback: Callable[[Conflict], object]) -> None:
        """Call this back from now on with each conflict."""
        with self._subscribing:
            self._conflict_callbacks = (*self._conflict_callbacks, callback)

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

    def put(self, changes: list[Noted], origin: Origin, cause: object, conflicts: Sequence[Conflict] = ()) -> None:
        """Have callbacks told of the changes of a transaction, which is written; the lock is held.

        ``conflicts`` are told of after them.
        """
        depth = self.batch.depth + 1 if self.batch is not None else 0
        self.waiting.append(Batch(depth, changes, origin, cause, conflicts))

    def tell(self, is_through: Callable[[], bool]) -> None:
        """Call back with what waits until ``is_through``, in one thread at a time; raise what callbacks raise.

        EndlessCallbacks is among that if they kept changing the structure in answer to their own changes. The
        changes that are made by then stay; nobody is told about the last ones. If it began with a change that no
        call of this program made, errors are logged.
        """
        errors: list[BaseException] = []
        origin = self.waiting[0].origin
        answers = 0
        try:
            while not is_through():
                self.batch = batch = self.waiting.popleft()
                answers += batch.depth > 1
                if batch.depth > MOST_ROUNDS or answers > MOST_ANSWERS:
                    self.waiting.clear()
                    errors.append(self._endless())
                    continue
                self._tell(batch.changes, errors)
                self._tell_conflicts(batch.conflicts, errors)
        finally:
            self.batch = None
        if origin != "local":
            log_all(errors, self._name, origin)
        elif errors:
            try:
                raise_all(errors)
            finally:
                # What is raised knows this frame: it would go only when garbage is collected.
                errors = []

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

    def _tell_conflicts(self, conflicts: Sequence[Conflict], errors: list[BaseException]) -> None:
        for conflict in conflicts:
            for callback in self._conflict_callbacks:
                try:
                    callback(conflict)
                except BaseException as error:  # noqa: BLE001 - as above
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
    try:
        if len(errors) == 1:
            raise errors[0]
        raise BaseExceptionGroup("several callbacks failed; the change itself is made and saved", errors)
    finally:
        errors = []


def log_all(errors: list[BaseException], name: str | None, origin: str) -> None:
    """Log what callbacks raised for a change that no local call made."""
    for error in errors:
        logger.error("A callback of %r failed on a %s change", name, origin, exc_info=error)
