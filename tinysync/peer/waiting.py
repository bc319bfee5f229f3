"""Waiting until all peers have everything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinysync.errors import SyncTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinysync.model import DocumentId
    from tinysync.peer.connection import Connection


@dataclass(slots=True)
class Goal:
    """What one peer has still to do: confirm what it was sent, and answer a request made after the call."""

    url: str | None
    connection: Connection | None = None
    mark: int = 0
    request: int = 0
    done: bool = False

    async def pursue(self, name: DocumentId, connections: Mapping[Connection, str | None]) -> None:
        """Look how far the peer is; raises KindMismatch or PeerRefused if it refuses the document."""
        connection = self._current(connections)
        if connection is None:
            self.done = self.url is None
            return
        if name in connection.refusals:
            raise connection.refusals[name]
        documents = connection.session.documents
        if not documents.is_open(name):
            self.connection = None
            return
        if connection is not self.connection:
            mark = documents.given(name)
            self.request = await connection.request_sync(name)
            if not self.request:
                return
            self.connection, self.mark = connection, mark
        self.done = documents.is_acknowledged(name, self.mark) and connection.answered(name) >= self.request

    def _current(self, connections: Mapping[Connection, str | None]) -> Connection | None:
        if self.url is None:
            return self.connection if self.connection in connections else None
        return next((c for c, url in connections.items() if url == self.url and c.is_ready), None)

    def describe(self, name: DocumentId, connections: Mapping[Connection, str | None]) -> str:
        """Say which peer this is and what is missing."""
        connection = self._current(connections)
        if connection is None:
            return f"{self.url} (not connected)"
        who = f"{self.url or 'an incoming link'} ({connection.device_name})"
        if not connection.session.documents.is_open(name):
            return f"{who} does not share {name!r}"
        return f"{who} has not confirmed everything"


async def wait_synced(
    name: DocumentId,
    timeout: float | None,  # noqa: ASYNC109 - it has to name the peers
    urls: list[str],
    connections: Mapping[Connection, str | None],
    watchers: list[asyncio.Event],
) -> None:
    """Return once each peer has confirmed what it was sent, and what it held when it was asked is here."""
    goals = [Goal(url) for url in urls]
    incoming = [c for c, url in connections.items() if url is None and c.is_ready]
    for connection in incoming:
        if connection.session.documents.is_open(name) or name in connection.refusals:
            mark = connection.session.documents.given(name)
            request = await connection.request_sync(name)
            goals.append(Goal(None, connection, mark, request))
    watcher = asyncio.Event()
    watchers.append(watcher)
    try:
        async with asyncio.timeout(timeout):
            while True:
                for goal in goals:
                    if not goal.done:
                        await goal.pursue(name, connections)
                if all(goal.done for goal in goals):
                    return
                await watcher.wait()
                watcher.clear()
    except TimeoutError:
        missing = "; ".join(goal.describe(name, connections) for goal in goals if not goal.done)
        raise SyncTimeout(
            f"{name!r} is not in step with all peers after {timeout:g} s: {missing}. What was written here "
            "is sent as soon as they are there.",
        ) from None
    finally:
        watchers.remove(watcher)
