"""The links of a peer: made, taken, made again, and one for each other device."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysync.errors import LinkClosed, LinkRefused, ProtocolError
from tinysync.model import NOT_KEPT
from tinysync.peer.turns import Turns
from tinysync.peer.waking import Waking
from tinysync.protocol.messages import Code
from tinysync.transport.backoff import Backoff
from tinysync.transport.refusals import TOO_MANY, Refusals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from tinysync.model import DeviceId, DocumentId
    from tinysync.peer.connection import Connection, Identity
    from tinysync.protocol.limits import Limits
    from tinysync.status import KnownDevice
    from tinysync.transport.link import Link, Listener, Transport
    from tinysync.transport.security import Security

logger = logging.getLogger("tinysync")

STEADY_SECONDS: Final = 5.0
"""A link that held for so long is worth a quick attempt when it breaks."""
CHECK_SECONDS: Final = 3.0
"""How long a link may take to answer when there is reason to doubt that it is up."""
ALLOWED_SECONDS: Final = 1.0
"""How often it is looked whether those that are linked are still allowed to be."""
REVISIT_SECONDS: Final = 120.0
"""How often it is looked who is at an address now, while the device that was there is linked on another way, or it
leads back to this one."""
BACK: Final = "the address leads back to this peer itself"


class Met(NamedTuple):
    """Who was met at an address, and in which folders that device keeps its documents."""

    device: KnownDevice
    replicas: Mapping[DocumentId, DeviceId]


class Links:
    """The links of one peer; all in its event loop.

    ``own`` and ``name`` are the id and the name of this device; ``connection_for`` makes the connection that is to
    drive a link, to the address given, or from somebody who came in; ``changed`` is called after anything that
    somebody may be waiting for, ``parted`` when the last link to a device is down, and ``tried`` when it is known
    whether somebody is at a configured address.

    Two devices that connect to each other make two links. One of the two devices decides which of them goes, so
    that never both go: the one that has made both, or else the one with the lower id. The older link stays if it
    answers; else it is half open, and the newer one stays. Nothing is lost: until then everything travels on both.
    """

    def __init__(
        self,
        own: DeviceId,
        name: str,
        limits: Limits,
        transport: Transport,
        security: Security | None,
        *,
        connection_for: Callable[[Link, str | None], Connection],
        changed: Callable[[], None],
        parted: Callable[[], None],
        tried: Callable[[], None],
    ) -> None:
        self._own = own
        self._name = name
        self._limits = limits
        self._transport = transport
        self._security = security
        self._connection_for = connection_for
        self._changed = changed
        self._parted = parted
        self._tried = tried
        self.connections: dict[Connection, None] = {}
        self.turns = Turns()
        """Who is asked first for what a document lacks."""
        self.dialling: dict[str, asyncio.Task[None]] = {}
        """The configured addresses."""
        self.unreached: dict[str, str] = {}
        """Why the latest attempt to connect failed, by address."""
        self.met: dict[str, Met] = {}
        """Who was at each address the last time."""
        self._identities: dict[str, Identity] = {}
        self._refusals = Refusals()
        self._listener: Listener | None = None
        self._hurry = asyncio.Event()
        """Set to have all attempts to connect made now."""
        self._watching: list[asyncio.Task[None]] = []

    async def start(self, listen: str | None, urls: Iterable[str], woke: Callable[[], None]) -> None:
        """Listen, and begin to connect; raises InvalidAddress. Calls ``woke`` when the machine has slept."""
        if listen is not None:
            self._listener = await self._transport.listen(listen, self._take)
        for url in urls:
            self.dial(url)
        self._watching.append(asyncio.ensure_future(Waking().watch(woke)))
        if self._security is not None:
            self._watching.append(asyncio.ensure_future(self._watch_allowed(self._security)))

    @property
    def url(self) -> str | None:
        """The address that is listened at."""
        return self._listener.address if self._listener is not None else None

    async def close(self, waiting: Iterable[Awaitable[object]]) -> None:
        """End all attempts, and what is given, then take no more links."""
        tasks = [*map(asyncio.ensure_future, waiting), *self.dialling.values(), *self._watching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close()

    # --- who is there ----------------------------------------------------------------------------------------

    def to(self, identity: Identity | None, *, but: Connection | None = None) -> Connection | None:
        """Return a link to a device, if there is one."""
        return next(
            (one for one in self.connections if one is not but and one.is_ready and one.identity == identity), None
        )

    def missing(self) -> list[str]:
        """Return the configured addresses to which there is no link."""
        ready = {url for connection in self.connections if connection.is_ready for url in connection.urls}
        return [url for url in self.dialling if url not in ready]

    def why_missing(self) -> dict[str, str]:
        """Return why there is no link to them, as far as that is known."""
        return {url: self.unreached[url] for url in self.missing() if url in self.unreached}

    def names(self) -> list[str]:
        """Return the names of the devices that are linked."""
        return sorted({one.identity: one.device_name for one in self.connections if one.is_ready}.values())

    def tell_authors(self, name: DocumentId, *, source: Connection) -> None:
        """Have it told on all links but one who wrote a document."""
        for connection in self.connections:
            if connection is not source:
                connection.session.documents.tell_authors(name)
                connection.pump_soon()

    # --- attempts --------------------------------------------------------------------------------------------

    def dial(self, url: str) -> None:
        """Connect to an address, and again whenever the link is lost."""
        if url not in self.dialling:
            self.dialling[url] = asyncio.ensure_future(self._keep_connected(url))

    def hurry(self) -> None:
        """Make all attempts to connect now, and close the links that do not answer."""
        self._hurry.set()
        self._hurry = asyncio.Event()
        for connection in self.connections:
            if connection.is_ready:
                connection.begin(self._check(connection))

    async def _check(self, connection: Connection) -> None:
        if not await connection.is_alive(CHECK_SECONDS):
            connection.break_off("it does not answer any more")

    async def _watch_allowed(self, security: Security) -> None:
        """Break off the links of devices that are not allowed any more."""
        while True:
            await asyncio.sleep(ALLOWED_SECONDS)
            for connection in tuple(self.connections):
                try:
                    security.check_allowed(connection.fingerprint or "")
                except LinkRefused as refusal:
                    self._refusals.report(connection.origin, refusal.reason)
                    connection.deny(refusal.reason)

    async def _keep_connected(self, url: str) -> None:
        backoff = Backoff(random.Random())  # noqa: S311 - jitter
        while True:
            if await self.attempt(url, configured=True):
                backoff.reset()
            substitute = self.to(self._identities.get(url))
            if substitute is not None:
                # Who is at the address is linked on another way. But an address is no identity: look again later.
                substitute.urls.add(url)
                await self.pause(REVISIT_SECONDS, unless=substitute.ended)
                backoff.reset()
            elif self.unreached.get(url) == BACK:
                await self.pause(REVISIT_SECONDS)
            await self.pause(backoff.next(), backoff)

    async def pause(
        self, seconds: float, backoff: Backoff | None = None, *, unless: asyncio.Event | None = None
    ) -> None:
        """Wait, unless something happens, or there is a hurry: then begin with short delays again."""
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 a task that is cancelled just when the event comes would go on.
            async with asyncio.timeout(seconds):
                await (unless or self._hurry).wait()
            if backoff is not None:
                backoff.reset()

    async def attempt(self, url: str, *, configured: bool = False) -> bool:
        """Connect to an address once, and serve the link until it is down; returns whether it held for a while."""
        try:
            link = await self._transport.connect(url)
        except LinkClosed as error:
            if configured:
                self.unreached[url] = error.reason
                self._tried()
            self._changed()
            if isinstance(error, LinkRefused):
                self._refusals.report(f"to {url}", error.reason)
            else:
                logger.debug("%s: %s", self._name, error)
        except Exception:
            logger.exception("Could not connect to %s", url)
        else:
            if self.unreached.pop(url, None) is not None:
                self._tried()
            return await self._serve(link, url, configured=configured)
        return False

    async def _take(self, link: Link) -> None:
        """Serve a link that came in, unless there are too many."""
        incoming = [connection for connection in self.connections if connection.url is None]
        greeting = [connection for connection in incoming if connection.is_greeting]
        if len(greeting) >= self._limits.max_greeting:
            self._refusals.report(greeting[0].origin, TOO_MANY)
            greeting[0].break_off("it took too long")
        if len(incoming) >= self._limits.max_links + self._limits.max_greeting:
            self._refusals.report(link.origin, "there are too many")
            link.abort()
            return
        in_use = sum(connection.is_ready for connection in incoming)
        await self._serve(link, None, is_one_too_many=in_use >= self._limits.max_links)

    # --- links -----------------------------------------------------------------------------------------------

    async def _serve(
        self, link: Link, url: str | None, *, configured: bool = False, is_one_too_many: bool = False
    ) -> bool:
        """Exchange documents over a link until it is down; returns whether it held for a while."""
        connection = self._connection_for(link, url)
        if url is not None and configured:
            connection.urls.add(url)
        if is_one_too_many:
            connection.turn_away(f"{self._name} has {self._limits.max_links} links, and takes no more")
        began = connection.loop.time()
        self.connections[connection] = None
        try:
            await connection.run()
        except ProtocolError as error:
            if error.code == Code.SAME_DEVICE:
                self._leads_back(url)
                return False
            logger.warning("Closed the link to %s: %s", connection.device_name or url or "a stranger", error)
        except LinkClosed as error:
            logger.info("%s: %s", self._name, error)
        except Exception:
            logger.exception("The link to %s failed", connection.device_name or url or "a stranger")
        finally:
            self._forget(connection)
        return connection.loop.time() - began > STEADY_SECONDS

    def _leads_back(self, url: str | None) -> None:
        """Note that both ends of a link are this peer."""
        if url is not None:
            self.unreached[url] = BACK
            self._tried()
            self._refusals.report(f"to {url}", BACK)

    def _forget(self, connection: Connection) -> None:
        """Note that a link is down."""
        del self.connections[connection]
        for url in connection.urls:
            if connection.device_name:
                self.met[url] = Met(connection.notes.device(NOT_KEPT), connection.notes.replicas)
        twin = self.to(connection.identity)
        if twin is not None:
            twin.urls |= connection.urls
        connection.ended.set()
        self._changed()
        if twin is None:
            self._parted()

    # --- one link for each device ----------------------------------------------------------------------------

    def has_twin(self, connection: Connection) -> bool:
        """Tell whether there is another link to the same device."""
        return self.to(connection.identity, but=connection) is not None

    def introduced(self, connection: Connection) -> None:
        """Note who is at the other end of a link; choose between this one and another to the same device."""
        if connection.url is not None:
            self._identities[connection.url] = connection.identity
        for other in tuple(self.connections):
            if other is connection or not other.is_ready:
                continue
            if other.identity != connection.identity:
                other.urls -= {connection.url}
            elif self._decides(connection, other):
                connection.begin(self._choose(other, connection))

    def _decides(self, one: Connection, other: Connection) -> bool:
        if (one.url is None) == (other.url is None):
            return one.url is not None
        return self._own < one.identity.device

    async def _choose(self, older: Connection, newer: Connection) -> None:
        if not await older.is_alive(CHECK_SECONDS):
            older.break_off("it does not answer any more")
        elif older.is_ready and newer.is_ready:
            older.urls |= newer.urls
            newer.say_goodbye("there is another link between the two")
