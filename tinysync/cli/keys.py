"""``tinysync key``: the secret of a group."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tinysync.cli.reporting import KEY_COMMANDS, Reporting, as_json, print_json
from tinysync.group import Key

path_option = click.option(
    "--path", type=click.Path(dir_okay=False, path_type=Path), help="The key's file; by default the user's."
)


def group_key(path: str | Path | None) -> Key:
    """Return the key in a file, or else that of the user; raises what they raise."""
    if path is None and (key := Key.from_environment()) is not None:
        return key
    place = Key.default_path() if path is None else Path(path)
    if not place.exists():
        raise click.ClickException(f"there is no key in {place}: {KEY_COMMANDS}")
    return Key.load(place)


@click.group(cls=Reporting, short_help="Make, enter and show the secret of a group.")
def key() -> None:
    """Make and show the secret of a group: whoever has it is a member."""


@key.command("new")
@path_option
@as_json
def new(path: Path | None, as_json: bool) -> None:
    """Make a new group; a key that is there already is not overwritten."""
    made = Key.new()
    _tell(made.save(path), made, as_json=as_json)


@key.command("enter", short_help="Join a group by the key of another device.")
@path_option
@as_json
def enter(path: Path | None, as_json: bool) -> None:
    """Join a group: asks for the key that 'tinysync key show' prints on another device of it."""
    # Asked for without echo; a script may also pipe it in.
    text = click.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    entered = Key.from_text(text.strip())
    _tell(entered.save(path), entered, as_json=as_json)


@key.command("show")
@path_option
@as_json
def show(path: Path | None, as_json: bool) -> None:
    """Print the secret itself, to be entered on another device."""
    shown = group_key(path)
    if as_json:
        print_json({"key": shown.text(), "group": shown.group})
    else:
        click.echo(shown.text())


def _tell(path: Path, saved: Key, *, as_json: bool) -> None:
    if as_json:
        print_json({"path": str(path), "group": saved.group})
    else:
        click.echo(f"The key of the group {saved.group} is in {path}, readable for you alone.")
