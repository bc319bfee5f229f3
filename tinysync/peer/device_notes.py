"""What documents remember of the device at the other end of a link."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from tinysync.model import NOT_KEPT
from tinysync.status import Coverage, KnownDevice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinysync.errors import DocumentsDiffer
    from tinysync.model import DeviceId, DocumentId
    from tinysync.peer.opened import OpenDocument
    from tinysync.peer.shared import SharedDocument

logger = logging.getLogger("tinysync")


class Owner(Protocol):
    """What this needs of its connection."""

    url: str | None
    urls: set[str]
    device_name: str

    @property
    def fingerprint(self) -> str | None:
        """That of the device at the other end."""


class SaveSoon(Protocol):
    """Has a document write down what it remembers, in a while or at once."""

    def __call__(self, document: SharedDocument, *, at_once: bool = False) -> None:
        """Have it written."""


class DeviceNotes:
    """Notes with each document who is at the other end, what is held there, and why the two do not share it.

    ``linked``, in all methods: whether there is a link to the device, this one or another. All in the loop.
    """

    def __init__(self, documents: Mapping[DocumentId, SharedDocument], owner: Owner, save_soon: SaveSoon) -> None:
        self.replicas: dict[DocumentId, DeviceId] = {}
        """In which folder the peer keeps each document that was open at some time."""
        self.differences: dict[DocumentId, DocumentsDiffer] = {}
        """Documents that hold something else than the peer's, although they should not."""
        self.denial = ""
        """Why the device may not be linked any more."""
        self._agreed: set[DocumentId] = set()
        """Documents that were found to hold the same as the peer's."""
        self._documents = documents
        self._owner = owner
        self._save_soon = save_soon

    def device(self, replica: DeviceId, coverage: Coverage | None = None) -> KnownDevice:
        """Return who is at the other end, with what it holds of a document, which it keeps in ``replica``."""
        owner = self._owner
        address = owner.url or min(owner.urls, default=None)
        return KnownDevice(
            replica,
            owner.device_name,
            owner.fingerprint,
            address,
            datetime.now(UTC),
            coverage or Coverage(),
            refused=self.denial,
        )

    def is_of_this_folder(self, name: DocumentId) -> bool:
        """Tell whether the other end keeps a document in the folder that this side does: it is no other device."""
        document, kept_in = self._documents.get(name), self.replicas.get(name)
        # One that holds something else is told about, whatever it is.
        return document is not None and kept_in == document.replica != NOT_KEPT and name not in self.differences

    def note(self, opened: OpenDocument, coverage: Coverage | None = None, *, linked: bool) -> None:
        """Remember that the peer was here just now, and what it is known to hold."""
        name = opened.document.name
        differs = name in self.differences
        # A copy of this device's own folder is no other device, until it turns out to hold something else.
        if opened.is_kept_elsewhere or (opened.replica and differs):
            known = {device.replica: device for device in opened.document.known_devices()}
            before = known.get(opened.replica, KnownDevice(opened.replica))
            device = replace(
                self.device(opened.replica, coverage or opened.confirmation.coverage or before.coverage),
                told=opened.told or before.told,
                receiving=opened.receiving or (None if opened.has_all else before.receiving),
                linked=linked,
                differs=differs or (before.differs and name not in self._agreed),
            )
            opened.document.note_device(device)
            # Others see by the note who is linked, and a process that is killed writes none later: not what was
            # missing, either.
            news = not before.linked or device.told != before.told or (device.receiving and not before.receiving)
            self._save_soon(opened.document, at_once=linked and bool(news))

    def note_refused(self, name: DocumentId, reason: str, replica: DeviceId = NOT_KEPT, *, linked: bool) -> None:
        """Remember with the device, if it keeps a document, that it is not shared with it, and why."""
        document = self._documents.get(name)
        if document is None:
            return
        if replica not in {NOT_KEPT, document.replica}:
            self.replicas[name] = replica
        known = {device.replica: device for device in document.known_devices()}
        if kept_in := self.replicas.get(name):
            before = known.get(kept_in, KnownDevice(kept_in))
            device = replace(self.device(kept_in, before.coverage), told=before.told, receiving=before.receiving)
            document.note_device(replace(device, differs=before.differs, linked=linked, refused=reason))
            self._save_soon(document, at_once=linked)

    def note_who_is_made_up_for(self, opened: OpenDocument, here: Coverage) -> None:
        """Remember of which other devices nothing is missing any more, that could not send all they had."""
        for device in opened.document.known_devices():
            if device.receiving is not None and device.replica != opened.replica and not here.lacking(device.held):
                opened.document.note_device(replace(device, receiving=None))

    def compared(self, name: DocumentId, error: DocumentsDiffer | None) -> bool:
        """Note whether a document is the same as the peer's; return whether that is to be noted with it."""
        known = self.differences.pop(name, None)
        if error is None:
            is_news = name not in self._agreed
            self._agreed.add(name)
            return is_news
        self.differences[name] = error
        self._agreed.discard(name)
        if known is None:
            logger.error("%s", error)
        return True
