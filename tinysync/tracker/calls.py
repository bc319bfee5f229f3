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
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.schema import Schema


class Call:
    """The context in which a call makes its edits; its transaction ends with it unless one is open around it."""

    __slots__ = ("_args", "_container", "_func_name", "_kwargs", "_mark", "_replica")

    def __init__(
        self,
        replica: Replica,
        container: Tracked,
        func_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
    ) -> None:
        self._replica = replica
        self._container = container
        self._func_name = func_name
        self._args = args
        self._kwargs = kwargs
        self._mark = 0

    def __enter__(self) -> Edit | DetachedEdit:
        replica = self._replica
        replica.lock.acquire()
        try:
            replica.check_open()
            self._mark = replica.transaction.journal.mark()
            if is_attached(self._container):
                return replica.transaction.edit
            # Another thread or device removed it while this call waited for its turn.
            return detached_edit(self._container)
        except BaseException:
            replica.lock.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        replica = self._replica
        try:
            journal = replica.transaction.journal
            if error is not None:
                journal.rollback(self._mark)
            elif journal.mark() > self._mark:
                if replica.schema is not None and replica.transaction.origin == "local":
                    self._check(replica.schema)
                if replica.notifier:
                    replica.transaction.note(
                        replica, self._container, self._func_name, self._args, self._kwargs, mark=self._mark
                    )
                if not replica.lock.depth:
                    replica.commit()
        finally:
            replica.lock.release()

    def _check(self, schema: Schema) -> None:
        """Take the call back if it wrote what does not fit."""
        journal = self._replica.transaction.journal
        try:
            schema.check(journal.ops[self._mark :])
        except BaseException:
            journal.rollback(self._mark)
            raise
