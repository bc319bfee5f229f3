"""``tinysync compact``: fewer files, and less to read on opening."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tinysync.cli.reporting import as_json, examples, print_json, print_text
from tinysync.cli.structures import KEEP_HISTORY, Structure, structure_argument
from tinysync.errors import UsageError
from tinysync.model import History
from tinysync.tracker.stored import compact_stored

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class _Size:
    files: int
    size: int

    def __str__(self) -> str:
        return f"{self.files} file{'' if self.files == 1 else 's'} with {self.size:,} bytes"


def _see_that_it_is_a_number(context: click.Context, option: click.Parameter, days: float | None) -> float | None:
    if days is not None and math.isnan(days):
        raise click.BadParameter("nan is no number of days", context, option)
    return days


@click.command(
    "compact",
    short_help="Make the files of a structure fewer, and opening it faster.",
    epilog=examples("compact todo", "compact todo --history 30"),
)
@structure_argument
@click.option(
    "--history",
    type=click.FloatRange(min=0),
    callback=_see_that_it_is_a_number,
    metavar="DAYS",
    help="Keep so many days of history; by default all of it.",
)
@as_json
def compact(structure: Structure, history: float | None, as_json: bool) -> None:
    """Replace what NAME's changes are kept in by one file with its state, and, apart from that, its history.

    Afterwards there are fewer files, and what is read on opening is smaller; the history stays, which can take as
    much as before: --history shortens it. Programs that have it open may go on meanwhile; what they write to
    stays. Opening a structure that has grown does the same.
    """
    kept = KEEP_HISTORY if history is None else History(history, KEEP_HISTORY.megabytes)
    stored = structure.read()
    before = _size(stored.paths.state)
    complete = compact_stored(stored, kept)
    after = _size(stored.paths.state)
    if not complete:
        raise UsageError(
            f"{structure.name!r} is left as it is: changes are missing that others build on. They come when the"
            " devices meet that have them; 'tinysync doctor' says more"
        )
    if as_json:
        told = {"structure": structure.name, "files": after.files, "bytes": after.size}
        print_json(told | {"files_before": before.files, "bytes_before": before.size})
    else:
        print_text(f"{structure.name}: {before} are now {after}.")


def _size(state: Path) -> _Size:
    sizes = []
    for path in state.iterdir():
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue
    return _Size(len(sizes), sum(sizes))
