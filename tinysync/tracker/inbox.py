"""Updates of other devices on their way into the structure."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], None]
    Dispatch = Callable[[Callable[[], None]], object]


class Inbox:
    """Jobs that wait until the structure is free and, with ``dispatch``, until the program's thread takes them.

    ``try_enter`` takes the structure if it is free; ``leave`` gives it back. Links put in one job at a time and
    wait for it, so the queue stays as short as there are links.
    """

    def __init__(
        self, dispatch: Dispatch | None, try_enter: Callable[[], bool], leave: Callable[[], None]
    ) -> None:
        self.dispatch = dispatch
        self._try_enter = try_enter
        self._leave = leave
        self._jobs: deque[Job] = deque()
        self._on_arrival: Callable[[], None] | None = None
        self._home = threading.get_ident()

    @property
    def is_home(self) -> bool:
        """Whether this is the thread in which the structure was tracked, which ``dispatch`` runs jobs in."""
        return threading.get_ident() == self._home

    def put(self, job: Job) -> None:
        """Have a job done as soon as may be; from any thread."""
        self._jobs.append(job)
        self.call()

    def call(self) -> None:
        """See to it that the waiting jobs are done; called whenever the structure became free."""
        if not self._jobs:
            return
        if self._on_arrival is not None:
            self._on_arrival()
        if self.dispatch is None:
            self.drain()
        else:
            self.dispatch(self.drain)

    def drain(self) -> None:
        """Do the waiting jobs in this thread, as long as nobody holds the structure."""
        while self._jobs and self._try_enter():
            try:
                while self._jobs:
                    self._jobs.popleft()()
            finally:
                self._leave()

    def tell_arrivals(self, listener: Callable[[], None] | None) -> None:
        """Call ``listener`` whenever jobs can be done, for a thread that waits and drains at the same time."""
        self._on_arrival = listener
