"""``tinysync status``: which devices have what."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from tinysync.cli.reporting import (
    FAILED,
    as_json,
    console,
    examples,
    in_a_shell,
    print_json,
    print_table,
    print_text,
    table,
)
from tinysync.cli.running import stoppable
from tinysync.cli.structures import Structure, StructureType, problem_with_file, structures_in
from tinysync.cli.times import ago
from tinysync.errors import TinySyncError, UsageError
from tinysync.storage.kept_as import kept_as
from tinysync.storage.recovery import is_of_op_log
from tinysync.tracker.watching import signature

if TYPE_CHECKING:
    from tinysync.model import Kind
    from tinysync.status import Coverage, DeviceStatus, SyncStatus
    from tinysync.tracker.stored import Stored
    from tinysync.tracker.watching import Signature

_REST: Final = 0.5
"""Seconds between two looks of the live table."""

_COLUMNS: Final = ("device", "state", "last seen", "pending", "durable", "reason")


class _Seen(NamedTuple):
    """How far other devices are, the processes that have it open, and what is wrong with the readable file."""

    status: SyncStatus
    open_in: list[int]
    problem: str


@dataclass
class _Look:
    """Looks at one structure again and again; reads its document, and its file, only where that has changed."""

    structure: Structure
    read: tuple[list[tuple[str, Signature]], Stored, Coverage] | None = None
    checked: tuple[Signature, str] | None = None

    def see(self) -> _Seen:
        """Return how it is."""
        files = self._files()
        if self.read is None or self.read[0] != files:
            stored = self.structure.read()
            self.read = files, stored, stored.document().coverage()
        _, stored, here = self.read
        stored = stored.seen_now()
        open_in = sorted({sign.process for sign in stored.signs if sign.lives})
        return _Seen(stored.status(here), open_in, self._problem(stored.kind))

    def _problem(self, kind: Kind) -> str:
        now = signature(self.structure.paths.readable)
        if self.checked is None or self.checked[0] != now:
            self.checked = now, problem_with_file(self.structure, kind)
        return self.checked[1]

    def _files(self) -> list[tuple[str, Signature]]:
        """Return what changes with the files that hold updates."""
        try:
            names = sorted(filter(is_of_op_log, os.listdir(self.structure.paths.state)))  # noqa: PTH208
            return [(name, signature(self.structure.paths.state / name)) for name in names]
        except FileNotFoundError:
            return []


@click.command(
    "status",
    short_help="Which devices have what is here.",
    epilog=examples(
        "status", "status todo --live", "status --json | jq '.devices[] | select(.pending > 0) | .name'"
    ),
)
@click.argument("structures", metavar="[NAME]...", nargs=-1, type=StructureType())
@click.option("--live", is_flag=True, help="Go on showing it as it changes, until Ctrl-C.")
@as_json
@click.pass_context
def show_status(context: click.Context, structures: tuple[Structure, ...], live: bool, as_json: bool) -> None:
    """Show which other devices have what is here, of NAMEs, or all structures of this folder.

    It is read from the disk, also while programs have the structures open. A device is in step while it is
    connected and has confirmed all that is here; pending are changes that it has not confirmed. Addresses where
    nobody was met are shown while a program tries to connect to them.
    """
    looks = [_Look(structure) for structure in structures or _here()]
    if live:
        with stoppable():
            _show_live(looks, as_json=as_json)
        return
    failed = False
    for look in looks:
        try:
            _print(look.structure, look.see(), as_json=as_json)
        except TinySyncError as error:
            failed = True
            click.echo(f"{look.structure.name}: {error}", err=True)
    if failed:
        context.exit(FAILED)


def _print(structure: Structure, seen: _Seen, *, as_json: bool) -> None:
    if as_json:
        print_json(_for_programs(structure, seen))
        return
    if seen.status.devices:
        print_table(_COLUMNS, map(_row, seen.status.devices), _title(seen))
    else:
        print_text(_nobody(seen))
    if seen.problem:
        print_text(_not_taken_in(seen), "red")


def _here() -> list[Structure]:
    """Return the structures of this folder that have a document."""
    found = structures_in(Path())
    if not found:
        raise click.ClickException(f"there are no structures in {Path().absolute()}; name a file")
    return [structure for structure in found if kept_as(structure.paths) is None]


def _title(seen: _Seen) -> str:
    if not seen.open_in:
        return f"{seen.status.name}, not open"
    processes = "process" if len(seen.open_in) == 1 else "processes"
    return f"{seen.status.name}, open in {processes} {', '.join(map(str, seen.open_in))}"


def _nobody(seen: _Seen) -> str:
    # On the local network, and at addresses that were given just now, somebody may be found yet.
    return f"{_title(seen)}: no other devices{' were met yet' if seen.open_in else ''}"


def _not_taken_in(seen: _Seen) -> str:
    return f"What the file says is not taken in: {seen.problem}"


def _row(device: DeviceStatus) -> tuple[Text | str, ...]:
    style = "green" if device.synced else "red" if device.refused else "yellow" if device.linked else "dim"
    return (
        device.name or device.address or "?",
        Text(device.state, style),
        "now" if device.linked else ago(device.last_seen),
        Text(str(device.pending), "yellow" if device.pending else "dim"),
        Text("yes", "green") if device.durable else Text("no", "yellow"),
        in_a_shell(device.remarks),
    )


def _for_programs(structure: Structure, seen: _Seen) -> dict[str, Any]:
    status = seen.status
    return {
        "structure": structure.name,
        "file": str(structure.paths.readable),
        "problem": seen.problem or None,
        "open_in": seen.open_in,
        "synced": status.synced,
        "durable": status.durable,
        "pending": status.pending,
        "missing": status.missing,
        "devices": [
            asdict(device)
            | {
                "state": device.state,
                "reason": in_a_shell(device.reason),
                "last_seen": device.last_seen and device.last_seen.isoformat(timespec="seconds"),
            }
            for device in status.devices
        ],
    }


def _show_live(looks: list[_Look], *, as_json: bool) -> None:
    out = console()
    if as_json or not out.is_terminal:
        told: dict[str, object] = {}
        while True:
            for look in looks:
                seen = look.see()
                if told.get(look.structure.name) != seen:
                    told[look.structure.name] = seen
                    _print(look.structure, seen, as_json=as_json)
            time.sleep(_REST)
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as shown:
        while True:
            shown.update(Group(*map(_live_table, looks), Text("Ctrl-C ends it.", "dim")), refresh=True)
            time.sleep(_REST)


def _live_table(look: _Look) -> Any:
    try:
        seen = look.see()
    except UsageError:
        raise
    except TinySyncError as error:
        return Text(f"{look.structure.name}: {error}", "red")
    problem = [Text(f"{_not_taken_in(seen)}\n", "red")] if seen.problem else []
    if not seen.status.devices:
        return Group(Text(f"{_nobody(seen)}\n"), *problem)
    return Group(table(_COLUMNS, map(_row, seen.status.devices), _title(seen)), *problem)
