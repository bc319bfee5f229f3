"""Looking at the updates of a structure: whether they fit together, and with what others confirmed."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from tinysync.crdt.check import check_update
from tinysync.doctor.finding import Finding
from tinysync.doctor.repairs import set_state_aside
from tinysync.doctor.view import said
from tinysync.errors import BadUpdate, StorageError, TinySyncError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tinysync.crdt.document import Document
    from tinysync.doctor.finding import Patient
    from tinysync.model import DeviceId
    from tinysync.status import KnownDevice
    from tinysync.storage.recovery import Contents
    from tinysync.tracker.stored import Stored

_WRITTEN_HERE = {"local", "file"}


def document_findings(
    patient: Patient, stored: Stored, devices: Mapping[DeviceId, KnownDevice], *, whole: bool
) -> tuple[Document | None, list[Finding]]:
    """Return the document, if there is one, and what is wrong with it; ``whole``: its files are."""
    state = patient.paths.state
    try:
        document = stored.document()
    except TinySyncError as error:
        can_begin_anew = said(patient) is not None
        unusable = Finding(
            "unusable-state",
            "error",
            patient.name,
            state,
            f"the state of {patient.name} cannot be used: {error}",
            "Restore the folder from a backup. Or begin anew with the readable file and what other devices have.",
            partial(set_state_aside, patient) if can_begin_anew and isinstance(error, StorageError) else None,
        )
        return None, [unusable] if whole else []
    found = _forks(patient, stored.inspection.contents)
    if not document.is_complete():
        found.append(
            Finding(
                "missing-changes",
                "warning",
                patient.name,
                state,
                f"{patient.name} lacks changes that others build on, which do not show until then",
                "They come when the devices meet that have them.",
            )
        )
    here = document.coverage()
    found += [
        Finding(
            "rolled-back",
            "warning",
            patient.name,
            state,
            f"{patient.name} lacks changes ({lacking}) that were here when {device.name} confirmed them: was it"
            " restored from a backup, or were files lost?",
            f"They come back when {device.name} is connected. Until then, do not delete them there.",
        )
        for device in devices.values()
        if (lacking := here.lacking(device.coverage))
    ]
    return document, found


def _forks(patient: Patient, contents: Contents) -> list[Finding]:
    """Find sessions that wrote different things under one client id."""
    written: dict[int, list[tuple[int, int, str, bytes]]] = {}
    for name, records in contents.loose.items():
        for _, record in records:
            if record.kind in _WRITTEN_HERE:
                for update in record.updates:
                    for start, end in _own_blocks(update, record.client):
                        written.setdefault(record.client, []).append((start, end, name, update))
    found = []
    for client, pieces in written.items():
        pieces.sort()
        for (_, end, name, update), (start, _, other, again) in pairwise(pieces):
            if name != other and start < end and update != again:
                found.append(_forked(patient, client, patient.paths.state / other, name))
                break
    return found


def _own_blocks(update: bytes, client: int) -> list[tuple[int, int]]:
    try:
        return [(start, end) for writer, start, end in check_update(update).blocks if writer == client]
    except BadUpdate:
        return []


def _forked(patient: Patient, client: int, file: Path, other: str) -> Finding:
    return Finding(
        "forked-lineage",
        "error",
        patient.name,
        file,
        f"{file.name} and {other} hold different changes under one identity (client {client}): a copied or"
        " restored folder, or a copied machine, went on under it",
        "Devices can show different things for good. Take a copy of the readable file, move it and the state"
        " folder away, track it again and enter what is missing.",
    )
