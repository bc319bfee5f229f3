"""``tinysync get``, ``set`` and ``delete``: entries of structures, for scripts."""

from __future__ import annotations

import json
import math
import re
from contextlib import closing
from typing import Any, Final, NoReturn

import click

from tinysync.api import track, tracker
from tinysync.cli.paths import entry, parent, parse_path, path_argument
from tinysync.cli.reporting import as_json, examples, print_json
from tinysync.cli.structures import Structure, look_in, new_structure_argument, structure_argument
from tinysync.errors import UnreadableFile
from tinysync.storage.plain import SAFE_YAML
from tinysync.storage.yaml_dump import dump_yaml
from tinysync.storage.yaml_load import load_yaml
from tinysync.tracked.sameness import same

_ABOUT_A_FILE: Final = re.compile(r"VALUE, line \d+, column \d+: (.*)\. The file was left .*", re.DOTALL)


@click.command(
    "get",
    short_help="Print an entry, or all of a structure.",
    epilog=examples("get settings.yaml", "get settings servers/3/port", "get settings --json | jq .servers"),
)
@structure_argument
@path_argument
@as_json
def get_entry(structure: Structure, path: str, as_json: bool) -> None:
    """Print the entry of NAME at PATH, like servers/3/port; all of it without PATH.

    NAME is a file, or the name of a structure in this folder.
    """
    root = look_in(structure)
    with closing(tracker(root)):
        value = entry(root, parse_path(root, path, structure.paths.readable.name))
        plain = getattr(value, "__subject__", value)
    print_value(plain, as_json=as_json)


@click.command(
    "set",
    short_help="Write an entry.",
    epilog=examples(
        "set settings.yaml port 8080", 'set settings.yaml servers "{web: {port: 80}, db: {port: 5432}}"'
    ),
)
@new_structure_argument
@click.argument("path")
@click.argument("value")
@click.option("--json", "is_json", is_flag=True, help="VALUE is JSON; by default it is read as YAML.")
def set_entry(structure: Structure, path: str, value: str, is_json: bool) -> None:
    """Write VALUE to the entry of FILE at PATH; containers on the way must be there."""
    if not path:
        raise click.UsageError("PATH is empty: name the entry to write")
    written = _value(value, is_json=is_json)
    if not structure.paths.readable.exists() and not structure.paths.state.exists():
        # What fails must leave no new file behind.
        _write(track({}, persist=False), structure, path, written)
    root = look_in(structure)
    with closing(tracker(root)):
        _write(root, structure, path, written)


def _write(root: Any, structure: Structure, path: str, value: Any) -> None:
    container, key = parent(root, path, structure.paths.readable.name, new=True)
    has_it = not isinstance(container, dict) or key in container
    if not (has_it and same(container[key], value)):  # else a version would be made in which nothing changed
        container[key] = value


@click.command("delete", short_help="Delete an entry.", epilog=examples("delete settings servers/web"))
@structure_argument
@click.argument("path")
def delete_entry(structure: Structure, path: str) -> None:
    """Delete the entry of NAME at PATH."""
    if not path:
        raise click.UsageError("PATH is empty: name the entry to delete")
    root = look_in(structure)
    with closing(tracker(root)):
        container, key = parent(root, path, structure.paths.readable.name)
        del container[key]


def print_value(plain: Any, *, as_json: bool) -> None:
    """Print a plain value: a container as YAML, anything else as its text."""
    if as_json:
        print_json(plain)
    elif isinstance(plain, (dict, list, set)):
        click.echo(dump_yaml(SAFE_YAML.readable(plain)).decode(), nl=False)
    else:
        click.echo("" if plain is None else plain)


def _value(text: str, *, is_json: bool) -> Any:
    if is_json:
        try:
            return json.loads(text, parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"VALUE is no JSON: {error}") from None
    try:
        # A document that is a scalar is none for a file; as the entry of a map it is.
        lines = text.splitlines() or [""]
        value = load_yaml("\n".join(["value:", *(f"  {line}" for line in lines)]).encode(), "VALUE")
    except (ValueError, UnreadableFile) as error:
        # What it says of a file, and where in it, is about none.
        told = _ABOUT_A_FILE.fullmatch(str(error))
        problem = told[1] if told else str(error)
        raise click.UsageError(f"VALUE is not understood as YAML: {problem}; quote it, or use --json") from None
    return value["value"]


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text:.60} is too large")
    return number
