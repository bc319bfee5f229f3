"""Commands that run until they are stopped."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def stoppable() -> Iterator[None]:
    """End the block, in good order, at Ctrl-C or when the process is told to end (SIGTERM)."""

    def stop(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def until_stopped(ended: threading.Event | None = None) -> None:
    """Return at Ctrl-C, or when the process is told to end (SIGTERM), or when ``ended`` is set."""
    with stoppable():
        (ended or threading.Event()).wait()
