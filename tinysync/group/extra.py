"""The optional libraries behind groups."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinysync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def net_extra() -> Iterator[None]:
    """Raise UsageError with the command that installs a library, if one is missing that is imported inside."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f'groups of devices need the library {error.name}; install it with: pip install "tinysync[net]"',
        ) from error
