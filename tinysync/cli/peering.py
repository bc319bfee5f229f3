"""The options of the commands that link with other devices, and the peer that they describe."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from tinysync.cli.keys import group_key
from tinysync.cli.reporting import pair_command
from tinysync.group import default_allowed_path
from tinysync.group.allowed import read_allowed
from tinysync.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """How a command is to reach other devices."""

    listen: str | None
    connect: tuple[str, ...]
    lan: bool | None
    lan_by_default: bool | None
    """None: if no addresses were given."""
    key: str | None
    no_key: bool
    paired: bool
    paired_in: Path | None
    device: str | None

    @property
    def uses_lan(self) -> bool:
        """Whether devices are looked for on the local network: unless it was said, if no addresses were given."""
        if self.no_key:
            return False
        by_default = not self.has_addresses if self.lan_by_default is None else self.lan_by_default
        return by_default if self.lan is None else self.lan

    @property
    def has_addresses(self) -> bool:
        """Whether any were given."""
        return self.listen is not None or bool(self.connect)

    @property
    def allow(self) -> Path | None:
        """The list of those who are let in; None: all that have the key."""
        return self.paired_in or (default_allowed_path() if self.paired else None)

    def open(self, **options: Any) -> Peer:
        """Return the peer, with more options; raises what Peer does, and UsageError if it can reach nobody."""
        if self.no_key and self.lan:
            raise click.UsageError("--lan finds the devices of a group by its key: leave out --no-key, or --lan")
        if self.no_key and (self.paired or self.paired_in):
            raise click.UsageError(
                "--paired is about the devices of a group, which have its key: leave out --no-key"
            )
        if not self.uses_lan and not self.has_addresses and options.get("yjs") is None:
            raise click.UsageError("nobody to link with: without --lan, give --listen or --connect")
        peer = Peer(
            listen=self.listen,
            connect=self.connect,
            device=self.device,
            key=None if self.no_key else group_key(self.key),
            allow=self.allow,
            lan=self.uses_lan,
            **options,
        )
        if self.allow is not None and not read_allowed(self.allow):
            adding = pair_command("FINGERPRINT", self.paired_in)
            click.echo(
                f"Warning: nobody is in {self.allow}, so nobody is let in yet: '{adding}' adds one", err=True
            )
        return peer

    def ways(self, peer: Peer) -> str:
        """Return how others get here, for people."""
        ways = [f"others connect to {_as_seen_elsewhere(peer.url)}"] if self.listen and peer.url else []
        ways += [f"Yjs clients connect to {_as_seen_elsewhere(peer.yjs_url)}"] if peer.yjs_url else []
        if self.uses_lan:
            # With --lan it listens at an IPv4 address.
            is_inside = (urlsplit(peer.url or "").hostname or "").startswith("127.")
            ways.append(f"devices on {'this machine' if is_inside else 'the local network'} find it")
        if self.allow is not None:
            ways.append("only paired devices are let in")
        return "; ".join(ways) or "it connects to others"


def _as_seen_elsewhere(url: str) -> str:
    """Return an address that is listened at as others write it: all addresses of this machine are its name."""
    parts = urlsplit(url)
    is_any = parts.hostname in {"0.0.0.0", "::"}  # noqa: S104 - what others are not told
    return f"{parts.scheme}://{socket.gethostname()}:{parts.port}" if is_any else url


def peer_options(*, lan: bool | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options, as one argument ``peering``; ``lan`` is the default of that one."""
    by_default = "the default" if lan else "the default without addresses"
    options = (
        click.option(
            "--listen", metavar="ADDRESS", help="Take links here: 0.0.0.0:8765, or 127.0.0.1:8765 without a key."
        ),
        click.option(
            "--connect", metavar="URL", multiple=True, help="Link to the device at this address; can be repeated."
        ),
        click.option(
            "--lan/--no-lan",
            default=None,
            help=f"Find devices of the group on the local network, and be found; {by_default}.",
        ),
        click.option(
            "--key",
            metavar="PATH",
            help="The group's key; by default TINYSYNC_KEY or the one of 'tinysync key'.",
        ),
        click.option("--no-key", is_flag=True, help="Link without a key: with processes on this machine only."),
        click.option("--paired", is_flag=True, help="Let in only the devices that 'tinysync pair' has allowed."),
        click.option(
            "--paired-in",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="PATH",
            help="The same, with the list that 'tinysync pair --file' has written.",
        ),
        click.option("--device", metavar="NAME", help="What others call this device; by default the host's name."),
    )

    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(**given: Any) -> Any:
            names = ("listen", "connect", "lan", "key", "no_key", "paired", "paired_in", "device")
            return command(
                peering=PeerOptions(**{name: given.pop(name) for name in names}, lan_by_default=lan), **given
            )

        for option in reversed(options):
            run = option(run)
        return run

    return give
