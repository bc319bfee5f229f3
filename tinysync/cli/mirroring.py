"""``tinysync mirror``: files that are the same on all devices."""

from __future__ import annotations

from contextlib import ExitStack

import click

from tinysync.api import tracker
from tinysync.cli.catching_up import bars_of
from tinysync.cli.changes import printer
from tinysync.cli.reporting import as_json, console, examples, print_json, print_text
from tinysync.cli.running import until_stopped
from tinysync.cli.structures import Structure, StructureType, open_structure
from tinysync.group import Key
from tinysync.peer import Peer


@click.command(
    short_help="Keep files the same on all devices.",
    epilog=examples(
        "mirror settings.yaml",
        "mirror settings.yaml --listen 0.0.0.0:8765",
        "mirror settings.yaml --connect wss://desk:8765",
    ),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=StructureType(new=True))
@click.option(
    "--listen", metavar="ADDRESS", help="Take links here: 0.0.0.0:8765, or 127.0.0.1:8765 without a key."
)
@click.option(
    "--connect", metavar="URL", multiple=True, help="Link to the device at this address; can be repeated."
)
@click.option(
    "--lan",
    is_flag=True,
    help="Find devices on the local network, and be found: so it is by default.",
)
@click.option(
    "--key", metavar="PATH", help="The group's key; by default TINYSYNC_KEY or the one of 'tinysync key'."
)
@click.option("--no-key", is_flag=True, help="Link without a key: with processes on this machine only.")
@click.option("--device", metavar="NAME", help="What others call this device; by default the host's name.")
@as_json
def mirror(  # noqa: PLR0917 - click gives them by name
    files: tuple[Structure, ...],
    listen: str | None,
    connect: tuple[str, ...],
    lan: bool,
    key: str | None,
    no_key: bool,
    device: str | None,
    as_json: bool,
) -> None:
    """Keep FILES the same on all devices, until it is interrupted.

    Files are the same document on two devices if they have the same name, wherever they lie. They may be edited by
    hand and by programs at any time; what is edited offline is merged when the devices meet.
    """
    if listen is None and not connect:
        if no_key:
            raise click.UsageError("nobody to mirror with: give --listen to one process, --connect to the others")
        lan = True
    secret = None if no_key else (key or Key.default())
    with ExitStack() as stack:
        peer = stack.enter_context(Peer(listen=listen, connect=connect, device=device, key=secret, lan=lan))
        for file in files:
            structure = open_structure(file, peer, callback=printer(file, as_json=as_json))
            stack.callback(tracker(structure).close)
        if not as_json:
            where = f", others connect to {peer.url}" if peer.url else ""
            where += ", devices on the local network find it" if lan else ""
            names = ", ".join(file.paths.readable.name for file in files)
            print_text(f"Mirroring {names}{where}. Ctrl-C ends it.", "bold")
            stack.enter_context(bars_of(peer, console()))
        elif peer.url:
            print_json({"listening": peer.url})
        until_stopped()
        if not as_json:
            print_text("Ended; what was not sent yet is sent when the devices meet again.")
