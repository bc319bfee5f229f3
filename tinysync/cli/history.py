"""``tinysync log``, ``at`` and ``restore``: what a structure was earlier."""

from __future__ import annotations

import shlex
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from tinysync.api import tracker
from tinysync.cli.entries import print_value
from tinysync.cli.paths import entry, parse_path, path_argument, path_text
from tinysync.cli.reporting import as_json, by_whom, console, examples, print_json, print_table, print_text
from tinysync.cli.structures import Structure, look_in, structure_argument
from tinysync.cli.times import When, moment

if TYPE_CHECKING:
    from datetime import datetime

    from tinysync.model import HistoryEntry

_MOST_PATHS: Final = 4
"""So many paths of a version are shown in a terminal."""
_STYLES: Final = {"local": "", "file": "yellow", "remote": "cyan", "default": "dim"}
_WHO: Final = {"local": "here", "file": "edited by hand", "default": "defaults"}

when_argument = click.argument("when", type=When())


@click.command(
    "log",
    short_help="What changed, when, and who wrote it.",
    epilog=examples("log todo", "log todo.yaml -n 3", "log todo --json -n 0 | jq -c .paths"),
)
@structure_argument
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=0),
    default=20,
    metavar="N",
    show_default=True,
    help="How many versions; 0: all.",
)
@as_json
def show_log(structure: Structure, number: int, as_json: bool) -> None:
    """Show the history of NAME, the newest version first: when, who wrote it, what.

    'by phone' is what the phone wrote, 'via phone' what it brought where it is not known who wrote it. Nothing is
    written, whoever has it open. 'at' shows a version, 'restore' brings one back.
    """
    entries = structure.read().history()
    shown = entries[:number] if number else entries
    if as_json:
        for each in shown:
            print_json(
                {
                    "structure": structure.name,
                    "version": each.version,
                    "when": each.when.isoformat(timespec="milliseconds"),
                    "origin": each.origin,
                    "device": each.device,
                    **({"via": True} if each.via else {}),
                    "paths": each.paths,
                }
            )
        return
    terminal = console().is_terminal
    rows = [
        (str(each.version), moment(each.when), Text(_who(each), _STYLES[each.origin]), _paths(each, terminal))
        for each in shown
    ]
    if not rows:
        print_text(f"{structure.name} has no version but the present one.")
        return
    print_table(["version", "when", "who", "what"], rows)
    if terminal and len(shown) < len(entries):
        print_text(f"… and {len(entries) - len(shown)} earlier versions: -n 0 shows all.", "dim")


def _who(version: HistoryEntry) -> str:
    if version.origin == "file" and version.version == 1:
        return "the file"
    return _WHO.get(version.origin) or by_whom(version.device, via=version.via)


def _paths(version: HistoryEntry, terminal: bool) -> str:
    paths = [path_text(path) for path in version.paths]
    most = _MOST_PATHS if terminal and len(paths) > _MOST_PATHS + 1 else len(paths)
    more = f" … {len(paths) - most} more" if most < len(paths) else ""
    return ", ".join(paths[:most]) + more if paths else "nothing"


@click.command(
    "at",
    short_help="Print a structure as it was earlier.",
    epilog=examples("at todo 12", "at todo 2h tasks/0", 'at todo "2026-05-01 12:30" --json'),
)
@structure_argument
@when_argument
@path_argument
@as_json
def show_at(structure: Structure, when: int | datetime, path: str, as_json: bool) -> None:
    """Print NAME as it was WHEN: at a version of 'tinysync log', or a time; with PATH, that entry.

    Nothing is written. Times are those at which changes came to this device: '2026-05-01 12:30', 12:30, yesterday,
    or how long ago: 10m, 2h, 3d.
    """
    state = structure.read().at(when)
    print_value(entry(state, parse_path(state, path, f"{structure.name} at that time")), as_json=as_json)


@click.command(
    "restore",
    short_help="Bring a structure, or a part, back to what it was.",
    epilog=examples("restore todo 12", "restore todo yesterday tasks"),
)
@structure_argument
@when_argument
@path_argument
@as_json
def restore_entry(structure: Structure, when: int | datetime, path: str, as_json: bool) -> None:
    """Bring NAME, or its entry at PATH, back to what it was WHEN.

    That is a new change, which other devices get as well; what there was stays in the history.
    """
    root = look_in(structure)
    with closing(tracker(root)):
        state = tracker(root).at(when)
        keys = parse_path(state, path, f"{structure.name} at that time")
        before = newest_version(root)
        tracker(root).restore(keys, at=when)
        after = newest_version(root)
    changed = after != before
    if as_json:
        print_json({"structure": structure.name, "path": keys, "changed": changed, "version": after})
    elif changed:
        words = ["tinysync", "restore", structure.name, str(before), *([path] if path else [])]
        back = shlex.join(words)
        print_text(f"{path_text(keys)} is as it was then. To take that back: {back}")
    else:
        print_text("Nothing to do: it is as it was then.")


def newest_version(root: Any) -> int:
    """Return the number of the version that is there now; 0 if none is kept."""
    history = tracker(root).history()
    return history[0].version if history else 0
