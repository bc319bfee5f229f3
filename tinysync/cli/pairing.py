"""``tinysync fingerprint`` and ``pair``: which devices of a group may link with this one."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from tinysync.cli.keys import group_key
from tinysync.cli.reporting import as_json, print_json
from tinysync.group import default_allowed_path, pair
from tinysync.group.device import own_fingerprint
from tinysync.peer import Peer


@click.command(short_help="Print the digits that tell this device from others.")
@click.option(
    "--key", metavar="PATH", help="The group's key; by default TINYSYNC_KEY or the one of 'tinysync key'."
)
@as_json
def fingerprint(key: str | None, as_json: bool) -> None:
    """Print this device's fingerprint, to be paired on another one."""
    with Peer(key=group_key(key)) as peer:
        if as_json:
            print_json({"fingerprint": peer.fingerprint})
        else:
            click.echo(peer.fingerprint)


@click.command("pair", short_help="Let a device link with this one.")
@click.argument("fingerprint")
@click.argument("name")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="The list; by default the user's.")
@as_json
def pair_device(fingerprint: str, name: str, file: Path | None, as_json: bool) -> None:
    """Allow the device with FINGERPRINT, which NAME is written down for, to link with this one.

    The list counts where 'mirror' and 'serve' are run with --paired, or for another file with --paired-in: they
    let in nobody else, of all who have the group's key. They see it at once when the list changes.
    """
    allowed = pair(fingerprint, name, file)
    if allowed == own_fingerprint():
        click.echo(
            "Warning: these are the digits of this device itself; pair those that the other one shows", err=True
        )
    path = (file or default_allowed_path()).absolute()
    if as_json:
        print_json({"fingerprint": allowed, "device": name, "path": str(path)})
        return
    option = f"--paired-in {shlex.quote(str(file))}" if file else "--paired"
    click.echo(f"{name} is allowed: {allowed}")
    click.echo(
        f"That counts for 'tinysync mirror' and 'serve' with {option}, which let in nobody else. If {name} has a"
        " list, too, pair this device there: 'tinysync fingerprint' prints its digits here. Whose line is taken"
        f" out of {path} is let in no more."
    )
