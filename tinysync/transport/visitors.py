"""Websockets that come in from browsers and other Yjs clients, which name a document in the path.

A browser connects to whatever a page asks for, this machine included, and tells in the Origin header where the
page is from (RFC 6455, 10.2). So without a token only pages of this machine are let in, and programs, which do not
send that header.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.asyncio.server import ServerConnection, serve

from tinysync.errors import InvalidAddress, UsageError
from tinysync.transport.addresses import Address, parse_address
from tinysync.transport.doorkeeper import host_of, origin
from tinysync.transport.rates import Rates
from tinysync.transport.shortcut import Shortcut
from tinysync.transport.websocket import (
    CLOSE_SECONDS,
    OPEN_SECONDS,
    PING_SECONDS,
    QUEUED_FRAMES,
    WebSocketLink,
    WebSocketListener,
    break_off,
    cannot_listen,
    logger,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.http11 import Request, Response

    from tinysync.transport.refusals import Refusals

MIN_TOKEN: Final = 16
"""Characters of a token that nobody guesses."""
YJS_OPTION: Final = "yjs_token="
GIVE_YJS_OPTION: Final = f"give the Peer {YJS_OPTION}"
HOW_TO_MAKE_IT: Final = "secrets.token_urlsafe() makes one"
_MAX_FIELDS: Final = 8


class Guest(Shortcut, ServerConnection):
    """A link that came in from a Yjs client."""


class TurnedAway(Exception):
    """A request is not served; ``status`` is what the client is told, ``str()`` of it what the log is told."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in: with a token, whoever knows it; without one, programs and pages of this machine."""

    token: str | None = None

    def admit(self, target: str, origins: list[str]) -> str:
        """Return the document that a request is for; raises TurnedAway. ``origins`` are its Origin headers."""
        path, _, query = target.partition("?")
        try:
            name = unquote(path.removeprefix("/"), errors="strict")
            fields = parse_qsl(query, max_num_fields=_MAX_FIELDS, errors="strict")
        except ValueError as error:
            raise TurnedAway(HTTPStatus.BAD_REQUEST, f"its request is not understood: {error}") from None
        if self.token is None:
            self._check_origin(origins)
        else:
            self._check_token([value for field, value in fields if field == "token"])
        return name

    def _check_token(self, tokens: list[str]) -> None:
        assert self.token is not None
        given = tokens[0] if len(tokens) == 1 else ""
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            wrong = f"it shows another token than {YJS_OPTION}" if tokens else "it shows no token"
            raise TurnedAway(HTTPStatus.UNAUTHORIZED, wrong)

    def _check_origin(self, origins: list[str]) -> None:
        if not all(map(_is_of_this_machine, origins)) or len(origins) > 1:
            raise TurnedAway(
                HTTPStatus.FORBIDDEN,
                f"it is a page of {origins[0][:100]!r}, not of this machine; if that is meant, "
                f"{GIVE_YJS_OPTION}, and give the page the token",
            )


def _is_of_this_machine(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return False
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def check_visits(address: str, token: str | None) -> Address:
    """Return the address to listen at; raises InvalidAddress if it is none, or takes a token and there is none."""
    if token is not None and (not isinstance(token, str) or len(token) < MIN_TOKEN or not token.isprintable()):
        raise UsageError(
            f"{YJS_OPTION} must be a text of at least {MIN_TOKEN} characters that nobody guesses; {HOW_TO_MAKE_IT}"
        )
    place = parse_address(address, listening=True, plain=True)
    if token is None and not ipaddress.ip_address(place.host).is_loopback:
        raise InvalidAddress(
            f"refusing to serve Yjs clients at {address!r}: anybody who reaches it could read and change all "
            f"structures; {GIVE_YJS_OPTION} as well, or use an address of this machine"
        )
    return place


async def listen(
    place: Address,
    door: Door,
    max_frame: int,
    *,
    max_handshakes: int,
    handshakes_per_second: int,
    refusals: Refusals,
    check: Callable[[str], None],
    on_link: Callable[[WebSocketLink, str], Awaitable[None]],
) -> WebSocketListener:
    """Run ``on_link`` with the link and the document's name for each client that ``door`` lets in.

    ``check`` is called with the name before, and raises TurnedAway if it cannot be served. Raises InvalidAddress
    if the port is in use.
    """
    links: set[WebSocketLink] = set()
    opening: dict[ServerConnection, str] = {}
    rates = Rates(handshakes_per_second)

    def admit(socket: ServerConnection, request: Request) -> str:
        if not rates.admits(host_of(socket.transport)):
            raise TurnedAway(HTTPStatus.TOO_MANY_REQUESTS, "links come from there too often")
        name = door.admit(request.path, request.headers.get_all("Origin"))
        check(name)
        return name

    def look(socket: ServerConnection, request: Request) -> Response | None:
        try:
            name = admit(socket, request)
        except TurnedAway as refusal:
            opening.pop(socket, None)
            refusals.report(origin(socket.transport), str(refusal))
            return socket.respond(refusal.status, refusal.status.phrase)
        opening[socket] = name
        return None

    async def handle(socket: ServerConnection) -> None:
        name = opening.pop(socket, None)
        if name is None:
            return  # it had to give way
        assert isinstance(socket, Guest)
        link = WebSocketLink(socket, max_frame)
        links.add(link)
        try:
            await on_link(link, name)
        finally:
            await link.close()
            links.discard(link)

    def receive(*args: Any, **options: Any) -> ServerConnection:
        socket = Guest(*args, **options)
        if len(opening) >= max_handshakes:
            slowest = next(iter(opening))
            del opening[slowest]
            break_off(slowest)
        opening[socket] = ""
        return socket

    try:
        server = await serve(
            handle,
            place.host,
            place.port,
            process_request=look,
            compression=None,
            max_size=max_frame,
            max_queue=QUEUED_FRAMES,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            logger=logger,
            create_connection=receive,  # type: ignore[arg-type]  # any factory will do
        )
    except OSError as error:
        raise cannot_listen(str(place), error) from error
    port = next(iter(server.sockets)).getsockname()[1]
    return WebSocketListener(server, replace(place, port=port), links, opening, None)
