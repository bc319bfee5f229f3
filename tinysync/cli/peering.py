"""The options of the commands that link with other devices, and the peer that they describe."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from tinysync.cli.keys import group_key
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

    def open(self, **options: Any) -> Peer:
        """Return the peer, with more options; raises what Peer does, and UsageError if it can reach nobody."""
        if self.no_key and self.lan:
            raise click.UsageError("--lan finds the devices of a group by its key: leave out --no-key, or --lan")
        if not self.uses_lan and not self.has_addresses and options.get("yjs") is None:
            raise click.UsageError("nobody to link with: without --lan, give --listen or --connect")
        return Peer(
            listen=self.listen,
            connect=self.connect,
            device=self.device,
            key=None if self.no_key else group_key(self.key),
            lan=self.uses_lan,
            **options,
        )

    def ways(self, peer: Peer) -> str:
        """Return how others get here, for people."""
        ways = [f"others connect to {_as_seen_elsewhere(peer.url)}"] if self.listen and peer.url else []
        ways += [f"Yjs clients connect to {_as_seen_elsewhere(peer.yjs_url)}"] if peer.yjs_url else []
        if self.uses_lan:
            # With --lan it listens at an IPv4 address.
            is_inside = (urlsplit(peer.url or "").hostname or "").startswith("127.")
            ways.append(f"devices on {'this machine' if is_inside else 'the local network'} find it")
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
        click.option("--device", metavar="NAME", help="What others call this device; by default the host's name."),
    )

    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(**given: Any) -> Any:
            names = ("listen", "connect", "lan", "key", "no_key", "device")
            return command(
                peering=PeerOptions(**{name: given.pop(name) for name in names}, lan_by_default=lan), **given
            )

        for option in reversed(options):
            run = option(run)
        return run

    return give
