"""``tinysync watch``: changes as they come."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from threading import Event

import click

from tinysync.api import tracker
from tinysync.cli.changes import Printer
from tinysync.cli.conflicts import conflict_printer
from tinysync.cli.reporting import as_json, console, examples, print_json, print_text
from tinysync.cli.running import until_stopped
from tinysync.cli.structures import FORMATS, Structure, StructureType, look_in, structures_in


@click.command(
    "watch",
    short_help="Print changes as they come.",
    epilog=examples("watch todo", "watch --path 'tasks/**'", "watch todo --json | jq -c '[.device, .path]'"),
)
@click.argument("structures", metavar="[NAME]...", nargs=-1, type=StructureType())
@click.option("--path", "pattern", metavar="PATTERN", help="Only what this matches: * is any step, ** any number.")
@as_json
def watch(structures: tuple[Structure, ...], pattern: str | None, as_json: bool) -> None:
    """Print what changes in NAMEs, or all structures of this folder, until Ctrl-C: who wrote it, where, what.

    'by phone' is what the phone wrote, 'via phone' what it brought where it is not known who wrote it.

    Conflicts, too: what was lost where another device wrote the same thing. Changes of other devices come through
    the program that has a link to them, such as 'tinysync mirror'.
    """
    watched = list(structures) or [each for each in structures_in(Path()) if each.suffix in FORMATS]
    if not watched:
        raise click.ClickException(f"there are no structures in {Path().absolute()}; name a file")
    unread = Event()
    with ExitStack() as stack:
        for structure in watched:
            clash = conflict_printer(structure, as_json=as_json, pattern=pattern, unread=unread)
            show = Printer(structure, as_json=as_json, unread=unread)
            stack.callback(show.close)
            root = look_in(structure, conflict_callback=clash)
            stack.callback(tracker(root).close)
            tracker(root).on("**" if pattern is None else pattern, show)
        names = [structure.paths.readable.name for structure in watched]
        if as_json:
            print_json({"watching": names})
        elif console().is_terminal:
            print_text(f"Watching {', '.join(names)}. Ctrl-C ends it.", "bold")
        until_stopped(unread)
        if unread.is_set():
            raise BrokenPipeError
