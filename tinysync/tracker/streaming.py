"""The changes of a structure as an asynchronous iterator."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from tinysync.errors import ChangesMissed, UsageError
from tinysync.model import Change
from tinysync.transport.eventloop import is_running
from tinysync.transport.stream import Stream

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tinysync.tracker.replica import Replica


class ChangeStream(Stream[Change]):
    """Yields each ``Change`` of a structure, from ``Tracker.changes``; in one task at a time.

    It ends when the structure is closed, and after ``close``, which the end of an ``async with`` block calls too.
    One that is not referred to any more closes itself.
    """

    def __init__(self, replica: Replica, limit: int) -> None:
        if not is_running():
            raise UsageError("changes() is for coroutines: call it in a running event loop, or use on(callback)")
        if type(limit) is not int or limit < 1:
            raise UsageError(f"limit= must be a number of changes from 1 on, not {limit!r}")
        name = replica.name
        super().__init__(
            limit,
            lambda count: ChangesMissed(
                f"{count} changes of {name!r} were not taken in time: over {limit} were waiting; look at the"
                " structure itself, and go on with the stream or give it a higher limit=",
            ),
        )
        this = weakref.ref(self)

        def put(changes: Change | list[Change]) -> None:
            stream = this()
            if stream is None:
                subscription()
            else:
                stream.put(changes if isinstance(changes, list) else [changes])

        def end() -> None:
            stream = this()
            if stream is not None:
                stream.end()

        self._subscription = subscription = replica.notifier.add(put)
        replica.on_close(end)
        if replica.closed:
            self.end()

    def close(self) -> None:
        """Take no more changes; the iterator ends behind those that wait. Closing twice is fine."""
        self._subscription()
        self.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
