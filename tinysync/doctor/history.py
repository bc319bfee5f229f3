"""Looking at the files that keep the past."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tinysync.doctor.finding import Finding
from tinysync.doctor.repairs import reopen_log
from tinysync.errors import StorageError
from tinysync.storage.past_files import PAST_SUFFIX, read_base, read_past

if TYPE_CHECKING:
    from tinysync.doctor.finding import Patient
    from tinysync.storage.recovery import Contents


def history_findings(patient: Patient, contents: Contents) -> list[Finding]:
    """Return what is wrong with the files that the snapshots name for their past, and those that none names."""
    state = patient.paths.state
    chains = [snapshot.chain for snapshot in contents.snapshots if snapshot.chain is not None]
    found: list[Finding] = []
    for chain in chains:
        for name in sorted(chain.names):
            try:
                if name == chain.base:
                    read_base(state / name)
                else:
                    read_past(state / name)
            except (OSError, StorageError) as error:
                found.append(
                    Finding(
                        "damaged-history",
                        "warning",
                        patient.name,
                        state / name,
                        f"{name} holds history and cannot be read: {error}",
                        "The structure is whole, but versions from before cannot be shown. Restore the file from a"
                        " backup, or 'tinysync compact' begins the history anew.",
                    )
                )
    named = {name for chain in chains for name in chain.names}
    orphans = [path for path in sorted(state.glob(f"*{PAST_SUFFIX}")) if path.name not in named]
    return found + [
        Finding(
            "orphaned-history",
            "note",
            patient.name,
            path,
            f"{path.name} holds history that nothing refers to, left from a process that was killed",
            "It is deleted at the next opening.",
            partial(reopen_log, patient),
        )
        for path in orphans
    ]
