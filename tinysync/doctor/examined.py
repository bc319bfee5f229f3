"""Looking at one structure: its state folder, its readable file, and what its document says."""

from __future__ import annotations

import errno
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tinysync.doctor.finding import Finding, unreadable
from tinysync.doctor.history import history_findings
from tinysync.doctor.lineage import document_findings
from tinysync.doctor.op_files import DAMAGES, damage_finding, lost_log_findings
from tinysync.doctor.repairs import remove, renew_device, set_aside
from tinysync.doctor.view import ViewLook, said
from tinysync.errors import DocumentInUse, StorageError
from tinysync.model import DeviceId
from tinysync.storage.atomic import TEMP_SUFFIX
from tinysync.storage.devices_file import FILE as PEERS
from tinysync.storage.devices_file import UNREADABLE, load_devices
from tinysync.storage.failures import in_words
from tinysync.storage.inspection import DEVICE_ID, inspect_folder
from tinysync.storage.kept_as import kept_as
from tinysync.storage.lock import FolderLock
from tinysync.storage.recovery import CORRUPT_SUFFIX, session_of
from tinysync.storage.regular import check_all_end, check_ends
from tinysync.storage.sessions import read_signs
from tinysync.storage.sqlite_storage import Shelve, SQLite, damage_of
from tinysync.tracker.stored import Stored, read_device

if TYPE_CHECKING:
    from tinysync.crdt.document import Document
    from tinysync.doctor.finding import Patient, Severity
    from tinysync.storage.inspection import Damaged

PATIENCE: Final = 10.0
"""Seconds for which the folder's lock is waited for; nobody else writes to the files while it is held."""

WRITING: Final = 60.0
"""Seconds within which a temporary file is written, and gone."""

_READ_ONLY: Final = (
    "The disk is read-only: nothing can be saved there, and the folder cannot be locked to be looked at. Mount it"
    " writable, or copy the folder to another disk and look at that."
)


def examine(patient: Patient) -> list[Finding]:
    """Return what is wrong with a structure; nothing is changed. It may be open, here and elsewhere."""
    state = patient.paths.state
    lock = FolderLock(state)
    try:
        if kept_as(patient.paths) is not None:
            return _Examination(patient).findings()  # who has it open holds the lock all the time
        with lock.held(PATIENCE):
            return _Examination(patient).findings()
    except DocumentInUse as error:
        return [Finding("locked", "error", patient.name, state, str(error), "See who holds it, and end it.")]
    except StorageError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EROFS:
            return [Finding("read-only-disk", "error", patient.name, state, str(error), _READ_ONLY)]
        if isinstance(cause, OSError):
            return [unreadable(patient, Path(cause.filename or state), cause)]
        advice = "See that the folder is there, and that this user may read and write it."
        return [Finding("unreadable", "error", patient.name, state, str(error), advice)]
    finally:
        lock.close()


class _Examination:
    """One look at one structure; the folder's lock is held."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self._state = patient.paths.state
        self._found: list[Finding] = []
        self._devices: dict[Any, Any] = {}
        self._knows_devices = True
        """Whether those are all that have met; what is noted of them may be damaged."""

    def findings(self) -> list[Finding]:
        """Return all that is wrong."""
        try:
            self._look()
        except OSError as error:
            # What was found before is told in any case.
            self._found.append(unreadable(self._patient, Path(error.filename or self._state), error))
        return self._found

    def _look(self) -> None:
        check_all_end(self._state)
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

    def _look_at_database(self) -> None:
        path = self._patient.paths.readable
        check_ends(path)
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
        live = {sign.session for sign in self._signs if sign.lives}
        # What a living session is just writing is not torn, and what it has begun is not empty.
        damaged = [
            each
            for each in inspection.damaged
            if each.damage not in {"torn", "empty"} or session_of(each.name) not in live
        ]
        broken = [each for each in damaged if each.damage != "empty"]
        self._look_at_device()
        self._look_at_peers()
        if not inspection.contents.records and not broken:
            # Who has refused it, and never confirmed anything, has another one of that name.
            names = [each.name for each in self._devices.values() if each.coverage.size or not each.refused]
            alone = not names and self._knows_devices and said(self._patient) is not None
            lost = lost_log_findings(self._patient, names, may_begin_anew=alone)
            self._found += lost
            if not lost:
                self._note_damages(damaged, None)
            return
        stored = Stored(self._patient.name, self._patient.paths, self._device(), inspection, [])
        document, found = document_findings(self._patient, stored, self._devices, whole=not broken)
        view = ViewLook(self._patient, stored, document, open_elsewhere=bool(live))
        self._note_damages(damaged, document)
        if not any(
            each.name.startswith("snapshot-") and each.damage not in {"history", "appended"} for each in damaged
        ):
            # Else it is not known which files belong to it.
            complete = document is not None and document.is_complete()
            self._found += history_findings(self._patient, inspection.contents, complete=complete, quiet=not live)
        if not any(each.damage in {"lost", "unknown", "unreadable"} for each in damaged):
            self._found += found
        self._found += view.findings()

    def _note_damages(self, damaged: list[Damaged], document: Document | None) -> None:
        if not damaged:
            return
        killed = {sign.session for sign in self._signs if not sign.lives}
        complete = document is not None and document.is_complete()
        readable = said(self._patient) is not None
        self._found += [
            damage_finding(
                self._patient,
                each,
                complete=complete,
                readable=readable,
                killed=session_of(each.name) in killed,
            )
            for each in sorted(damaged, key=lambda each: list(DAMAGES).index(each.damage))
        ]

    def _device(self) -> DeviceId:
        try:
            return read_device(self._patient.paths)
        except OSError:
            return DeviceId("")  # it has a finding of its own

    def _look_at_device(self) -> None:
        path = self._state / "device"
        try:
            whole = DEVICE_ID.fullmatch(path.read_bytes())
        except FileNotFoundError:
            whole = None
        except OSError as error:
            self._found.append(unreadable(self._patient, path, error, partial(renew_device, self._patient)))
            return
        if not whole:
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
            self._devices = load_devices(path).devices
        except FileNotFoundError:
            return
        except UNREADABLE as error:
            self._knows_devices = False
            self._add(
                "damaged-peers",
                "warning",
                path,
                in_words(error) if isinstance(error, OSError) else "is damaged",
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
