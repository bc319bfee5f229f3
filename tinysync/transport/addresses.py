"""Addresses of peers: what they look like, and which of them may be used."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tinysync.errors import InvalidAddress

_FORM = "write it like '127.0.0.1:8765' or 'ws://127.0.0.1:8765'"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port on this machine; ``str()`` of it is its ``ws://`` URL."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}"


def parse_address(text: str, *, listening: bool = False) -> Address:
    """Return the address that ``text`` names; raises InvalidAddress.

    As links are not authenticated yet, only loopback addresses (127.0.0.0/8, ::1, localhost) are accepted. Port 0
    asks for any free port, and makes sense for listening only.
    """
    if not isinstance(text, str):
        raise InvalidAddress(f"an address must be a str, not {text!r}; {_FORM}")
    try:
        parts = urlsplit(text if "://" in text else f"ws://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidAddress(f"the address {text!r} is not understood: {error}; {_FORM}") from None
    if parts.scheme == "wss":
        raise InvalidAddress(f"cannot use {text!r}: encrypted links are not available yet; use ws:// on loopback")
    if parts.scheme != "ws":
        raise InvalidAddress(f"the address {text!r} has the scheme {parts.scheme!r}; {_FORM}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username or parts.password:
        raise InvalidAddress(f"the address {text!r} has more than a host and a port; {_FORM}")
    if "%" in text:
        raise InvalidAddress(f"the address {text!r} names a network interface; {_FORM}")
    if not host or port is None:
        raise InvalidAddress(f"the address {text!r} has no {'port' if host else 'host'}; {_FORM}")
    if port == 0 and not listening:
        raise InvalidAddress(f"cannot connect to {text!r}: port 0 is for listening on any free port")
    return Address(_loopback(host, text), port)


def _loopback(host: str, text: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise InvalidAddress(
        f"refusing {text!r}: links are not authenticated yet, so anybody who reaches a peer could read and change "
        "its structures; until they are, only addresses of this machine are used (127.0.0.1, ::1, localhost)",
    )
