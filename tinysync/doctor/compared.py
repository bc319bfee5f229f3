"""Comparing folders that hold the same structure: devices, or copies of one."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Final

from tinysync.doctor.finding import Finding
from tinysync.doctor.repairs import renew_device
from tinysync.errors import TinySyncError
from tinysync.tracker.scratch import scratch
from tinysync.tracker.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysync.doctor.finding import Patient
    from tinysync.tracker.stored import Stored


def compare(patients: Sequence[Patient]) -> list[Finding]:
    """Return what is wrong between folders: of those with one name, each is taken for a device."""
    by_name: dict[str, list[tuple[Patient, Stored]]] = {}
    for patient in patients:
        try:
            stored = read_stored(patient.name, patient.paths)
        except TinySyncError:
            continue  # looking at it alone says why
        by_name.setdefault(patient.name, []).append((patient, stored))
    return [
        finding
        for same in by_name.values()
        for (_, one), (patient, other) in combinations(same, 2)
        for finding in _compare(one, other, patient)
    ]


def _compare(one: Stored, other: Stored, patient: Patient) -> list[Finding]:
    found = []
    if one.device and one.device == other.device:
        found.append(
            Finding(
                "cloned-id",
                "error",
                patient.name,
                other.paths.state / "device",
                f"{one.paths.state} and {other.paths.state} have one id: one is a copy of the other",
                "Other devices take them for one, and what one of them has confirmed for what both have. Give one"
                " of them a new id.",
                partial(renew_device, patient),
            )
        )
    try:
        difference = _difference(one, other)
    except TinySyncError:
        return found  # looking at each alone says why
    if difference:
        code, text = difference
        found.append(
            Finding(
                code,
                "error",
                patient.name,
                other.paths.state,
                f"{one.paths.readable} and {other.paths.readable} {text}",
                "They do not become the same by themselves. Take a copy of the readable file on one of the two,"
                " move its files and state folder away, track it again and enter what is missing.",
            )
        )
    return found


def _difference(one: Stored, other: Stored) -> tuple[str, str] | None:
    ours, theirs = one.document(), other.document()
    if ours.kind != theirs.kind:
        return "other-kind", f"are of different kinds: a {ours.kind} and a {theirs.kind}"
    if ours.coverage() == theirs.coverage():
        if ours.digest(_ALL) != theirs.digest(_ALL):
            return "unequal-digests", "hold different things although they have the same changes"
        return None
    # Where both wrote under one identity, what comes first stays, and it depends on the order.
    first = scratch(ours.kind, [*one.updates, *other.updates])
    second = scratch(ours.kind, [*other.updates, *one.updates])
    if first.is_complete() and second.is_complete() and first.digest(_ALL) != second.digest(_ALL):
        return (
            "forked-lineage",
            "went on apart under one identity: a copied or restored folder, or a copied machine",
        )
    return None


_ALL: Final = 1 << 62
"""More cells than there are."""
