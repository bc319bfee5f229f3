"""Looking at the files that keep the past."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

from tinysync.doctor.finding import Finding
from tinysync.doctor.repairs import begin_history_anew, reopen_log
from tinysync.errors import StorageError
from tinysync.storage.failures import in_words
from tinysync.storage.history import missing_versions, read_history
from tinysync.storage.past_files import PAST_SUFFIX, read_base, read_past

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tinysync.doctor.finding import Patient
    from tinysync.storage.past_files import Chain
    from tinysync.storage.recovery import Contents


def history_findings(patient: Patient, contents: Contents, *, complete: bool, quiet: bool) -> list[Finding]:
    """Return what is wrong with the files that the snapshots name for their past, and those that none names.

    ``complete``: the document is, and can be compacted; ``quiet``: nobody has it open.
    """
    state = patient.paths.state
    chains = [snapshot.chain for snapshot in contents.snapshots if snapshot.chain is not None]
    damaged = {
        name: text for chain in chains for name in sorted(chain.names) if (text := _damage(state, chain, name))
    }
    found = [
        Finding(
            "damaged-history",
            "warning",
            patient.name,
            state / name,
            f"{name} holds history, and {text}",
            "The structure is whole, but versions from before cannot be shown. Restore the file from a backup, or"
            f" 'tinysync compact {patient.name}' begins the history anew.",
            partial(begin_history_anew, patient, state / name) if complete else None,
        )
        for name, text in damaged.items()
    ]
    if not damaged:
        found += _missing(patient, contents, quiet=quiet)
    named = {name for chain in chains for name in chain.names}
    orphans = [path for path in sorted(state.glob(f"*{PAST_SUFFIX}")) if path.name not in named]
    return found + [_orphan(patient, path) for path in orphans]


def _damage(state: Path, chain: Chain, name: str) -> str:
    """Return what is wrong with a file, in words; an empty text: nothing."""
    try:
        if name == chain.base:
            read_base(state / name)
        else:
            read_past(state / name)
    except StorageError:
        return "is damaged"
    except OSError as error:
        return in_words(error)
    return ""


def _missing(patient: Patient, contents: Contents, *, quiet: bool) -> Iterable[Finding]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each is told below
        past = read_history(patient.paths.state, contents)
    for first, last in missing_versions(past):
        # Of what several processes are just writing, the second may be read and the first not yet.
        if quiet or last < past.later.version:
            versions = f"version {first} is" if first == last else f"versions {first} to {last} are"
            yield Finding(
                "missing-versions",
                "warning",
                patient.name,
                patient.paths.state,
                f"{versions} missing from what {patient.name} keeps: a file of changes was lost, or its end",
                "Restore it from a backup. Other devices may have what it held, but not as a version; 'tinysync"
                f" compact {patient.name} --history 0' begins the history anew.",
            )


def _orphan(patient: Patient, path: Path) -> Finding:
    return Finding(
        "orphaned-history",
        "note",
        patient.name,
        path,
        f"{path.name} holds history that nothing refers to, left from a process that was killed",
        "It is deleted at the next opening.",
        partial(reopen_log, patient),
    )
