"""Forgetting a device that will not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.errors import StructureClosed, UsageError
from tinysync.status import DeviceStatus

if TYPE_CHECKING:
    from tinysync.tracker.replica import Replica


def forget(replica: Replica, device: DeviceStatus | str) -> None:
    """Forget a device that is not connected, given by its status or id; raises what ``Tracker.forget`` does."""
    if not isinstance(device, (DeviceStatus, str)):
        raise UsageError(f"forget takes an entry of status().devices, or its id, not {device!r}")
    if replica.closed:
        raise StructureClosed(f"cannot forget a device of {replica.name!r}: it is closed; track it again")
    if isinstance(device, DeviceStatus) and device.id is None:
        raise UsageError(_not_remembered(device))
    given = device.id if isinstance(device, DeviceStatus) else device
    for one in replica.sharing.status().devices:
        # One that is linked, but does not share it any more, can be: nothing brings it back.
        if one.id == given and (one.connected or one.refused):
            raise UsageError(
                f"{one.name} is linked, so it would be met again at once; it can be forgotten while it is offline"
            )
    known = next((one for one in replica.known.all() if one.replica == given), None)
    if known is None:
        raise UsageError(f"{replica.name!r} knows no device with the id {given!r}: see status().devices")
    replica.known.forget(known)
    replica.sharing.tell_status()


def _not_remembered(device: DeviceStatus) -> str:
    if device.name:
        return (
            f"nothing is remembered of {device.name}, which is told about only while it is there, or a peer is to"
            " connect to it"
        )
    return (
        f"{device.address} was never met, so there is nothing to forget: it is told about because a peer"
        " is to connect to it"
    )
