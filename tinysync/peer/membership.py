"""Joining a group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinysync.errors import UsageError
from tinysync.group.allowed import AllowedDevices
from tinysync.group.extra import net_extra
from tinysync.group.key import as_key

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from tinysync.group.key import Key
    from tinysync.transport.security import Security


def join(
    key: Key | str | os.PathLike[str] | None,
    allow: str | os.PathLike[str] | Iterable[str] | None,
    identity: str | os.PathLike[str] | None,
) -> Security | None:
    """Return what makes a device a member of a group, from the options of a Peer; None without a key."""
    if key is None:
        if allow is not None or identity is not None:
            raise UsageError("allow= and identity= are about the devices of a group: give the Peer its key=, too")
        return None
    with net_extra():
        from tinysync.group.membership import Membership  # noqa: PLC0415 - it needs libraries of the extra
    return Membership(
        as_key(key),
        Path(identity) if identity is not None else None,
        AllowedDevices(allow) if allow is not None else None,
    )
