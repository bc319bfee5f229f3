"""Telling how far the devices are that a peer has links with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tinysync.model import NOT_KEPT, DocumentId
from tinysync.status import Coverage, DeviceStatus, KnownDevice, Progress, Reached, all_devices, status_of

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from tinysync.model import DeviceId
    from tinysync.peer.connection import Connection
    from tinysync.peer.links import Links


class Teller:
    """Tells who is linked with a peer, and where nobody is; all methods are called in the loop."""

    def __init__(self, links: Links, documents: Collection[DocumentId]) -> None:
        self._links = links
        self._documents = documents

    def reached(self, name: DocumentId, here: Coverage, known: Sequence[KnownDevice]) -> Reached:
        """Return how far the devices are that there are links to, or should be.

        ``here`` is what the document holds, and has been published, ``known`` what it remembers.
        """
        return Reached(_linked_devices(name, here, known, self._links.connections), self._unreached(name, known))

    def without_structures(self) -> tuple[DeviceStatus, ...]:
        """Return who is linked, and where nobody is, as if no structures were shared."""
        devices = [
            connection.notes.device(NOT_KEPT)
            for connection in self._links.connections
            if connection.is_ready and not any(map(connection.notes.is_of_this_folder, self._documents))
        ]
        linked = [
            replace(
                status_of(device, Coverage(), reason="no structures are shared"), connected=True, unshared=True
            )
            for device in devices
        ]
        return all_devices(Coverage(), [], [Reached(linked, self._unreached(DocumentId(""), []))])

    def _unreached(self, name: DocumentId, known: Sequence[KnownDevice]) -> dict[str, tuple[KnownDevice, str]]:
        ids = {device.replica for device in known}
        reasons = self._links.unreached
        return {url: (self._met_at(url, name, ids), reasons.get(url, "")) for url in self._links.missing()}

    def _met_at(self, url: str, name: DocumentId, known: Container[DeviceId]) -> KnownDevice:
        met = self._links.met.get(url)
        if met is None:
            return KnownDevice(NOT_KEPT, address=url)
        replica = met.replicas.get(name, NOT_KEPT)
        # Who was forgotten, or is this folder itself, is no device of the document any more.
        return replace(met.device, replica=replica if replica in known else NOT_KEPT, address=url)


def _linked_devices(
    name: DocumentId,
    here: Coverage,
    known: Sequence[KnownDevice],
    connections: Iterable[Connection],
) -> list[DeviceStatus]:
    """Return the status of the devices that are linked and have, had or should have a document.

    ``here`` is what it holds on this device, and has been published. Another process that has it open in the same
    folder is no other device.
    """
    by_id = {device.replica: device for device in known}
    ready = [one for one in connections if one.is_ready and not one.notes.is_of_this_folder(name)]
    open_in = {connection.opened[name].replica for connection in ready if name in connection.opened}
    found = []
    for connection in ready:
        if name in connection.opened:
            found.append(_sharing(name, here, by_id, connection))
            continue
        # Who has said nothing of it on this link may have had it earlier.
        replica = connection.notes.replicas.get(name, NOT_KEPT)
        device = connection.notes.device(replica if replica in by_id else NOT_KEPT)  # it may have been forgotten
        who = device.name, device.fingerprint
        had = [one for one in known if (one.name, one.fingerprint) == who and one.replica not in open_in]
        had.sort(key=lambda one: one.replica != device.replica)
        if had or connection.urls or connection.knows(name):
            met = replace(had[0], address=device.address, seen=device.seen) if had else device
            found.append(_not_sharing(name, here, met, connection))
    return found


def _not_sharing(name: DocumentId, here: Coverage, device: KnownDevice, connection: Connection) -> DeviceStatus:
    reason = f"it does not share {name!r}"
    if name in connection.obstacles.refusals:
        reason = str(connection.obstacles.refusals[name])
    elif name in connection.obstacles.failures:
        reason = f"it failed: {connection.obstacles.failures[name]}"
    refused = name in connection.obstacles.refusals
    return replace(status_of(device, here, reason=reason), refused=refused, unshared=not refused)


def _sharing(
    name: DocumentId, here: Coverage, known: Mapping[DeviceId, KnownDevice], connection: Connection
) -> DeviceStatus:
    opened = connection.opened[name]
    before = known.get(opened.replica, KnownDevice(opened.replica))
    held = (opened.confirmation.coverage or before.coverage).joined(opened.told or before.told)
    whole = opened.confirmation.is_whole
    pending = 0 if whole else held.lacking(here)
    missing = here.lacking(held)
    difference = connection.notes.differences.get(name)
    device = connection.notes.device(opened.replica)
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
        synced=whole and opened.has_all and not missing and difference is None,
        reason="" if difference is None else str(difference),
        receiving=opened.receiving,
        sending=None if sending is None else Progress(*sending),
        missing=missing,
    )
