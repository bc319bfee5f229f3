"""What is said about files of updates with which something is wrong, and about an op log that is gone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tinysync.doctor.finding import UNREADABLE_ADVICE, Finding
from tinysync.doctor.repairs import (
    begin_history_anew,
    cut_off,
    cut_snapshot,
    remove,
    reopen_log,
    set_state_aside,
    set_updates_aside,
)
from tinysync.storage.lost_log import traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysync.doctor.finding import Patient, Severity
    from tinysync.storage.inspection import Damaged

DAMAGES: Final[dict[str, tuple[str, Severity, str, str]]] = {
    "torn": (
        "torn-op-log",
        "warning",
        "ends within a change ({text})",
        "Its process was killed before it acknowledged it, or the end of the file was lost. It is cut off.",
    ),
    "unknown": (
        "unknown-file",
        "error",
        "is damaged where it begins, or is no file of tinysync",
        "Nothing can be opened while it is there. Restore it from a backup, or move it away.",
    ),
    "unreadable": (
        "unreadable",
        "error",
        "{text}",
        UNREADABLE_ADVICE,
    ),
    "lost": (
        "lost-snapshot",
        "error",
        "holds the state and is damaged, and what it was made from is gone",
        "Restore it from a backup. Or begin anew with the readable file and what other devices have.",
    ),
    "damaged": (
        "damaged-op-log",
        "error",
        "is damaged in its middle; {text}",
        "What is whole is kept; what is missing comes back from other devices, or from the file kept aside.",
    ),
    "replaced": (
        "compacted-leftover",
        "note",
        "was compacted, and is left from a process that was killed then",
        "It is deleted at the next opening.",
    ),
    "history": (
        "damaged-history",
        "warning",
        "is damaged where it names its history",
        "The structure is whole, but versions from before cannot be shown. 'tinysync compact' begins it anew.",
    ),
    "appended": (
        "damaged-snapshot",
        "warning",
        "is whole, but something that does not belong there stands behind it",
        "Nothing is lost; see that the disk works.",
    ),
    "empty": (
        "empty-op-log",
        "warning",
        "holds no change, and nobody has it open: what it held was lost, or its process was killed too early",
        "See whether anything is missing; restore the file from a backup then.",
    ),
}
"""The finding for each kind of damage, in the order in which they are repaired."""

_SNAPSHOT_DAMAGED: Final = (
    "damaged-snapshot",
    "error",
    "is damaged, but what it was made from is still there",
    "Nothing is lost: it is kept aside at the next opening.",
)
NEWER: Final[tuple[str, Severity, str, str]] = (
    "unknown-file",
    "error",
    "was written by a newer version of tinysync",
    "Nothing can be opened while it is there. Update tinysync.",
)
_NEVER_WRITTEN: Final = (
    "empty-op-log",
    "note",
    "was begun by a process that was killed before it wrote a change",
    "It can be deleted.",
)


def is_newer(problem: str) -> bool:
    """Tell whether a file cannot be read because a newer version wrote it."""
    return "newer version of tinysync (" in problem


def damage_finding(patient: Patient, damaged: Damaged, *, complete: bool, readable: bool, killed: bool) -> Finding:
    """Return what is said about one file.

    ``complete``: there is a document without gaps; ``readable``: the readable file says something; ``killed``: the
    process that wrote to the file was.
    """
    path = patient.paths.state / damaged.name
    known = DAMAGES[damaged.damage]
    if damaged.damage == "damaged" and damaged.name.startswith("snapshot-"):
        known = _SNAPSHOT_DAMAGED
    repair: Any = None
    if damaged.damage == "torn":
        repair = partial(cut_off, patient, path)
    elif damaged.damage in {"damaged", "replaced"}:
        repair = partial(reopen_log, patient)
    elif damaged.damage == "appended":
        repair = partial(cut_snapshot, path)
    elif damaged.damage == "history" and complete:
        repair = partial(begin_history_anew, patient, path)
    elif damaged.damage == "unknown" and is_newer(damaged.text):
        known = NEWER
    elif damaged.damage == "unknown" or (damaged.damage == "unreadable" and path.is_dir()):
        repair = partial(set_updates_aside, patient, path)
    elif damaged.damage == "lost" and readable:
        repair = partial(set_state_aside, patient)
    elif damaged.damage == "empty":
        repair = partial(set_updates_aside, patient, path)
        if killed:
            known, repair = _NEVER_WRITTEN, partial(remove, path)
    code, severity, text, advice = known
    message = f"{path.name} {text.format(text=damaged.text)}"
    return Finding(code, severity, patient.name, path, message, advice, repair)


def lost_log_findings(patient: Patient, devices: Sequence[str], *, may_begin_anew: bool) -> list[Finding]:
    """Return what is said where there are no changes at all, but were: ``devices`` had them as well.

    ``may_begin_anew``: with what the readable file says, because nobody else is known to have it.
    """
    state, readable = patient.paths.state, patient.paths.readable
    left = traces(state)
    if not left:
        return []
    advice = f"Restore its files from a backup. Without one, {readable.name} is what is left."
    if devices:
        advice = (
            f"To get it from {', '.join(devices)}, move {readable} away before a program opens it, and enter what"
            " is missing then. Else what was deleted comes back, on all devices."
        )
    return [
        Finding(
            "lost-op-log",
            "error",
            patient.name,
            state,
            f"the op log of {patient.name} is gone, with all its changes (left of it: {', '.join(left)}):"
            f" {patient.name} begins anew with {readable.name}",
            advice,
            partial(set_state_aside, patient) if may_begin_anew else None,
        )
    ]
