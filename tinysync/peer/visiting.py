"""The Yjs clients of a peer: browser pages and programs that speak y-websocket."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tinysync.errors import LinkClosed, ProtocolError
from tinysync.model import DocumentId
from tinysync.peer.connection import Connection
from tinysync.protocol.messages import Code
from tinysync.protocol.yjs import CLIENT, YjsSession
from tinysync.transport.refusals import Refusals
from tinysync.transport.visitors import Door, TurnedAway, check_visits, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinysync.errors import BadUpdate
    from tinysync.peer.shared import SharedDocument
    from tinysync.protocol.limits import Limits
    from tinysync.transport.link import Link, Listener
    from tinysync.transport.websocket import WebSocketLink

logger = logging.getLogger("tinysync")


DENIED_SECONDS: Final = 3.0
"""How long a client that is not served any more is kept waiting: it connects again as soon as the link is down."""


class Visit(Connection):
    """The link to a Yjs client."""

    def refuse(self, error: BadUpdate) -> None:
        """Close the link because of what came over it; whoever runs it reports why."""
        self.session.fail(Code.BAD_UPDATE, str(error))
        self.pump()


class _Patient:
    """A link that is not closed at once where the other side would only try again."""

    def __init__(self, link: WebSocketLink, session: YjsSession) -> None:
        self._link = link
        self._session = session
        self.fingerprint, self.origin = link.fingerprint, link.origin
        self.send, self.send_now, self.receive = link.send, link.send_now, link.receive
        self.take_at_once = link.take_at_once
        self.trust, self.is_alive, self.abort = link.trust, link.is_alive, link.abort

    async def close(self) -> None:
        """Close the link, in a while if the client was denied."""
        if self._session.denial:
            await self._link.linger(DENIED_SECONDS)
        await self._link.close()


class Visitors:
    """Lets Yjs clients in, at an address of their own, and serves each the document that it names.

    They are not members of the group, and acknowledge nothing: nobody waits for them, and they have no status.
    """

    def __init__(
        self,
        address: str,
        token: str | None,
        documents: Mapping[DocumentId, SharedDocument],
        limits: Limits,
        *,
        connect: Callable[[Link, YjsSession, dict[DocumentId, SharedDocument]], Visit],
    ) -> None:
        self.connections: dict[Visit, None] = {}
        self._place = check_visits(address, token)
        self._door = Door(token)
        self._documents = documents
        self._limits = limits
        self._refusals = Refusals()
        self._connect = connect
        self._listener: Listener | None = None

    async def listen(self) -> None:
        """Begin; raises InvalidAddress if the port is in use."""
        self._listener = await listen(
            self._place,
            self._door,
            self._limits.max_frame,
            max_handshakes=self._limits.max_handshakes,
            handshakes_per_second=self._limits.handshakes_per_second,
            refusals=self._refusals,
            check=self._check,
            on_link=self._serve,
        )

    @property
    def address(self) -> str | None:
        """The URL that clients connect to, without the document's name."""
        return self._listener.address if self._listener is not None else None

    async def close(self) -> None:
        """Take no more clients."""
        if self._listener is not None:
            await self._listener.close()

    def _check(self, name: str) -> None:
        if name not in self._documents:
            raise TurnedAway(HTTPStatus.NOT_FOUND, f"no structure is shared that is named {name[:100]!r}")
        if len(self.connections) >= self._limits.max_links:
            raise TurnedAway(HTTPStatus.SERVICE_UNAVAILABLE, f"there are {self._limits.max_links} Yjs clients")

    async def _serve(self, link: WebSocketLink, name: str) -> None:
        document = self._documents.get(DocumentId(name))
        if document is None:
            return
        session = YjsSession(document.name, self._limits)
        connection = self._connect(_Patient(link, session), session, {document.name: document})
        self.connections[connection] = None
        try:
            await connection.run()
        except (LinkClosed, ProtocolError) as error:
            if session.denial:
                self._refusals.report(f"to {CLIENT} of {name!r}", session.denial)
            else:
                logger.info("%s: %s", name, error)
        except Exception:
            logger.exception("The link to %s of %r failed", CLIENT, name)
        finally:
            del self.connections[connection]
            document.links_were_down()
