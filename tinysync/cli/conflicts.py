"""``tinysync conflicts``, and conflicts as they are found, printed."""

from __future__ import annotations

import shlex
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from tinysync.api import tracker
from tinysync.cli.history import newest_version
from tinysync.cli.paths import path_text, value_text
from tinysync.cli.reporting import (
    as_json,
    by_whom,
    console,
    examples,
    print_json,
    print_table,
    print_text,
    shortened,
)
from tinysync.cli.structures import Structure, look_in, structure_argument
from tinysync.cli.times import moment
from tinysync.model import NOTHING, Conflict
from tinysync.tracker.patterns import Touched, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

_COLUMNS: Final = ("number", "when", "where", "lost", "kept")


@click.command(
    "conflicts",
    short_help="What was lost where two devices wrote the same thing.",
    epilog=examples(
        "conflicts todo", "conflicts todo --restore 3", "conflicts todo --json | jq -c '[.path, .lost]'"
    ),
)
@structure_argument
@click.option(
    "--restore", "number", type=click.IntRange(min=1), metavar="N", help="Bring back what was lost in number N."
)
@as_json
def list_conflicts(structure: Structure, number: int | None, as_json: bool) -> None:
    """List what was written in NAME on two devices at once, the newest first: what was lost, and what was kept.

    'by phone' is what the phone wrote, 'via phone' what it brought where it is not known who wrote it. What
    --restore brings back is a new change, which other devices get as well.
    """
    root = look_in(structure)
    with closing(tracker(root)):
        found = tracker(root).conflicts()
        if number is not None:
            _restore(root, structure, found, number, as_json=as_json)
            return
    numbered = list(enumerate(found, 1))[::-1]
    if as_json:
        for place, conflict in numbered:
            print_json({"number": place} | _for_programs(conflict, structure))
    elif numbered:
        print_table(
            _COLUMNS,
            [
                (str(place), moment(conflict.when), path_text(conflict.path), *_values(conflict))
                for place, conflict in numbered
            ],
        )
        if console().is_terminal:
            print_text(f"tinysync conflicts {structure.name} --restore N brings back what was lost.", "dim")
    else:
        print_text(f"{structure.name} has no conflicts.")


def _restore(root: Any, structure: Structure, found: list[Conflict], number: int, *, as_json: bool) -> None:
    if not 1 <= number <= len(found):
        raise click.ClickException(
            f"{structure.name} has no conflict {number}; 'tinysync conflicts {structure.name}' lists them"
        )
    conflict = found[number - 1]
    before = newest_version(root)
    conflict.restore()
    after = newest_version(root)
    changed = after != before
    if as_json:
        print_json({"structure": structure.name, "path": conflict.path, "changed": changed, "version": after})
    elif changed:
        back = shlex.join(["tinysync", "restore", structure.name, str(before)])
        print_text(f"What was lost at {path_text(conflict.path)} is back. To take that back: {back}")
    else:
        print_text("Nothing to do: it is there.")


def conflict_printer(
    structure: Structure, *, as_json: bool, pattern: str | None = None, unread: Event | None = None
) -> Callable[[Conflict], None]:
    """Return a callback that prints conflicts, those that ``pattern`` is about; ``unread`` as with changes."""
    unread = unread or Event()
    wanted = parse_pattern("**" if pattern is None else pattern)

    def show(conflict: Conflict) -> None:
        *path, key = conflict.path
        touched = Touched(path, [(key, conflict.lost), (key, conflict.kept)])
        if unread.is_set() or not wanted.matches(touched):
            return
        try:
            if as_json:
                print_json(_for_programs(conflict, structure))
            else:
                console().print(_for_people(conflict, structure))
        except BrokenPipeError:
            unread.set()

    return show


def _for_programs(conflict: Conflict, structure: Structure) -> dict[str, Any]:
    values = {"lost": conflict.lost, "kept": conflict.kept}
    return {
        "structure": structure.name,
        "file": str(structure.paths.readable),
        "when": conflict.when.isoformat(timespec="milliseconds"),
        "conflict": conflict.kind,
        "path": conflict.path,
        **{name: value for name, value in values.items() if value is not NOTHING},
        "lost_device": conflict.lost_device,
        "kept_device": conflict.kept_device,
        "lost_here": conflict.lost_here,
        **({"via": True} if conflict.via else {}),
    }


def _for_people(conflict: Conflict, structure: Structure) -> Text:
    lost, kept = _values(conflict)
    return Text.assemble(
        (f"{conflict.when:%H:%M:%S}  ", "dim"),
        (structure.paths.readable.name, "bold"),
        ("  conflict  ", "yellow"),
        (path_text(conflict.path), "green"),
        f": {lost} gave way to {kept}",
    )


def _values(conflict: Conflict) -> tuple[str, str]:
    """Return what was lost and what was kept, with who wrote it."""
    return (
        _value(conflict, conflict.lost, conflict.lost_device, here=conflict.lost_here),
        _value(conflict, conflict.kept, conflict.kept_device, here=not conflict.lost_here),
    )


def _value(conflict: Conflict, value: Any, device: str, *, here: bool) -> str:
    if value is NOTHING:
        text = "deletion" if here else "a deletion"
    elif conflict.kind == "move":
        text = f"move to {value}" if here else f"a move to {value}"
    else:
        text = shortened(value_text(value))
    return f"your {text}" if here else f"{text} ({by_whom(device, via=conflict.via)})"
