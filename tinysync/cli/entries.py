"""``tinysync get``, ``set`` and ``delete``: entries of files, for scripts."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from tinysync.api import tracker
from tinysync.cli.files import file_argument, open_file
from tinysync.cli.reporting import as_json, print_json
from tinysync.errors import UnreadableFile
from tinysync.storage.yaml_dump import dump_yaml
from tinysync.storage.yaml_load import load_yaml

if TYPE_CHECKING:
    from pathlib import Path

path_argument = click.argument("path", default="")


@click.command("get")
@file_argument
@path_argument
@as_json
def get_entry(file: Path, path: str, as_json: bool) -> None:
    """Print the entry of FILE at PATH, like servers/3/port; all of it without PATH."""
    if not file.exists():
        raise click.ClickException(f"there is no file {file}")
    root = open_file(file)
    with closing(tracker(root)):
        container, key = _parent(root, path, file)
        value = container if key is None else container[key]
        plain = getattr(value, "__subject__", value)
    if as_json:
        print_json(plain)
    elif isinstance(plain, (dict, list, set)):
        click.echo(dump_yaml(plain).decode(), nl=False)
    else:
        click.echo("" if plain is None else plain)


@click.command("set")
@file_argument
@path_argument
@click.argument("value")
@click.option("--json", "is_json", is_flag=True, help="VALUE is JSON; by default it is read as YAML.")
def set_entry(file: Path, path: str, value: str, is_json: bool) -> None:
    """Write VALUE to the entry of FILE at PATH; containers on the way must be there."""
    root = open_file(file)
    with closing(tracker(root)):
        container, key = _parent(root, path, file, new=True)
        if key is None:
            raise click.UsageError("PATH is empty: name the entry to write")
        container[key] = _value(value, is_json=is_json)


@click.command("delete")
@file_argument
@path_argument
def delete_entry(file: Path, path: str) -> None:
    """Delete the entry of FILE at PATH."""
    root = open_file(file)
    with closing(tracker(root)):
        container, key = _parent(root, path, file)
        if key is None:
            raise click.UsageError("PATH is empty: name the entry to delete")
        del container[key]


def _value(text: str, *, is_json: bool) -> Any:
    try:
        if is_json:
            return json.loads(text)
        # A document that is a scalar is none for a file; as the entry of a map it is.
        lines = text.splitlines() or [""]
        value = load_yaml("\n".join(["value:", *(f"  {line}" for line in lines)]).encode(), "VALUE")
    except (ValueError, UnreadableFile) as error:
        raise click.UsageError(f"VALUE is not understood: {error}") from None
    return value["value"]


def _parent(root: Any, path: str, file: Path, *, new: bool = False) -> tuple[Any, Any]:
    """Return the container that holds the entry at a path, and its key or index there; (root, None) for ''."""
    if not path:
        return root, None
    *steps, last = path.split("/")
    container = root
    for number, step in enumerate(steps):
        container = container[_key(container, step, file, steps[: number + 1])]
    if new and isinstance(container, dict) and last not in container and not _number(last, container):
        return container, last
    return container, _key(container, last, file, [*steps, last])


def _key(container: Any, step: str, file: Path, steps: list[str]) -> Any:
    where = "/".join(steps)
    if isinstance(container, dict):
        if step in container:
            return step
        number = _number(step, container)
        if number is not None:
            return number
    elif isinstance(container, list) and step.isdecimal() and int(step) < len(container):
        return int(step)
    raise click.ClickException(f"{file} has no entry {where}")


def _number(step: str, container: dict[Any, Any]) -> int | None:
    """Return the int that a step stands for, if that is a key."""
    return int(step) if step.lstrip("-").isdecimal() and int(step) in container else None
