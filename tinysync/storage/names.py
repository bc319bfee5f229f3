"""From a structure's name to the places of its files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinysync.errors import InvalidName

if TYPE_CHECKING:
    import os

STATE_ROOT = ".tinysync"
"""The folder beside the readable files that holds the state of all structures."""

MAX_NAME_BYTES = 200
_MAX_COMPONENT_BYTES = 255
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\]')
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where one structure lies: its readable file, and the folder of its state."""

    readable: Path
    state: Path


def document_paths(name: str, folder: str | os.PathLike[str], suffix: str = ".yaml") -> Paths:
    """Return the absolute paths of the structure ``name`` under ``folder``; touch nothing.

    ``suffix`` is that of the readable file. Slashes in the name are folders of that file: ``home/lights`` lies in
    ``home/lights.yaml``. Its state is one folder, whatever the suffix, so that ``home`` and ``home/lights`` do not
    lie in each other. Raise InvalidName for a name that is not a relative path on every system.
    """
    _check(name)
    root = Path(folder).absolute()
    return Paths(root / f"{name}{suffix}", root / STATE_ROOT / _one_component(name))


def _one_component(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def name_of_state(component: str) -> str | None:
    """Return the name of the structure whose state lies in a folder of this name, or None if none can."""
    name = component.replace("%2F", "/").replace("%25", "%")
    try:
        _check(name)
    except InvalidName:
        return None
    return name if _one_component(name) == component else None


def _check(name: str) -> None:
    if not isinstance(name, str):
        raise InvalidName(f"The name of a structure must be a str, not {type(name).__name__}: {name!r}.")
    if not name:
        raise InvalidName("The name of a structure must not be empty.")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidName(f"The name {name!r} has a lone surrogate, which no file name can have.") from None
    if size > MAX_NAME_BYTES or len(_one_component(name).encode()) > _MAX_COMPONENT_BYTES:
        raise InvalidName(
            f"The name {name[:40]!r}... is too long: it may have {MAX_NAME_BYTES} bytes in UTF-8, and"
            f" {_MAX_COMPONENT_BYTES} when each '/' and '%' counts for three."
        )
    forbidden = _FORBIDDEN.search(name)
    if forbidden:
        raise InvalidName(f"The name {name!r} has {forbidden[0]!r}, which not every system allows in file names.")
    for component in name.split("/"):
        _check_component(name, component)


def _check_component(name: str, component: str) -> None:
    if component in ("", ".", ".."):
        raise InvalidName(
            f"The name {name!r} must be relative, without empty, '.' or '..' parts between its slashes;"
            " say with folder= where its files lie."
        )
    if component.endswith((".", " ")):
        raise InvalidName(f"The name {name!r} has a part that ends in a dot or space, which Windows would drop.")
    if component.casefold() == STATE_ROOT:
        raise InvalidName(f"The name {name!r} has the part {STATE_ROOT!r}, where the state of structures lies.")
    if component.split(".", 1)[0].rstrip(" ").casefold() in _DEVICES:
        raise InvalidName(f"The name {name!r} has the part {component!r}, which is a device on Windows.")
