"""``tinysync mirror``: files that are the same on all devices."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.logging import RichHandler

from tinysync.api import tracker
from tinysync.cli.files import open_file
from tinysync.cli.reporting import as_json, console, print_json
from tinysync.group import Key
from tinysync.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.model import Change


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--listen", metavar="ADDRESS", help="Take links here: 0.0.0.0:8765, or 127.0.0.1:8765 without a key."
)
@click.option(
    "--connect", metavar="URL", multiple=True, help="Link to the device at this address; can be repeated."
)
@click.option(
    "--key", metavar="PATH", help="The group's key; by default TINYSYNC_KEY or the one of 'tinysync key'."
)
@click.option("--no-key", is_flag=True, help="Link without a key: with processes on this machine only.")
@click.option("--device", metavar="NAME", help="What others call this device; by default the host's name.")
@as_json
def mirror(  # noqa: PLR0917 - click gives them by name
    files: tuple[Path, ...],
    listen: str | None,
    connect: tuple[str, ...],
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
        raise click.UsageError("nobody to mirror with: give --listen on one device, and --connect on the others")
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(show_path=False, show_level=False)]
    )
    secret = None if no_key else (key or Key.default())
    with ExitStack() as stack:
        peer = stack.enter_context(Peer(listen=listen, connect=connect, device=device, key=secret))
        for file in files:
            structure = open_file(file, peer, callback=_printer(file, as_json=as_json))
            stack.callback(tracker(structure).close)
        if not as_json:
            where = f", others connect to {peer.url}" if peer.url else ""
            console().print(f"Mirroring {', '.join(map(str, files))}{where}. Ctrl-C ends it.", style="bold")
        elif peer.url:
            print_json({"listening": peer.url})
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            if not as_json:
                console().print("Ended; what was not sent yet is sent when the devices meet again.")


def _printer(file: Path, *, as_json: bool) -> Callable[[Change | list[Change]], None]:
    def show(changes: Any) -> None:
        for change in changes if isinstance(changes, list) else [changes]:
            path = [*change.path, *change.args[:1]] if change.func_name in {"__setitem__", "__delitem__"} else None
            if as_json:
                print_json(
                    {
                        "file": str(file),
                        "origin": change.origin,
                        "device": change.device,
                        "path": change.path if path is None else path,
                        "change": change.func_name,
                    }
                )
            else:
                who = change.device or {"file": "edited here", "local": "here"}.get(change.origin, change.origin)
                steps = "/".join(map(str, change.path if path is None else path)) or "everything"
                console().print(f"{file}: {who}: {steps}", markup=False)

    return show
