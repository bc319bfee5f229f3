"""Addresses of peers: what they look like, and which of them may be used."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tinysync.errors import InvalidAddress

MAKE_A_KEY = "make a key with tinysync.Key.new(), and give it to the Peer of each device as key="
_LONGEST_HOST = 253

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; ``str()`` of it is its URL."""

    host: str
    port: int
    secure: bool = False
    """Whether links there are encrypted, and only made within a group."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_scheme(self.secure)}://{host}:{self.port}"


def parse_address(text: str, *, listening: bool = False, secure: bool = False, plain: bool = False) -> Address:
    """Return the address that ``text`` names; raises InvalidAddress.

    Without ``secure``, which takes the key of a group, only loopback addresses are accepted (127.0.0.0/8, ::1,
    localhost): anybody could link. Port 0 asks for any free port, and 0.0.0.0 or [::] for all addresses of this
    machine; both make sense for listening only. ``plain`` takes any address for links that are not encrypted:
    the caller has another way to tell who may link.
    """
    scheme = _scheme(secure)
    form = f"write it like '127.0.0.1:8765' or '{scheme}://127.0.0.1:8765'"
    if not isinstance(text, str):
        raise InvalidAddress(f"an address must be a str, not {text!r}; {form}")
    try:
        parts = urlsplit(text if "://" in text else f"{scheme}://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidAddress(f"the address {text!r} is not understood: {error}; {form}") from None
    if parts.scheme not in {"ws", "wss"}:
        raise InvalidAddress(f"the address {text!r} has the scheme {parts.scheme!r}; {form}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username or parts.password:
        raise InvalidAddress(f"the address {text!r} has more than a host and a port; {form}")
    if "%" in text:
        raise InvalidAddress(f"the address {text!r} names a network interface; {form}")
    if not host or port is None:
        raise InvalidAddress(f"the address {text!r} has no {'port' if host else 'host'}; {form}")
    if port == 0 and not listening:
        raise InvalidAddress(f"cannot connect to {text!r}: port 0 is for listening on any free port")
    if parts.scheme == "wss" and not secure:
        raise InvalidAddress(f"cannot use {text!r}: encrypted links are for the devices of a group; {MAKE_A_KEY}")
    if parts.scheme == "ws" and secure:
        raise InvalidAddress(f"cannot use {text!r}: a Peer with a key makes encrypted links only; {form}")
    return Address(_checked_host(host, text, listening=listening, secure=secure or plain), port, secure)


def _checked_host(host: str, text: str, *, listening: bool, secure: bool) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if (
            secure
            and _HOST.fullmatch(host)
            and len(host) <= _LONGEST_HOST
            and not host.rpartition(".")[2].isdigit()
        ):
            return host
        if secure:
            raise InvalidAddress(f"the address {text!r} names no host: neither an IP address nor a name") from None
    else:
        if secure and address.is_unspecified and not listening:
            raise InvalidAddress(f"cannot connect to {text!r}: write the address or name of the other device")
        if secure or address.is_loopback:
            return host
    raise InvalidAddress(
        f"refusing {text!r}: without a key anybody who reaches a peer could read and change its structures, so "
        f"only addresses of this machine are used (127.0.0.1, ::1, localhost). For others, {MAKE_A_KEY}",
    )


def _scheme(secure: bool) -> str:
    return "wss" if secure else "ws"
