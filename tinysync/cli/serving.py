"""``tinysync serve``: a peer with no application."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinysync.cli.catching_up import bars_of
from tinysync.cli.linking import links_told
from tinysync.cli.peering import peer_options
from tinysync.cli.reporting import as_json, console, examples, print_json, print_text
from tinysync.cli.running import stoppable, until_stopped
from tinysync.serving import serve as serve_folder

if TYPE_CHECKING:
    from tinysync.cli.peering import PeerOptions


@click.command(
    short_help="Store and forward what the devices of a group bring.",
    epilog=examples("serve /srv/tinysync", "serve backup --listen 0.0.0.0:8765 --documents 'home/*'"),
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--documents", metavar="PATTERN", multiple=True, help="Only documents of such names: 'home/*'; repeatable."
)
@peer_options(lan=True)
@click.option(
    "--yjs",
    metavar="ADDRESS",
    help="Take Yjs clients here: 127.0.0.1:8766; they show TINYSYNC_YJS_TOKEN, if it is set.",
)
@as_json
def serve(folder: Path, documents: tuple[str, ...], peering: PeerOptions, yjs: str | None, as_json: bool) -> None:
    """Store in FOLDER all documents that the devices of the group bring, and forward them, until it is stopped.

    An always-on member: devices that are never on at the same time have each other's changes through it.
    """

    def tell(name: str) -> None:
        if as_json:
            print_json({"document": name})
        else:
            print_text(f"Keeping {name}")

    token = os.environ.get("TINYSYNC_YJS_TOKEN") if yjs else None
    with stoppable(), ExitStack() as stack:
        peer = stack.enter_context(peering.open(documents=documents or None, yjs=yjs, yjs_token=token))
        stack.enter_context(serve_folder(folder, peer, opened=tell))
        if as_json:
            print_json({"serving": str(folder), "listening": peer.url, "yjs": peer.yjs_url})
        else:
            print_text(f"Serving {folder}; {peering.ways(peer)}. Ctrl-C ends it.", "bold")
            stack.enter_context(bars_of(peer, console()))
        stack.enter_context(links_told(peer, as_json=as_json))
        until_stopped()
