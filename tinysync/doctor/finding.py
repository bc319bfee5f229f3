"""What the doctor has to say about one thing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from tinysync.storage.failures import in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tinysync.storage.format import Format
    from tinysync.storage.names import Paths

UNREADABLE_ADVICE: Final = (
    "Nothing can be opened while it is so. See that this user may read it, and that the disk works. What is"
    " no file can be moved away, and the file be restored from a backup."
)

Severity = Literal["error", "warning", "note"]
"""``error``: something cannot be used, or is lost; ``warning``: it needs a look; ``note``: it does no harm."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A structure that is looked at: its name, its files, and how it is opened, and closed again.

    ``format`` is that of its readable file; None if it is not known here: then the file is not looked into.
    """

    name: str
    paths: Paths
    format: Format | None
    open: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    code: names the kind of finding, for programs.
    file: what it is about.
    message: what is wrong; advice: what to do about it.
    repair: puts it right without losing anything, and returns what it did; None: a person has to decide.
    """

    code: str
    severity: Severity
    structure: str
    file: Path
    message: str
    advice: str
    repair: Callable[[], str] | None = field(default=None, compare=False)


def unreadable(patient: Patient, path: Path, error: OSError, repair: Callable[[], str] | None = None) -> Finding:
    """Return what is said about a file that cannot be read at all; what else there is can be looked at.

    ``repair`` is for a folder in its place.
    """
    message = f"{path.name} {in_words(error)}"
    repair = repair if path.is_dir() else None
    return Finding("unreadable", "error", patient.name, path, message, UNREADABLE_ADVICE, repair)
