"""Looking at the readable file of a structure, and at what is noted about it."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tinysync.doctor.earlier import shows_earlier_state
from tinysync.doctor.finding import Finding, unreadable
from tinysync.doctor.op_files import DAMAGES, NEWER, is_newer
from tinysync.doctor.repairs import (
    keep_and_rewrite,
    note_readable,
    renew_base,
    rewrite_readable,
    set_aside,
    write_readable,
)
from tinysync.errors import StorageError, UnreadableFile
from tinysync.storage.base import BaseFile, digest
from tinysync.storage.plain import identity
from tinysync.storage.readable import base_name, load_file
from tinysync.storage.records import BASE_MAGIC, scan
from tinysync.storage.recovery import CORRUPT_SUFFIX
from tinysync.storage.regular import check_ends

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tinysync.crdt.document import Document
    from tinysync.doctor.finding import Patient, Severity
    from tinysync.tracker.stored import Stored

_TELLS: Final = "tells hand edits of the readable file from what programs wrote"


def said(patient: Patient) -> Any:
    """Return what the readable file says; None if it says nothing, or cannot be read."""
    path, file_format = patient.paths.readable, patient.format
    if file_format is None:
        return None
    try:
        return load_file(file_format, _bytes_of(path), path)
    except (OSError, UnreadableFile):
        return None


def _bytes_of(path: Path) -> bytes:
    check_ends(path)
    return path.read_bytes()


class ViewLook:
    """One look at the readable file beside the document, which is None if it cannot be used."""

    def __init__(
        self, patient: Patient, stored: Stored, document: Document | None, *, open_elsewhere: bool
    ) -> None:
        self._patient = patient
        self._stored = stored
        self._document = document
        self._open = open_elsewhere
        self._path = patient.paths.readable
        self._own = patient.paths.state / base_name(self._path.suffix)
        self._found: list[Finding] = []

    def findings(self) -> list[Finding]:
        """Return all that is wrong."""
        if self._patient.format is not None:
            bases = set(self._patient.paths.state.glob("base*"))
            if self._path.is_file():
                bases.add(self._own)
            for path in sorted(bases):
                if path.suffix not in {CORRUPT_SUFFIX, ".past"}:
                    self._look_at_base(path)
            self._look_at_readable()
        return self._found

    def _add(  # noqa: PLR0917 - in the order in which they are read
        self, code: str, severity: Severity, file: Path, text: str, advice: str, repair: Any = None
    ) -> None:
        self._found.append(
            Finding(code, severity, self._patient.name, file, f"{file.name} {text}", advice, repair)
        )

    def _look_at_readable(self) -> None:
        path, file_format = self._path, self._patient.format
        assert file_format is not None
        try:
            value = load_file(file_format, _bytes_of(path), path)
        except FileNotFoundError:
            self._add(
                "missing-file",
                "warning",
                path,
                "is missing, but its state is there",
                f"It is written anew at the next opening. If it was renamed, rename {self._patient.paths.state}"
                " too; if it is not wanted any more, delete that folder.",
                partial(write_readable, self._patient) if self._document is not None else None,
            )
        except OSError as error:
            self._found.append(unreadable(self._patient, path, error))
        except UnreadableFile as error:
            self._add(
                "unreadable-file",
                "error",
                path,
                f"cannot be read: {error}",
                "Correct it. What programs change meanwhile is kept in the op log.",
                partial(rewrite_readable, self._patient) if self._document is not None else None,
            )
        else:
            if value is not None and self._document is not None:
                self._compare(value, self._document)

    def _compare(self, value: Any, document: Document) -> None:
        if type(value).__name__ != document.kind:
            self._add(
                "other-kind",
                "error",
                self._path,
                f"holds a {type(value).__name__}, but its state is a {document.kind}",
                f"Correct the file; or move {self._patient.paths.state} away to begin anew with it.",
                partial(rewrite_readable, self._patient),
            )
            return
        base = self._base(self._own)
        if self._open or not self._is_known(base, self._path) or self._says_the_same():
            return
        repair = partial(keep_and_rewrite, self._patient)
        vocabulary = self._patient.format.vocabulary if self._patient.format else None
        if vocabulary is None or shows_earlier_state(self._stored, base, value, vocabulary):
            self._add(
                "unwritten-file",
                "note",
                self._path,
                "is not what the state says, but what it said before, and nobody edited it: a process was killed"
                " before it wrote it",
                "At the next opening it is written anew.",
                repair,
            )
        else:
            self._add(
                "lost-changes",
                "warning",
                self._path,
                "shows what the state never said as far as it is there, and nobody edited it: changes were lost",
                f"Restore {self._patient.paths.state} from a backup, or take a copy of the file and enter what is"
                " missing: at the next opening it is written anew.",
                repair,
            )

    # --- what is noted about it ----------------------------------------------------------------------------

    def _look_at_base(self, path: Path) -> None:
        readable = self._readable_of(path)
        base = self._base(path)
        try:
            found = scan(path.read_bytes(), BASE_MAGIC, path)
        except FileNotFoundError:
            problem = "is missing"
        except OSError as error:
            self._found.append(unreadable(self._patient, path, error, self._moving_away(path)))
            return
        except StorageError as error:
            self._add_unknown(path, is_newer=is_newer(str(error)))
            return
        else:
            if base.last is None:
                problem = "holds no whole note"
            elif found.torn:
                problem = "ends with a note whose writing was interrupted"
            elif found.damaged:
                problem = "is damaged"
            else:
                return
        self._add(
            "damaged-base",
            "note" if self._is_harmless(base, readable) else "warning",
            path,
            f"{_TELLS}, and {problem}",
            *self._advice(path, base, readable),
        )

    def _add_unknown(self, path: Path, *, is_newer: bool) -> None:
        code, severity, text, advice = NEWER if is_newer else DAMAGES["unknown"]
        if not is_newer:
            advice = (
                "Nothing can be opened while it is there. Move it away; then all that the readable file says"
                " counts."
            )
        self._add(code, severity, path, text, advice, None if is_newer else self._moving_away(path))

    def _moving_away(self, base: Path) -> Callable[[], str] | None:
        """Return what moves a note away, unless that makes a hand edit of what may be none."""
        return None if said(self._patient) is not None and not self._says_the_same() else partial(set_aside, base)

    def _advice(self, path: Path, base: BaseFile, readable: Path) -> tuple[str, Any]:
        if base.last is not None:
            repair: Any = partial(renew_base, path)
        elif path == self._own and readable.is_file():
            repair = partial(note_readable, self._patient, path) if self._says_the_same() else None
        else:
            repair = partial(set_aside, path)
        if self._is_harmless(base, readable):
            return "It is written anew at the next opening.", repair
        return (
            f"At the next opening, whatever {readable.name} says otherwise than the state counts as a hand edit;"
            " where it is older, that takes newer changes back. See that it says what it should, or move it away"
            " to have it written anew."
        ), repair

    def _readable_of(self, base: Path) -> Path:
        suffix = base.name.removeprefix("base") or ".yaml"
        return self._path.with_name(self._path.name.removesuffix(self._path.suffix) + suffix)

    def _base(self, path: Path) -> BaseFile:
        """Return what is noted in a file, as far as it can be read."""
        base = BaseFile(path, "os")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                base.read()
            except (OSError, StorageError):
                return BaseFile(path, "os")
        return base

    def _is_harmless(self, base: BaseFile, readable: Path) -> bool:
        """Tell whether nothing that the readable file says is taken for a hand edit."""
        if not readable.is_file() or self._is_known(base, readable):
            return True
        return readable == self._path and self._says_the_same()

    def _is_known(self, base: BaseFile, readable: Path) -> bool:
        """Tell whether a readable file is as a program wrote it; False where that is not known."""
        try:
            return digest(_bytes_of(readable)) in {base.last, base.intended}
        except OSError:
            return False

    def _says_the_same(self) -> bool:
        """Tell whether the readable file says what the state is."""
        file_format, value = self._patient.format, said(self._patient)
        if self._document is None or file_format is None or file_format.vocabulary is None or value is None:
            return False
        here = file_format.vocabulary.readable(self._document.view())
        return bool(identity(here) == identity(value))
