"""One mutating call on a live container, from taking the lock to giving it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.tracked.base import is_attached
from tinysync.tracked.detached import detached_edit

if TYPE_CHECKING:
    from types import TracebackType

    from tinysync.tracked.base import Tracked
    from tinysync.tracked.detached import DetachedEdit
    from tinysync.tracked.edit import Edit
    from tinysync.tracker.tracker import Tracker


class Call:
    """The context in which a call makes its edits; its transaction ends with it unless one is open around it."""

    __slots__ = ("_args", "_container", "_func_name", "_kwargs", "_mark", "_tracker")

    def __init__(
        self,
        tracker: Tracker,
        container: Tracked,
        func_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
    ) -> None:
        self._tracker = tracker
        self._container = container
        self._func_name = func_name
        self._args = args
        self._kwargs = kwargs
        self._mark = 0

    def __enter__(self) -> Edit | DetachedEdit:
        tracker = self._tracker
        tracker.lock.acquire()
        try:
            tracker.check_open()
            self._mark = tracker.transaction.journal.mark()
            if is_attached(self._container):
                return tracker.transaction.edit
            # Another thread or device removed it while this call waited for its turn.
            return detached_edit(self._container)
        except BaseException:
            tracker.lock.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tracker = self._tracker
        try:
            journal = tracker.transaction.journal
            if error is not None:
                journal.rollback(self._mark)
            elif journal.mark() > self._mark:
                if tracker.notifier:
                    tracker.transaction.note(tracker, self._container, self._func_name, self._args, self._kwargs)
                if not tracker.lock.depth:
                    tracker.commit()
        finally:
            tracker.lock.release()
