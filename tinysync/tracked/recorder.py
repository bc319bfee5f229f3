"""What a tracked container needs of the replica of its structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from tinysync.tracked.base import Tracked
    from tinysync.tracked.detached import DetachedEdit
    from tinysync.tracked.edit import Edit


class Recorder(Protocol):
    """A replica, as its containers see it: it opens the edit of each mutating call, and transactions.

    ``with recorder:`` and ``async with recorder:`` are transactions; ``with conf:`` comes down to them.
    """

    @property
    def handle(self) -> Any:
        """The handle that programs get: ``x._tracker``."""

    @property
    def holds_anything(self) -> bool:
        """Whether there is no document, and values of any type are held by reference."""

    def edit(
        self,
        container: Tracked,
        func_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
        /,
    ) -> AbstractContextManager[Edit | DetachedEdit]:
        """Return the context in which ``container.func_name(*args, **kwargs)`` makes its edits.

        The context holds the structure's lock. At its end, what the edits wrote to the journal is committed, or
        left to the transaction that is open; an exception rolls the journal back to where it stood at the
        beginning, and goes on. A call that wrote nothing down has changed nothing. Raises StructureClosed and
        TransactionBusy before anything was changed. If the container left the structure while the call waited for
        the lock, the context is ``detached_edit(container)``.
        """

    def put_plain(self, container: Any, key: str, value: Any, /) -> bool:
        """Make ``container[key] = value`` for a value that needs no check, if nothing stands in the way.

        Return False, and do nothing, if something does; then it is a case for ``edit``.
        """

    def __enter__(self) -> Any: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...
