"""What zeroconf logs of networks that nothing can be sent to, with a traceback: it is told in other words."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Complain = Callable[[str, OSError], None]
    """Takes what would have been logged, and the error."""


class Complaints(logging.Filter):
    """Gives the errors of sockets in some event loops to those who are in charge of them.

    Each peer has a loop of its own, so what else in the program uses zeroconf is left alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._in_charge: dict[asyncio.AbstractEventLoop, Complain] = {}

    def give_to(self, complain: Complain) -> None:
        """Have the errors that are logged in the running loop given to this from now on."""
        self._in_charge[asyncio.get_running_loop()] = complain

    def end(self) -> None:
        """Leave what is logged in the running loop to the log again."""
        self._in_charge.pop(asyncio.get_running_loop(), None)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether something is to be logged as it is."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, OSError):
            return True
        try:
            complain = self._in_charge.get(asyncio.get_running_loop())
        except RuntimeError:
            return True
        if complain is not None:
            complain(record.getMessage(), error)
        return complain is None


complaints = Complaints()
logging.getLogger("zeroconf").addFilter(complaints)
