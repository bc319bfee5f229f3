"""What a program may give to a Peer."""

from __future__ import annotations

from collections.abc import Iterable

from tinysync.errors import InvalidAddress, UsageError
from tinysync.protocol.limits import Limits
from tinysync.transport.addresses import parse_address


def check_device(name: object) -> None:
    """Raise UsageError unless this can be the name of a device, or is None."""
    longest = Limits().max_device_name
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= longest and name.isprintable()):
        raise UsageError(f"device= must be a name of 1 to {longest} printable characters, not {name!r}")


def checked_addresses(connect: Iterable[str], *, secure: bool) -> list[str]:
    """Return addresses to connect to, in full; raises InvalidAddress."""
    if isinstance(connect, str):
        raise InvalidAddress(f"connect= takes a list of addresses; write connect=[{connect!r}]")
    if not isinstance(connect, Iterable):
        raise InvalidAddress(f"connect= takes a list of addresses, not {connect!r}")
    return [str(parse_address(url, secure=secure)) for url in connect]


def checked_patterns(documents: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return patterns of names; raises UsageError. None: no patterns, but all names."""
    if documents is None:
        return None
    patterns = () if isinstance(documents, str) else tuple(documents)
    if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise UsageError(f"documents= takes a list of names or patterns of names, not {documents!r}")
    return patterns
