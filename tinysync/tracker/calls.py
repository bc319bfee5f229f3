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
    from tinysync.tracker.lock import Taken
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.schema import Schema


class Call:
    """The context in which a call makes its edits; its transaction ends with it unless one is open around it."""

    __slots__ = ("_args", "_container", "_func_name", "_kwargs", "_mark", "_replica", "_taken")

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
        self._taken: Taken = []

    def __enter__(self) -> Edit | DetachedEdit:
        replica = self._replica
        self.__class__ = _Begun
        try:
            replica.lock.acquire(self._taken)
            replica.check_open()
            self._mark = replica.transaction.journal.mark()
            if is_attached(self._container):
                return replica.transaction.edit
            # Another thread or device removed it while this call waited for its turn.
            return detached_edit(self._container)
        except BaseException:
            if self._taken:
                replica.lock.release(self._taken)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        replica = self._replica
        journal = replica.transaction.journal
        try:
            if error is not None:
                journal.rollback(self._mark)
            elif journal.mark() > self._mark:
                if replica.schema is not None and replica.transaction.origin == "local":
                    self._check(replica.schema)
                if replica.notifier:
                    replica.transaction.note(
                        replica, self._container, self._func_name, self._args, self._kwargs, mark=self._mark
                    )
                if not replica.lock.blocks:
                    replica.commit()
        except BaseException:
            if replica.lock.blocks:
                journal.rollback(self._mark)
            else:
                replica.drop_uncommitted()
            raise
        finally:
            replica.lock.release(self._taken)
            self.__class__ = Call

    def _check(self, schema: Schema) -> None:
        """Take the call back if it wrote what does not fit."""
        journal = self._replica.transaction.journal
        try:
            schema.check(journal.ops[self._mark :])
        except BaseException:
            journal.rollback(self._mark)
            raise


class _Begun(Call):
    """A call that has the lock: if an interrupt comes right before ``__exit__``, its end is the end of the call.

    Others have no ``__del__``, because interrupts get lost in there.
    """

    __slots__ = ()

    def __del__(self) -> None:
        lock = self._replica.lock
        if self._taken and lock.is_mine():
            self._replica.transaction.journal.rollback(self._mark)
            lock.release(self._taken)
