"""``tinysync mirror``: files that are the same on all devices."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from tinysync.api import tracker
from tinysync.cli.catching_up import bars_of
from tinysync.cli.changes import Printer
from tinysync.cli.conflicts import conflict_printer
from tinysync.cli.linking import links_told
from tinysync.cli.peering import peer_options
from tinysync.cli.reporting import as_json, console, examples, print_json, print_text
from tinysync.cli.running import stoppable, until_stopped
from tinysync.cli.structures import Structure, StructureType, open_structure

if TYPE_CHECKING:
    from tinysync.cli.peering import PeerOptions


@click.command(
    short_help="Keep files the same on all devices.",
    epilog=examples(
        "mirror settings.yaml hosts.json",
        "mirror settings.yaml --listen 0.0.0.0:8765",
        "mirror settings.yaml --connect wss://desk:8765",
    ),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=StructureType(new=True))
@peer_options(lan=None)
@as_json
def mirror(files: tuple[Structure, ...], peering: PeerOptions, as_json: bool) -> None:
    """Keep FILES the same on all devices of the group, until it is interrupted.

    Devices on the local network find each other, or give addresses. Files are the same document on two
    devices if they have the same name, wherever they lie. They may be edited by hand and by programs at any time;
    what is edited offline is merged when the devices meet. What they say is the same on all devices; comments and
    layout of YAML files stay each device's own.
    """
    _refuse_one_document_twice(files)
    with stoppable(), ExitStack() as stack:
        peer = stack.enter_context(peering.open())
        for file in files:
            show = Printer(file, as_json=as_json)
            stack.callback(show.close)
            structure = open_structure(
                file,
                peer,
                callback=show,
                conflict_callback=conflict_printer(file, as_json=as_json),
            )
            stack.callback(tracker(structure).close)
        names = [file.paths.readable.name for file in files]
        if as_json:
            print_json({"mirroring": names, "listening": peer.url})
        else:
            print_text(f"Mirroring {', '.join(names)}; {peering.ways(peer)}. Ctrl-C ends it.", "bold")
            stack.enter_context(bars_of(peer, console()))
        stack.enter_context(links_told(peer, as_json=as_json))
        until_stopped()
        if not as_json:
            print_text("Ended; what was not sent yet is sent when the devices meet again.")


def _refuse_one_document_twice(files: tuple[Structure, ...]) -> None:
    """Say so before any of them is begun."""
    known: dict[str, Structure] = {}
    for file in files:
        first = known.setdefault(file.name, file)
        if first is not file:
            shown = " and ".join(os.path.relpath(one.paths.readable) for one in (first, file))
            raise click.UsageError(f"{shown} would be one document, {file.name!r}: mirror one of them")
