"""``tinysync fingerprint`` and ``pair``: which devices of a group may link with this one."""

from __future__ import annotations

from pathlib import Path

import click

from tinysync.group import Key, pair
from tinysync.peer import Peer


@click.command(short_help="Print the digits that tell this device from others.")
@click.option(
    "--key", metavar="PATH", help="The group's key; by default TINYSYNC_KEY or the one of 'tinysync key'."
)
def fingerprint(key: str | None) -> None:
    """Print this device's fingerprint, to be paired on another one."""
    with Peer(key=key or Key.default()) as peer:
        click.echo(peer.fingerprint)


@click.command("pair", short_help="Let a device link with this one.")
@click.argument("fingerprint")
@click.argument("name")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="The list; by default the user's.")
def pair_device(fingerprint: str, name: str, file: Path | None) -> None:
    """Allow the device with FINGERPRINT, which NAME is written down for, to link with this one."""
    click.echo(f"{name} is allowed: {pair(fingerprint, name, file)}")
