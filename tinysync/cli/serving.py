"""``tinysync serve``: a peer with no application."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import click

from tinysync.cli.reporting import as_json, examples, print_json, print_text
from tinysync.cli.running import until_stopped
from tinysync.group import Key
from tinysync.peer import Peer
from tinysync.serving import serve as serve_folder


@click.command(
    short_help="Store and forward what the devices of a group bring.",
    epilog=examples("serve /srv/tinysync", "serve backup --listen 0.0.0.0:8765 --documents 'home/*'"),
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--documents", metavar="PATTERN", multiple=True, help="Only documents of such names: 'home/*'; repeatable."
)
@click.option("--listen", metavar="ADDRESS", help="Take links here: 0.0.0.0:8765; by default at any free port.")
@click.option(
    "--connect", metavar="URL", multiple=True, help="Link to the device at this address; can be repeated."
)
@click.option("--lan/--no-lan", default=True, help="Find devices on the local network, and be found; the default.")
@click.option(
    "--key", metavar="PATH", help="The group's key; by default TINYSYNC_KEY or the one of 'tinysync key'."
)
@click.option("--no-key", is_flag=True, help="Link without a key: with processes on this machine only.")
@click.option("--device", metavar="NAME", help="What others call this device; by default the host's name.")
@click.option(
    "--yjs",
    metavar="ADDRESS",
    help="Take Yjs clients here: 127.0.0.1:8766; they show TINYSYNC_YJS_TOKEN, if it is set.",
)
@as_json
def serve(  # noqa: PLR0917 - click gives them by name
    folder: Path,
    documents: tuple[str, ...],
    listen: str | None,
    connect: tuple[str, ...],
    lan: bool,
    key: str | None,
    no_key: bool,
    device: str | None,
    yjs: str | None,
    as_json: bool,
) -> None:
    """Store in FOLDER all documents that the devices of the group bring, and forward them, until it is stopped.

    An always-on member: devices that are never on at the same time have each other's changes through it.
    """
    lan = lan and not no_key
    if not lan and listen is None and not connect:
        raise click.UsageError("nobody to serve: without --lan, give --listen or --connect")
    secret = None if no_key else (key or Key.default())

    def tell(name: str) -> None:
        if as_json:
            print_json({"document": name})
        else:
            print_text(f"Keeping {name}")

    with ExitStack() as stack:
        peer = stack.enter_context(
            Peer(
                listen=listen,
                connect=connect,
                device=device,
                key=secret,
                lan=lan,
                documents=documents or None,
                yjs=yjs,
                yjs_token=os.environ.get("TINYSYNC_YJS_TOKEN") if yjs else None,
            )
        )
        stack.enter_context(serve_folder(folder, peer, opened=tell))
        if as_json:
            print_json({"serving": str(folder), "listening": peer.url, "yjs": peer.yjs_url})
        else:
            ways = [f"others connect to {peer.url}"] if peer.url else []
            ways += [f"Yjs clients connect to {peer.yjs_url}"] if peer.yjs_url else []
            ways += ["devices on the local network find it"] if lan else []
            print_text(f"Serving {folder}: {'; '.join(ways) or 'it connects to others'}. Ctrl-C ends it.")
        until_stopped()
