"""Announcing this device on the local network, and finding the others of its group there, by mDNS and DNS-SD."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
from typing import TYPE_CHECKING, Final

from zeroconf import Error, IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from tinysync.discovery.complaints import complaints
from tinysync.discovery.networks import own_addresses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from zeroconf import Zeroconf

    from tinysync.discovery.announcement import Announcements
    from tinysync.model import DeviceId

logger = logging.getLogger("tinysync")

SERVICE: Final = "_tinysync._tcp.local."
LOOK_SECONDS: Final = 2.0
"""How often it is looked whether this machine is in other networks than before."""
REPEAT_SECONDS: Final = 60.0
"""How often the announcement is repeated, for those whom a network did not carry it to before."""
LIFE_SECONDS: Final = 150
"""How long others believe an announcement that was not repeated."""
RESOLVE_MILLISECONDS: Final = 3000
RESOLVE_ATTEMPTS: Final = 3
CLOSE_SECONDS: Final = 1.0
_ALL: Final = "0.0.0.0"  # noqa: S104 - the address of the socket that hears all networks
_SOCKET: Final = re.compile(r"\('([0-9.]+)', \d+\)")
"""The address of a socket in what zeroconf says of it."""


class _Network:
    """One address of this machine: what is announced and found in the network around it."""

    def __init__(self, lan: Lan, address: str) -> None:
        self._lan = lan
        self._address = address
        self.label = lan.announcements.make(lan.device)
        self.found: set[str] = set()
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self._zeroconf = AsyncZeroconf(interfaces=[address], ip_version=IPVersion.V4Only)
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._heard])
        # Neither the name of this machine nor anything else that stays the same.
        self._info = AsyncServiceInfo(
            SERVICE,
            f"{self.label}.{SERVICE}",
            port=lan.port,
            addresses=[ipaddress.ip_address(address).packed],
            server=f"{self.label[:16]}.local.",
            host_ttl=LIFE_SECONDS,
            other_ttl=LIFE_SECONDS,
        )

    async def announce(self) -> None:
        await (await self._zeroconf.async_register_service(self._info))

    async def announce_again(self) -> None:
        await (await self._zeroconf.async_update_service(self._info))

    async def close(self) -> None:
        """Say goodbye, as far as the network is still there."""
        for task in self._resolving.values():
            task.cancel()
        await asyncio.gather(*self._resolving.values(), return_exceptions=True)
        with contextlib.suppress(TimeoutError, OSError, Error):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._browser.async_cancel()
                await self._zeroconf.async_unregister_all_services()
        await self._zeroconf.async_close()

    def _heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        label = name.removesuffix(f".{service_type}").lower()
        if not self._lan.announcements.is_of_group(label):
            return
        if self._lan.announcements.is_of_device(label, self._lan.device):
            return
        if state_change is ServiceStateChange.Removed:
            if label in self._resolving:
                self._resolving[label].cancel()
            self.found.discard(label)
            self._lan.is_gone(label)
        elif label not in self._resolving:
            task = self._resolving[label] = asyncio.ensure_future(self._resolve(zeroconf, name, label))
            task.add_done_callback(lambda _: self._resolving.pop(label, None))

    async def _resolve(self, zeroconf: Zeroconf, name: str, label: str) -> None:
        for _ in range(RESOLVE_ATTEMPTS):
            info = AsyncServiceInfo(SERVICE, name)
            if await info.async_request(zeroconf, RESOLVE_MILLISECONDS) and info.port:
                places = [f"{ip}:{info.port}" for ip in info.parsed_addresses(IPVersion.V4Only)]
                if places:
                    self.found.add(label)
                    self._lan.found(label, places, self.label > label)
                    return
        logger.debug("A device of the group announces itself, but does not say where it is")


class Lan:
    """Announces a device that listens at ``host`` and ``port``, and finds others; all in the running loop.

    ``found`` is called with the label of another device of the group, its addresses, and whether to leave it to
    that one to make the link; again when they have changed. ``lost`` is called with the label when it is not
    announced any more, and ``moved`` when this machine is in other networks than before. In each network there is
    another label, and a new one whenever the machine comes to a network.
    """

    def __init__(
        self,
        announcements: Announcements,
        device: DeviceId,
        host: str,
        port: int,
        *,
        found: Callable[[str, list[str], bool], None],
        lost: Callable[[str], None],
        moved: Callable[[], None],
    ) -> None:
        self.announcements = announcements
        self.device = device
        self.port = port
        self.found = found
        self._host = host
        self._lost = lost
        self._moved = moved
        self._networks: dict[str, _Network] = {}
        self._announcing: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()
        self._is_stale = False
        self._reported: set[str] = set()

    def is_gone(self, label: str) -> None:
        """Note that a label was taken back in one network."""
        if not any(label in network.found for network in self._networks.values()):
            self._lost(label)

    def begin_anew(self) -> None:
        """Announce and look for others as if the machine had just come to its networks."""
        self._is_stale = True
        self._look.set()

    async def run(self) -> None:
        """Announce and find until it is cancelled; then say goodbye."""
        repeated = asyncio.get_running_loop().time()
        complaints.give_to(self._cannot_send)
        try:
            while True:
                self._look.clear()
                stale, self._is_stale = self._is_stale, False
                try:
                    await self._follow(own_addresses(self._host), anew=stale)
                except Exception:
                    # Whatever a network does, there will be another one.
                    logger.exception("Looking for devices on the local network failed; it is tried again")
                if asyncio.get_running_loop().time() - repeated > REPEAT_SECONDS:
                    repeated = asyncio.get_running_loop().time()
                    for address, network in self._networks.items():
                        self._begin(address, network.announce_again)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._look.wait()
        finally:
            try:
                await self._follow([], anew=False)
            finally:
                complaints.end()

    async def _follow(self, addresses: list[str], *, anew: bool) -> None:
        """Be in these networks, and in no others."""
        left = [address for address in self._networks if anew or address not in addresses]
        closing = [self._networks.pop(address) for address in left]
        if closing and addresses and not anew:
            self._moved()
        for address in addresses:
            if address not in self._networks:
                try:
                    network = self._networks[address] = _Network(self, address)
                except (OSError, Error) as error:
                    self._report(f"Cannot look for devices around {address}: {error}")
                else:
                    self._begin(address, network.announce)
        if not addresses:
            for task in self._announcing:
                task.cancel()
            await asyncio.gather(*self._announcing, return_exceptions=True)
        await asyncio.gather(*[network.close() for network in closing])
        for label in {label for network in closing for label in network.found}:
            self.is_gone(label)

    def _cannot_send(self, said: str, error: OSError) -> None:
        """Report that a network cannot be sent to, unless this machine has left it."""
        found = _SOCKET.search(said)
        address = found[1] if found is not None else _ALL
        if address != _ALL and address not in own_addresses(self._host):
            self._look.set()
            return
        around = f" around {address}" if address != _ALL else ""
        self._report(f"Cannot look for devices{around}: {error.strerror or error}; it is tried again")

    def _report(self, message: str) -> None:
        """Say once what does not work, while it is tried again and again."""
        logger.log(logging.DEBUG if message in self._reported else logging.WARNING, "%s", message)
        self._reported.add(message)

    def _begin(self, address: str, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except (OSError, Error, AssertionError) as error:
                self._report(f"Cannot announce this device at {address}: {error or type(error).__name__}")

        task = asyncio.ensure_future(guarded())
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)
