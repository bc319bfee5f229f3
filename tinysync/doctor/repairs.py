"""Putting things right. What is replaced or not understood is kept; nothing is deleted that holds data."""

from __future__ import annotations

import os
import secrets
import shutil
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tinysync.errors import DocumentInUse
from tinysync.model import History
from tinysync.storage.atomic import replace_file
from tinysync.storage.base import BaseFile, digest
from tinysync.storage.oplog import FileOpLog, keep_readable_aside
from tinysync.storage.past_files import PAST_SUFFIX
from tinysync.storage.records import HEADER_SIZE, OPS_MAGIC, SNAPSHOT_MAGIC, decode_ops, scan
from tinysync.storage.recovery import free_name, is_snapshot
from tinysync.storage.sessions import read_signs
from tinysync.tracker.stored import compact_stored, read_stored

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.doctor.finding import Patient

ASIDE: Final = "%aside"
"""Where whole state folders are kept that cannot be used: no structure has such a name."""


def reopen_log(patient: Patient) -> str:
    """Have the op log repaired as it is on opening; raises StorageError.

    Opening deletes history that no snapshot names. Where there is no snapshot, it may be what is left of one.
    """
    if not any(is_snapshot(path.name) for path in patient.paths.state.iterdir()):
        for path in patient.paths.state.glob(f"*{PAST_SUFFIX}"):
            set_aside(path)
    log = FileOpLog(patient.paths)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            log.open()
        finally:
            log.close()
    return " ".join(str(warning.message) for warning in told) or "It was put in order."


def begin_history_anew(patient: Patient, damaged: Path) -> str:
    """Keep the files of the history aside, of which one is damaged, and compact what is there now without them."""
    state = patient.paths.state
    stored = read_stored(patient.name, patient.paths)
    snapshots = stored.inspection.contents.snapshots
    used = {name for each in snapshots for name in [each.name, *(each.chain.names if each.chain else [])]}
    if damaged.name not in used:
        return "It is kept aside with the rest of the history."
    for each in snapshots:
        if each.chain is None:  # it is not known what is its history, and it is to be replaced
            shutil.copy2(state / each.name, free_name(state / each.name))
    kept = [set_aside(path) for path in sorted(state.glob(f"*{PAST_SUFFIX}"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the history cannot be read is known
        compact_stored(stored, History(days=1e6, megabytes=1e9))
    return f"The history begins anew. {' '.join(kept)}".rstrip()


def cut_off(patient: Patient, path: Path) -> str:
    """Cut an op file off where its last whole record ends, keeping it and the readable file aside as they are.

    What is cut off may have been more than a change that was never acknowledged, which the readable file shows.
    """
    aside = free_name(path)
    shutil.copy2(path, aside)
    kept = f"It is kept as {aside.name}"
    if patient.paths.readable.is_file():
        kept += f", and {patient.paths.readable.name} as {keep_readable_aside(patient.paths).name}"
    data = path.read_bytes()
    records, size = decode_ops(scan(data, OPS_MAGIC, path).payloads)
    if records:
        os.truncate(path, HEADER_SIZE + size)
    else:
        path.unlink()
    return f"{kept}; its {len(records)} whole changes stay."


def cut_snapshot(path: Path) -> str:
    """Leave of a snapshot what was written into it, and keep the file aside as it is."""
    aside = free_name(path)
    shutil.copy2(path, aside)
    data = path.read_bytes()
    replace_file(path, data[: scan(data, SNAPSHOT_MAGIC, path).good_size], "disk")
    return f"It is kept as {aside.name}, and was cut off where it ends."


def keep_and_rewrite(patient: Patient) -> str:
    """Keep a readable file that is not what the state says, and write it anew."""
    aside = keep_readable_aside(patient.paths)
    _open_and_close(patient)
    return f"It is kept as {aside.name}, and was written anew."


def remove(path: Path) -> str:
    """Delete what holds no data."""
    path.unlink(missing_ok=True)
    return "It was deleted."


def set_aside(path: Path) -> str:
    """Keep a file under another name."""
    aside = free_name(path)
    path.rename(aside)
    return f"It is kept as {aside.name}."


def set_updates_aside(patient: Patient, path: Path) -> str:
    """Keep a file that may have held updates under another name, and the readable file, which may have them."""
    _nobody_has_it_open(patient)
    kept = keep_readable_aside(patient.paths) if patient.paths.readable.is_file() else None
    done = set_aside(path)
    return f"{done} {patient.paths.readable.name}, as it is, is kept as {kept}." if kept else done


def set_state_aside(patient: Patient) -> str:
    """Keep the whole state folder elsewhere, and begin anew with what the readable file says."""
    _nobody_has_it_open(patient)
    state = patient.paths.state
    aside = state.parent / ASIDE / f"{state.name}-{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(2)}"
    aside.parent.mkdir(exist_ok=True)
    shutil.copy2(patient.paths.readable, state / f"readable{patient.paths.readable.suffix}")
    state.rename(aside)
    _open_and_close(patient)
    return f"It is kept as {aside}; the structure begins anew with what {patient.paths.readable.name} says."


def rewrite_readable(patient: Patient) -> str:
    """Keep a readable file that cannot be read in the state folder, and write it anew."""
    aside = keep_readable_aside(patient.paths)
    patient.paths.readable.unlink()
    _open_and_close(patient)
    return f"It is kept as {aside}, and was written anew."


def write_readable(patient: Patient) -> str:
    """Write the readable file, which is missing."""
    _open_and_close(patient)
    return "It was written."


def renew_base(path: Path) -> str:
    """Keep what is damaged of the notes about the readable file, and write the last whole note anew."""
    aside = free_name(path)
    shutil.copy2(path, aside)
    base = BaseFile(path, "disk")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base.read()
    if base.last is None or base.intended is None:
        path.unlink()
    else:
        base.note(base.last, base.intended, base.text())
    return f"What is whole was kept; the damaged file is kept as {aside.name}."


def note_readable(patient: Patient, path: Path) -> str:
    """Note that the readable file, which says what the state is, was written by a program."""
    _nobody_has_it_open(patient)
    kept = ""
    with suppress(FileNotFoundError):
        kept = f" {set_aside(path)}"
    content = patient.paths.readable.read_bytes()
    BaseFile(path, "disk").note(digest(content), digest(content), content)
    return f"It was written anew.{kept}"


def renew_device(patient: Patient) -> str:
    """Give this folder an id of its own."""
    _nobody_has_it_open(patient)
    path = patient.paths.state / "device"
    kept = ""
    with suppress(FileNotFoundError):
        kept = f" {set_aside(path)}"
    replace_file(path, secrets.token_hex(16).encode() + b"\n", "disk")
    return f"{patient.paths.state} has a new id.{kept}"


def _nobody_has_it_open(patient: Patient) -> None:
    processes = sorted({sign.process for sign in read_signs(patient.paths.state) if sign.lives})
    if processes:
        raise DocumentInUse(
            f"{patient.name!r} is open in process {', '.join(map(str, processes))}; close it there, and try again."
        )


def _open_and_close(patient: Patient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patient.open()
