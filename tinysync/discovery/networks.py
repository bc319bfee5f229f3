"""The networks that this machine is in."""

from __future__ import annotations

import ipaddress
from typing import Final

import ifaddr

MAX_NETWORKS: Final = 16


def own_addresses(host: str) -> list[str]:
    """Return the IPv4 addresses at which others may find somebody who listens at ``host``.

    For 0.0.0.0 those are all of this machine but the loopback ones; only where there are no others, those.
    """
    if not ipaddress.ip_address(host).is_unspecified:
        return [host]
    found = {str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4}
    reachable = {address for address in found if not ipaddress.ip_address(address).is_loopback}
    return sorted(reachable or found)[:MAX_NETWORKS]
