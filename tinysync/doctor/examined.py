"""Looking at one structure: its state folder, its readable file, and what its document says."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tinysync.doctor.finding import Finding
from tinysync.doctor.history import history_findings
from tinysync.doctor.lineage import document_findings
from tinysync.doctor.repairs import (
    begin_history_anew,
    cut_off,
    keep_and_rewrite,
    remove,
    renew_base,
    renew_device,
    reopen_log,
    rewrite_readable,
    set_aside,
    set_state_aside,
    set_updates_aside,
    write_readable,
)
from tinysync.errors import DocumentInUse, StorageError, UnreadableFile
from tinysync.storage.atomic import TEMP_SUFFIX
from tinysync.storage.base import BaseFile, digest
from tinysync.storage.devices_file import FILE as PEERS
from tinysync.storage.devices_file import UNREADABLE, load_devices
from tinysync.storage.inspection import DEVICE_ID, inspect_folder
from tinysync.storage.kept_as import kept_as
from tinysync.storage.lock import FolderLock
from tinysync.storage.plain import identity
from tinysync.storage.readable import base_name, load_file
from tinysync.storage.records import BASE_MAGIC, scan
from tinysync.storage.recovery import CORRUPT_SUFFIX
from tinysync.storage.sessions import read_signs
from tinysync.storage.sqlite_storage import Shelve, SQLite, damage_of
from tinysync.tracker.stored import Stored, read_device

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.doctor.finding import Patient, Severity
    from tinysync.storage.inspection import Damaged

PATIENCE: Final = 10.0
"""Seconds for which the folder's lock is waited for; nobody else writes to the files while it is held."""

WRITING: Final = 60.0
"""Seconds within which a temporary file is written, and gone."""

_DAMAGES: Final[dict[str, tuple[str, Severity, str, str]]] = {
    "torn": (
        "torn-op-log",
        "warning",
        "ends with a change whose writing was interrupted ({text})",
        "It was never acknowledged: what is whole before it is kept, and the rest is cut off on opening.",
    ),
    "unknown": (
        "unknown-file",
        "error",
        "cannot be read: {text}",
        "Nothing can be opened while it is there. Restore it from a backup, or move it away.",
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
}
_SNAPSHOT_DAMAGED: Final = (
    "damaged-snapshot",
    "error",
    "is damaged, but what it was made from is still there",
    "Nothing is lost: it is kept aside at the next opening.",
)


def examine(patient: Patient) -> list[Finding]:
    """Return what is wrong with a structure; nothing is changed. It may be open, here and elsewhere."""
    state = patient.paths.state
    lock = FolderLock(state)
    try:
        if kept_as(patient.paths) is not None:
            return list(_Examination(patient).findings())  # who has it open holds the lock all the time
        with lock.held(PATIENCE):
            return list(_Examination(patient).findings())
    except (DocumentInUse, StorageError) as error:
        return [Finding("locked", "error", patient.name, state, str(error), "See who holds it, and end it.")]
    finally:
        lock.close()


class _Examination:
    """One look at one structure; the folder's lock is held."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self._state = patient.paths.state
        self._found: list[Finding] = []
        self._devices: dict[Any, Any] = {}
        self._live: set[str] = set()

    def findings(self) -> list[Finding]:
        """Return all that is wrong."""
        self._signs = read_signs(self._state)
        self._look_for_leftovers()
        if kept_as(self._patient.paths) is None:
            self._look_at_document()
        elif not self._patient.paths.readable.exists():
            self._add(
                "missing-file",
                "error",
                self._patient.paths.readable,
                "is the state itself, and is missing",
                f"Restore it from a backup; or, if it is not wanted any more, delete {self._state}.",
            )
        elif kept_as(self._patient.paths) in {SQLite.suffix, Shelve.suffix}:
            self._look_at_database()
        return self._found

    def _look_at_database(self) -> None:
        path = self._patient.paths.readable
        problem = damage_of(path)
        if problem is not None:
            self._add(
                "damaged-database",
                "error",
                path,
                f"is damaged: {problem}",
                "Restore it from a backup; 'sqlite3' has '.recover', which saves what can be read.",
            )

    def _add(  # noqa: PLR0917 - in the order in which they are read
        self, code: str, severity: Severity, file: Path, text: str, advice: str, repair: Any = None
    ) -> None:
        found = Finding(code, severity, self._patient.name, file, f"{file.name} {text}", advice, repair)
        self._found.append(found)

    # --- files that are left -------------------------------------------------------------------------------

    def _look_for_leftovers(self) -> None:
        for sign in self._signs:
            if not sign.lives:
                self._add(
                    "stale-sign",
                    "note",
                    sign.path,
                    f"says that process {sign.process} has it open, which was killed",
                    "It is deleted at the next opening.",
                    partial(remove, sign.path),
                )
        readable = self._patient.paths.readable
        beside = readable.with_name(f".{readable.name}{TEMP_SUFFIX}")
        for path in [*sorted(self._state.glob(f".*{TEMP_SUFFIX}")), *([beside] if beside.exists() else [])]:
            if self._may_be_in_use(path):
                continue
            self._add(
                "temporary-file",
                "note",
                path,
                "was begun by a process that was killed, in the place of a file that is whole",
                "It can be deleted.",
                partial(remove, path),
            )
        for path in [*sorted(self._state.glob(f"*{CORRUPT_SUFFIX}")), *sorted(self._state.glob("readable-*"))]:
            self._add(
                "kept-aside",
                "note",
                path,
                "was kept when something was damaged",
                "See whether anything is missing, and delete it then.",
            )

    def _may_be_in_use(self, path: Path) -> bool:
        """Tell whether a temporary file is being written: some files have locks of their own."""
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            return True
        return age < WRITING and any(sign.lives for sign in self._signs)

    # --- structures with a document ------------------------------------------------------------------------

    def _look_at_document(self) -> None:
        """Note what is wrong; first what is repaired without opening, which puts other things right itself."""
        inspection = inspect_folder(self._state)
        self._live = {sign.session for sign in self._signs if sign.lives}
        # What a living session is just writing is not torn.
        damaged = [each for each in inspection.damaged if each.damage != "torn" or not self._is_of_living(each)]
        is_begun = bool(inspection.contents.records or damaged)
        self._look_at_device()
        self._look_at_peers()
        if not is_begun:
            return
        stored = Stored(self._patient.name, self._patient.paths, read_device(self._patient.paths), inspection, [])
        document, found = document_findings(self._patient, stored, self._devices, whole=not damaged)
        self._look_at_base(document)
        for each in sorted(damaged, key=lambda each: list(_DAMAGES).index(each.damage)):
            self._note_damage(each, complete=document is not None and document.is_complete())
        if not any(each.name.startswith("snapshot-") and each.damage != "history" for each in damaged):
            # Else it is not known which files belong to it.
            complete = document is not None and document.is_complete()
            self._found += history_findings(
                self._patient, inspection.contents, complete=complete, quiet=not self._live
            )
        if not any(each.damage in {"lost", "unknown"} for each in damaged):
            self._found += found
        self._look_at_readable(document)

    def _is_of_living(self, damaged: Damaged) -> bool:
        return any(session in damaged.name for session in self._live)

    def _note_damage(self, damaged: Damaged, *, complete: bool) -> None:
        path = self._state / damaged.name
        known = _DAMAGES[damaged.damage]
        if damaged.damage == "damaged" and damaged.name.startswith("snapshot-"):
            known = _SNAPSHOT_DAMAGED
        code, severity, text, advice = known
        repair: Any = None
        if damaged.damage == "torn":
            repair = partial(cut_off, self._patient, path)
        elif damaged.damage in {"damaged", "replaced"}:
            repair = partial(reopen_log, self._patient)
        elif damaged.damage == "history" and complete:
            repair = partial(begin_history_anew, self._patient, path)
        elif damaged.damage == "unknown" and "newer version of tinysync (" not in damaged.text:
            repair = partial(set_updates_aside, self._patient, path)
        elif damaged.damage == "lost" and self._readable() is not None:
            repair = partial(set_state_aside, self._patient)
        self._add(code, severity, path, text.format(text=damaged.text), advice, repair)

    def _look_at_device(self) -> None:
        path = self._state / "device"
        if not path.exists() or not DEVICE_ID.fullmatch(path.read_bytes()):
            self._add(
                "damaged-device",
                "warning",
                path,
                "does not hold the id that others know this device by",
                "This device goes on under a new one at the next opening.",
                partial(renew_device, self._patient),
            )

    def _look_at_peers(self) -> None:
        path = self._state / PEERS
        try:
            self._devices = load_devices(path)
        except FileNotFoundError:
            return
        except UNREADABLE as error:
            self._add(
                "damaged-peers",
                "warning",
                path,
                f"cannot be read: {error}",
                "What other devices have confirmed counts as unconfirmed until they are connected.",
                partial(set_aside, path),
            )
            return
        for device in self._devices.values():
            newer = (other for other in self._devices.values() if other.name == device.name and not other.differs)
            if device.differs and not any(o.seen and device.seen and o.seen > device.seen for o in newer):
                self._add(
                    "unequal-digests",
                    "error",
                    path,
                    f"notes that {device.name} holds something else although it has the same changes",
                    "Was the disk of a running device copied? Take a copy of the readable file on one of the two,"
                    " move its files and state folder away, track it again and enter what is missing.",
                )

    # --- the readable file ---------------------------------------------------------------------------------

    def _readable(self) -> Any:
        """Return what the readable file says; None if it says nothing, or cannot be read."""
        path, file_format = self._patient.paths.readable, self._patient.format
        if file_format is None:
            return None
        try:
            return load_file(file_format, path.read_bytes(), path)
        except (OSError, UnreadableFile):
            return None

    def _look_at_readable(self, document: Any) -> None:
        path, file_format = self._patient.paths.readable, self._patient.format
        if file_format is None:
            return
        try:
            value = load_file(file_format, path.read_bytes(), path)
        except FileNotFoundError:
            self._add(
                "missing-file",
                "warning",
                path,
                "is missing, but its state is there",
                f"It is written anew at the next opening. If it was renamed, rename {self._state} too; if it is"
                " not wanted any more, delete that folder.",
                partial(write_readable, self._patient) if document is not None else None,
            )
        except (OSError, UnreadableFile) as error:
            self._add(
                "unreadable-file",
                "error",
                path,
                f"cannot be read: {error}",
                "Correct it. What programs change meanwhile is kept in the op log.",
                partial(rewrite_readable, self._patient) if document is not None else None,
            )
        else:
            if value is None or document is None:
                return
            if type(value).__name__ != document.kind:
                self._add(
                    "other-kind",
                    "error",
                    path,
                    f"holds a {type(value).__name__}, but its state is a {document.kind}",
                    f"Correct the file; or move {self._state} away to begin anew with it.",
                    partial(rewrite_readable, self._patient),
                )
            elif not self._live and self._was_written_by_programs() and not self._says_the_same(document):
                self._add(
                    "unwritten-file",
                    "note",
                    path,
                    "is not what the state says, and nobody edited it: a process was killed before it wrote it, or"
                    " changes that it shows were lost",
                    "See whether it shows what the state lacks: at the next opening it is written anew.",
                    partial(keep_and_rewrite, self._patient),
                )

    def _look_at_base(self, document: Any) -> None:
        for path in sorted(self._state.glob("base*")):
            if path.suffix in {CORRUPT_SUFFIX, ".past"}:
                continue
            try:
                if scan(path.read_bytes(), BASE_MAGIC, path).damaged:
                    self._add(
                        "damaged-base",
                        "warning",
                        path,
                        "tells hand edits of the readable file from what programs wrote, and is damaged",
                        "A difference between the readable file and the state may be taken for a hand edit: see"
                        " that the file says what it should.",
                        partial(renew_base, path),
                    )
            except StorageError as error:
                self._add(
                    "unknown-file",
                    "error",
                    path,
                    f"cannot be read: {error}",
                    "Nothing can be opened while it is there. Move it away; then all that the readable file says"
                    " counts.",
                    partial(set_aside, path) if self._says_the_same(document) else None,
                )

    def _was_written_by_programs(self) -> bool:
        """Tell whether the readable file is as a program wrote it; False where that is not known."""
        base = BaseFile(self._state / base_name(self._patient.paths.readable.suffix), "os")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                base.read()
            except StorageError:
                return False
        return digest(self._patient.paths.readable.read_bytes()) in {base.last, base.intended}

    def _says_the_same(self, document: Any) -> bool:
        """Tell whether the readable file says what the state is."""
        file_format, value = self._patient.format, self._readable()
        if document is None or file_format is None or file_format.vocabulary is None or value is None:
            return False
        here = file_format.vocabulary.readable(document.view())
        return bool(identity(here) == identity(value))
