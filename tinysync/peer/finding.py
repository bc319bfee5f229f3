"""Links to the devices of the group that are found on the local network."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tinysync.discovery.announcement import Announcements
from tinysync.errors import InvalidAddress, UsageError
from tinysync.transport.addresses import Address, parse_address
from tinysync.transport.backoff import Backoff

if TYPE_CHECKING:
    from tinysync.discovery.lan import Lan
    from tinysync.model import DeviceId
    from tinysync.peer.connection import Connection
    from tinysync.peer.links import Links

ANYWHERE: Final = "0.0.0.0:0"
"""Where a peer listens that is to be found, if nothing else is said."""
YIELD_SECONDS: Final = 1.0
"""How much longer the one of two devices waits that is to be called by the other."""
FIRST_LOOK_SECONDS: Final = 3.0
"""How long it takes until the devices that are there are found and linked, as a rule."""
MAX_FOUND: Final = 256


def place_to_listen(listen: str | None) -> Address:
    """Return where a peer listens that is to be found; raises InvalidAddress."""
    place = parse_address(listen or ANYWHERE, listening=True, secure=True)
    try:
        ipaddress.IPv4Address(place.host)
    except ValueError:
        raise InvalidAddress(
            f"cannot be found at {listen!r}: with lan=True, listen= is an IPv4 address of this machine, or"
            " 0.0.0.0 for all of them, and a port; or leave it out"
        ) from None
    return place


def check_installed() -> None:
    """Raise UsageError if what looks for devices is not installed."""
    try:
        import tinysync.discovery.lan  # noqa: F401, PLC0415 - it needs libraries of the extra
    except ModuleNotFoundError as error:
        raise UsageError(
            f'lan=True needs the library {error.name}; install it with: pip install "tinysync[lan]"'
        ) from error


@dataclass(slots=True)
class _Sighting:
    """Somebody who was found."""

    urls: list[str]
    is_here: bool = True


class Finder:
    """Keeps links to the devices that are announced, as long as they are; in the event loop of the peer.

    ``secret`` is what only the group knows. Links are to devices, not to addresses: who is linked already, on
    whatever way, is left alone.
    """

    def __init__(self, secret: bytes, own: DeviceId, links: Links) -> None:
        self._announcements = Announcements(secret)
        self._own = own
        self._links = links
        self._lan: Lan | None = None
        self._running: asyncio.Task[None] | None = None
        self._sightings: dict[str, _Sighting] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        """What keeps the links."""
        self._began = 0.0

    def start(self, place: Address) -> None:
        """Announce that this device listens at ``place``, and look for others."""
        from tinysync.discovery.lan import Lan  # noqa: PLC0415 - it needs libraries of the extra

        self._lan = Lan(
            self._announcements,
            self._own,
            place.host,
            place.port,
            found=self._found,
            lost=self._lost,
            moved=self._links.hurry,
        )
        self._running = asyncio.ensure_future(self._lan.run())
        self._began = asyncio.get_running_loop().time()

    def begin_anew(self) -> None:
        """Look again, as the machine may be elsewhere."""
        if self._lan is not None:
            self._lan.begin_anew()

    async def leave(self) -> None:
        """Say goodbye to the network, and look for nobody any more; the links stay."""
        for sighting in self._sightings.values():
            sighting.is_here = False
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def first_look(self) -> None:
        """Return when there was time to find and link the devices that are there."""
        await asyncio.sleep(self._began + FIRST_LOOK_SECONDS - asyncio.get_running_loop().time())

    def _found(self, label: str, places: list[str], waits: bool) -> None:
        urls = [str(parse_address(place, secure=True)) for place in places]
        known = self._sightings.get(label)
        if known is not None:
            known.urls, known.is_here = urls, True
        elif len(self._sightings) < MAX_FOUND:
            sighting = self._sightings[label] = _Sighting(urls)
            task = asyncio.ensure_future(self._keep_linked(label, sighting, waits=waits))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _lost(self, label: str) -> None:
        if label in self._sightings:
            self._sightings[label].is_here = False

    def _link_to(self, label: str) -> Connection | None:
        return next(
            (
                one
                for one in self._links.connections
                if one.is_ready and self._announcements.is_of_device(label, one.identity.device)
            ),
            None,
        )

    async def _keep_linked(self, label: str, sighting: _Sighting, *, waits: bool) -> None:
        """Link to a device, and again, until it is lost."""
        backoff = Backoff(random.Random())  # noqa: S311 - jitter
        await asyncio.sleep(YIELD_SECONDS if waits else 0)
        while sighting.is_here:
            link = self._link_to(label)
            if link is not None:
                await link.ended.wait()
                backoff.reset()
            else:
                for url in sighting.urls:
                    if await self._links.attempt(url):
                        backoff.reset()
            await self._links.pause(backoff.next(), backoff)
        del self._sightings[label]
