"""The structures that commands name: by a file, or by the name alone."""

from __future__ import annotations

import difflib
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from tinysync.api import track
from tinysync.cli.offering import folders, places
from tinysync.errors import DamagedFileWarning, InvalidName, StorageError, UnreadableFile, UsageError
from tinysync.model import History
from tinysync.storage.base import BaseFile, digest
from tinysync.storage.json_format import JSON
from tinysync.storage.kept_as import kept_as
from tinysync.storage.names import STATE_ROOT, Paths, document_paths, name_of_state
from tinysync.storage.readable import base_name, load_file
from tinysync.storage.regular import read_regular
from tinysync.storage.yaml_format import YAML
from tinysync.tracker.stored import Stored, read_stored

if TYPE_CHECKING:
    from tinysync.model import Kind
    from tinysync.peer import Peer
    from tinysync.storage.format import Format

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

FORMATS: Final[dict[str, type[Format]]] = {YAML.suffix: YAML, JSON.suffix: JSON}

KEEP_HISTORY: Final = History(days=1e6, megabytes=1e9)
"""How long a program keeps the history is its own affair: a command that looks in lets go of nothing."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure that was named: its name, and the folder that the name counts from."""

    name: str
    folder: Path
    suffix: str
    """What its readable file ends with."""

    @property
    def paths(self) -> Paths:
        """Where it lies."""
        return document_paths(self.name, self.folder, self.suffix)

    def read(self) -> Stored:
        """Return what is kept of it, without opening it."""
        if not self.paths.state.is_dir():
            raise click.ClickException(
                f"{self.paths.readable.name} was not tracked yet, there is no {self.paths.state};"
                f" 'tinysync get {self.paths.readable.name}' begins"
            )
        return read_stored(self.name, self.paths)


class StructureType(_ParamType):
    """A structure: ``todo.yaml``, or ``todo`` for the one of that name in this folder."""

    name = "structure"

    def __init__(self, *, new: bool = False) -> None:
        self._new = new
        """Whether a file that is not there yet is one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Structure:
        """Find what is named."""
        del param, ctx
        return value if isinstance(value, Structure) else find(value, new=self._new)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the names of this folder, files that may become structures where none fits, and folders."""
        del ctx, param
        names = names_here(incomplete)
        if names and not self._new:
            return [*names, folders(incomplete)]
        shown = {Path(f"{item.value}{ending}") for item in names for ending in FORMATS}
        files = [path for path, place in places(incomplete) if place.suffix in FORMATS and place.is_file()]
        return [*names, *(CompletionItem(path) for path in files if Path(path) not in shown), folders(incomplete)]


def names_here(typed: str) -> list[CompletionItem]:
    """Return the structures of this folder whose names begin as typed, to be offered."""
    names = [structure.name for structure in structures_in(Path())]
    return [CompletionItem(name) for name in names if name.startswith(typed)]


structure_argument = click.argument("structure", metavar="NAME", type=StructureType())
new_structure_argument = click.argument("structure", metavar="FILE", type=StructureType(new=True))


def find(text: str, *, new: bool = False) -> Structure:
    """Return the structure that a person means by a file or a name.

    The state of ``home/lights.yaml`` may lie in ``home``, or in the folder above, where the name is
    ``home/lights``. ``new``: a file that is not there yet is meant to be made.
    """
    path = Path(os.path.normpath(Path(text).absolute()))
    suffix = path.suffix if path.suffix in FORMATS else ""
    base = path.with_name(path.name.removesuffix(suffix)) if suffix else path
    for folder in base.parents:
        try:
            paths = document_paths(base.relative_to(folder).as_posix(), folder)
        except InvalidName:
            continue
        if paths.state.is_dir():
            name = base.relative_to(folder).as_posix()
            kept = _suffix_of(name, folder)
            if suffix not in {"", kept} and not new and not path.exists():
                raise click.ClickException(f"there is no file {text}; {name} is kept in {name}{kept}")
            return Structure(name, folder, suffix or kept)
    for ending in [suffix] if suffix else FORMATS:
        if base.with_name(base.name + ending).exists() or (new and suffix):
            return Structure(base.name, base.parent, ending)
    if path.exists() or new:
        known = " or ".join(FORMATS)
        raise click.UsageError(f"{text}: the name of a file must end with {known}")
    raise click.ClickException(_not_there(text, base))


def _not_there(text: str, base: Path) -> str:
    if Path(text).suffix:
        return f"there is no file {text}"
    names = [structure.name for structure in structures_in(base.parent)]
    similar = difflib.get_close_matches(base.name, names, 1)
    hint = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(names[:10])}." if names else ""
    return f"there is no structure {text} here{': ' if hint else ''}{hint}"


def structures_in(folder: Path) -> list[Structure]:
    """Return the structures that have their state in a folder, by name."""
    try:
        states = sorted(path.name for path in (folder / STATE_ROOT).iterdir() if path.is_dir())
    except OSError:
        return []
    names = [name for name in map(name_of_state, states) if name is not None]
    return [Structure(name, folder.absolute(), _suffix_of(name, folder)) for name in sorted(names)]


def _suffix_of(name: str, folder: Path) -> str:
    """Return what the readable file of a structure ends with: the format that it was last written in."""
    paths = document_paths(name, folder)
    with suppress(StorageError):  # reading it says so again
        marked = kept_as(paths)
        if marked is not None:
            return marked
    notes = {ending: paths.state / base_name(ending) for ending in FORMATS}
    written = [(note.stat().st_mtime, ending) for ending, note in notes.items() if note.exists()]
    there = (ending for ending in FORMATS if document_paths(name, folder, ending).readable.exists())
    return max(written)[1] if written else next(there, YAML.suffix)


def open_structure(structure: Structure, peer: Peer | None = None, **options: Any) -> Any:
    """Track what was named, a dict if there is nothing yet, and return the structure."""
    file_format = FORMATS.get(structure.suffix)
    if file_format is None:
        raise UsageError(
            f"{structure.name!r} is kept in a file that ends in {structure.suffix}, which the command line cannot"
            " open; it opens .yaml and .json"
        )
    return track(
        _empty(structure, file_format()),
        structure.name,
        folder=structure.folder,
        persist=file_format,
        sync=peer,
        **options,
    )


def look_in(structure: Structure, **options: Any) -> Any:
    """Track what was named for a moment, so that nothing of its history is let go."""
    return open_structure(structure, history=KEEP_HISTORY, **options)


def problem_with_file(structure: Structure, kind: Kind) -> str:
    """Return why what the readable file says cannot be taken in, in words; empty if it can, or is in already."""
    path, file_format = structure.paths.readable, FORMATS.get(structure.suffix)
    if file_format is None:
        return ""
    try:
        data = read_regular(path)
        if data is None or _is_as_written(structure, data):
            return ""
        content = load_file(file_format(), data, path)
    except UnreadableFile as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if content is None or type(content).__name__ == kind:
        return ""
    return f"{path} holds a {type(content).__name__}, and the structure is a {kind}: make it a {kind} again"


def _is_as_written(structure: Structure, data: bytes) -> bool:
    """Tell whether a program wrote this: then it need not be parsed."""
    noted = BaseFile(structure.paths.state / base_name(structure.suffix), "os")
    with warnings.catch_warnings(), suppress(OSError, StorageError):
        warnings.simplefilter("ignore", DamagedFileWarning)  # doctor tells
        noted.read()
    return digest(data) == noted.last


def _empty(structure: Structure, file_format: Format) -> Any:
    """Return an empty structure of the kind that the file holds, or the state if there is no file."""
    path = structure.paths.readable
    try:
        data = read_regular(path)
        content = None if data is None else load_file(file_format, data, path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    if content is not None:
        return type(content)()
    if structure.paths.state.is_dir() and kept_as(structure.paths) is None:
        # What is wrong there, opening it says.
        with suppress(StorageError):
            return {"dict": dict, "list": list, "set": set}[structure.read().kind]()
    return {}
