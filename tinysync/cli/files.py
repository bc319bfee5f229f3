"""Opening the files that commands name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tinysync.api import track
from tinysync.storage.json_format import JSON
from tinysync.storage.yaml_format import YAML

if TYPE_CHECKING:
    from tinysync.peer import Peer
    from tinysync.storage.format import Format

FORMATS: Final[dict[str, type[Format]]] = {YAML.suffix: YAML, JSON.suffix: JSON}

file_argument = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


def open_file(path: Path, peer: Peer | None = None, **options: Any) -> Any:
    """Track what a file holds, a dict if there is no file yet, and return the structure.

    The document is named like the file, without its suffix.
    """
    file_format = FORMATS.get(path.suffix)
    if file_format is None:
        known = " or ".join(FORMATS)
        raise click.UsageError(f"{path}: the name of a file must end with {known}")
    structure = _empty(path, file_format())
    return track(structure, path.stem, folder=path.parent, persist=file_format, sync=peer, **options)


def _empty(path: Path, file_format: Format) -> Any:
    """Return an empty structure of the kind that the file holds."""
    try:
        content = file_format.load(path.read_bytes(), path)
    except FileNotFoundError:
        content = None
    except ValueError as error:
        raise click.ClickException(f"{path} does not parse: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    return type(content)() if content is not None else {}
