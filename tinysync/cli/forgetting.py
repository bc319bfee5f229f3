"""``tinysync forget``: devices that will not come back."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from tinysync.cli.reporting import as_json, examples, print_json, print_text
from tinysync.cli.structures import Structure, structure_argument
from tinysync.cli.times import ago
from tinysync.errors import TinySyncError
from tinysync.tracker.stored import forget_stored

if TYPE_CHECKING:
    from tinysync.status import DeviceStatus


def _offered(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the devices that can be forgotten: by name, and by id where several have that name."""
    del parameter
    structure = context.params.get("structure")
    if not isinstance(structure, Structure):
        return []
    gone: list[DeviceStatus] = []
    # What is wrong with it, the command will say.
    with suppress(click.ClickException, TinySyncError, OSError):
        gone = [one for one in structure.read().status().devices if one.id is not None and not one.linked]
    named = Counter(one.name for one in gone)
    offered = [(one.name if named[one.name] == 1 else one.id or "", ago(one.last_seen)) for one in gone]
    return [CompletionItem(text, help=f"last seen {when}") for text, when in offered if text.startswith(typed)]


@click.command(
    "forget",
    short_help="Forget a device that will not come back.",
    epilog=examples("forget todo phone", "forget todo 2f1c0e9d5b7a4c3f8e6d1a0b9c8d7e6f"),
)
@structure_argument
@click.argument("device", shell_complete=_offered)
@as_json
def forget_device(structure: Structure, device: str, as_json: bool) -> None:
    """Forget DEVICE, which has NAME no more: its folder was lost, say. 'status' tells of it no more.

    DEVICE is the name that 'status' shows, or, where several have that name, the id of 'status --json'. It must be
    offline; one that comes back is met again.
    """
    stored = structure.read()
    known = [one for one in stored.status().devices if one.id is not None]
    found = _chosen(structure, device, [one for one in known if device in {one.name, one.id}])
    forget_stored(stored, found)
    if as_json:
        print_json({"structure": structure.name, "device": found.name, "id": found.id})
    else:
        print_text(f"{structure.name}: {found.name} is forgotten. If it comes back, it is met again.")


def _chosen(structure: Structure, text: str, meant: list[DeviceStatus]) -> DeviceStatus:
    """Return the one that is meant: of several of that name, the one that is gone."""
    if not meant:
        raise click.ClickException(
            f"{structure.name} knows no device {text!r}; 'tinysync status {structure.name}' lists them"
        )
    gone = [one for one in meant if not one.linked] or meant
    if len(gone) > 1:
        seen = "; ".join(f"{one.id} was last seen {ago(one.last_seen)}" for one in gone)
        raise click.ClickException(f"{len(gone)} devices are named {text}; give the id: {seen}")
    return gone[0]
