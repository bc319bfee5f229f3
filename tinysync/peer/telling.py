"""Telling how far the devices are that a peer has links with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.model import NOT_KEPT
from tinysync.status import Coverage, DeviceStatus, KnownDevice, Progress, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinysync.model import DeviceId, DocumentId
    from tinysync.peer.connection import Connection


def linked_devices(
    name: DocumentId,
    here: Coverage,
    known: Sequence[KnownDevice],
    connections: Iterable[Connection],
) -> list[DeviceStatus]:
    """Return the status of the devices that are linked and have said something about a document.

    ``here`` is what it holds on this device, and has been published.
    """
    by_id = {device.replica: device for device in known}
    return [
        _linked(name, here, by_id, connection)
        for connection in connections
        if connection.is_ready and (connection.urls or connection.knows(name))
    ]


def _linked(
    name: DocumentId, here: Coverage, known: Mapping[DeviceId, KnownDevice], connection: Connection
) -> DeviceStatus:
    opened = connection.opened.get(name)
    if opened is None:
        reason = f"it does not share {name!r}"
        if name in connection.refusals:
            reason = str(connection.refusals[name])
        elif name in connection.failures:
            reason = f"it failed: {connection.failures[name]}"
        return status_of(connection.device(NOT_KEPT), here, reason=reason)
    confirmed = opened.confirmation.coverage
    if confirmed is None:
        confirmed = known[opened.replica].coverage if opened.replica in known else Coverage()
    whole = opened.confirmation.is_whole
    pending = 0 if whole else confirmed.lacking(here)
    difference = connection.differences.get(name)
    device = connection.device(opened.replica)
    sending = connection.session.documents.sending(name)
    return DeviceStatus(
        device.name,
        opened.replica or None,
        device.fingerprint,
        device.address,
        connected=True,
        last_seen=device.seen,
        pending=pending,
        acked=here.size - pending,
        durable=whole and opened.is_kept_elsewhere,
        synced=whole and opened.has_all and difference is None,
        reason="" if difference is None else str(difference),
        receiving=opened.receiving,
        sending=None if sending is None else Progress(*sending),
    )
