"""``tinysync status``: which devices have what."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
from tinysync.cli.structures import Structure, StructureType, structures_in
from tinysync.cli.times import ago
from tinysync.errors import TinySyncError, UsageError
from tinysync.storage.kept_as import kept_as
from tinysync.storage.recovery import is_of_op_log
from tinysync.tracker.watching import signature

if TYPE_CHECKING:
    from tinysync.status import Coverage, DeviceStatus, SyncStatus
    from tinysync.tracker.stored import Stored
    from tinysync.tracker.watching import Signature

_REST: Final = 0.5
"""Seconds between two looks of the live table."""

_COLUMNS: Final = ("device", "state", "last seen", "pending", "durable", "reason")


@dataclass
class _Look:
    """Looks at one structure again and again; reads its document only where that has changed."""

    structure: Structure
    read: tuple[list[tuple[str, Signature]], Stored, Coverage] | None = None

    def status(self) -> tuple[SyncStatus, list[int]]:
        """Return how far other devices are, and the processes that have it open."""
        files = self._files()
        if self.read is None or self.read[0] != files:
            stored = self.structure.read()
            self.read = files, stored, stored.document().coverage()
        _, stored, here = self.read
        stored = stored.seen_now()
        return stored.status(here), sorted({sign.process for sign in stored.signs if sign.lives})

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
            status, open_in = look.status()
        except TinySyncError as error:
            failed = True
            click.echo(f"{look.structure.name}: {error}", err=True)
            continue
        if as_json:
            print_json(_for_programs(look.structure, status, open_in))
        elif status.devices:
            print_table(_COLUMNS, map(_row, status.devices), _title(status, open_in))
        else:
            print_text(_nobody(status, open_in))
    if failed:
        context.exit(FAILED)


def _here() -> list[Structure]:
    """Return the structures of this folder that have a document."""
    found = structures_in(Path())
    if not found:
        raise click.ClickException(f"there are no structures in {Path().absolute()}; name a file")
    return [structure for structure in found if kept_as(structure.paths) is None]


def _title(status: SyncStatus, open_in: list[int]) -> str:
    if not open_in:
        return f"{status.name}, not open"
    processes = "process" if len(open_in) == 1 else "processes"
    return f"{status.name}, open in {processes} {', '.join(map(str, open_in))}"


def _nobody(status: SyncStatus, open_in: list[int]) -> str:
    # On the local network, and at addresses that were given just now, somebody may be found yet.
    return f"{_title(status, open_in)}: no other devices{' were met yet' if open_in else ''}"


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


def _for_programs(structure: Structure, status: SyncStatus, open_in: list[int]) -> dict[str, Any]:
    return {
        "structure": structure.name,
        "file": str(structure.paths.readable),
        "open_in": open_in,
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
                status, open_in = look.status()
                if told.get(look.structure.name) != (status, open_in):
                    told[look.structure.name] = status, open_in
                    if as_json:
                        print_json(_for_programs(look.structure, status, open_in))
                    else:
                        print_table(_COLUMNS, map(_row, status.devices), _title(status, open_in))
            time.sleep(_REST)
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as shown:
        while True:
            shown.update(Group(*map(_live_table, looks), Text("Ctrl-C ends it.", "dim")), refresh=True)
            time.sleep(_REST)


def _live_table(look: _Look) -> Any:
    try:
        status, open_in = look.status()
    except UsageError:
        raise
    except TinySyncError as error:
        return Text(f"{look.structure.name}: {error}", "red")
    if not status.devices:
        return Text(f"{_nobody(status, open_in)}\n")
    return table(_COLUMNS, map(_row, status.devices), _title(status, open_in))
