"""Waiting until all peers have everything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinysync.errors import SyncTimeout

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tinysync.model import DocumentId
    from tinysync.peer.connection import Connection
    from tinysync.peer.opened import OpenDocument


@dataclass(slots=True)
class Goal:
    """What one peer has still to do: confirm what it was sent, and answer a request made after the call.

    ``url`` is None for a peer that connected to this one; it is waited for as long as it is connected.
    """

    url: str | None
    connection: Connection | None = None
    opened: OpenDocument | None = None
    mark: int = 0
    request: int = 0
    done: bool = False

    def pursue(self, name: DocumentId, connections: Collection[Connection]) -> None:
        """Look how far the peer is; raises what keeps it from sharing the document."""
        self._find(connections)
        if self.connection is None:
            self.done = self.url is None
            return
        if name in self.connection.obstacles.refusals:
            raise self.connection.obstacles.refusals[name]
        if name in self.connection.notes.differences:
            raise self.connection.notes.differences[name]
        opened = self.connection.opened.get(name)
        if opened is None:
            return
        documents = self.connection.session.documents
        if opened is not self.opened:
            self.opened, self.mark = opened, documents.given(name)
            self.request = opened.sync()
        self.done = (
            opened.answered >= self.request
            and documents.is_acknowledged(name, self.mark)
            and self.connection.opened.get(name) is opened
        )

    def _find(self, connections: Collection[Connection]) -> None:
        if self.connection in connections:
            return
        identity = self.connection.identity if self.connection is not None else None
        found = (c for c in connections if c.is_ready and (c.identity == identity or self.url in c.urls))
        self.connection = next(found, None)

    def describe(
        self,
        name: DocumentId,
        unreached: Mapping[str, str],
        connections: Collection[Connection],
    ) -> str:
        """Say which peer this is and what is missing; ``unreached`` says why there is no link to an address."""
        self._find(connections)
        if self.connection is None:
            reason = unreached.get(self.url or "")
            return f"{self.url} (not connected)" + (f": {reason}" if reason else "")
        who = f"{self.url or 'an incoming link'} ({self.connection.device_name})"
        if name in self.connection.obstacles.failures:
            return f"{who} failed: {self.connection.obstacles.failures[name].rstrip('.')}"
        if name not in self.connection.opened:
            return f"{who} does not share {name!r}"
        return f"{who} has not confirmed everything"


async def wait_synced(
    name: DocumentId,
    timeout: float | None,  # noqa: ASYNC109 - it has to name the peers
    urls: Iterable[str],
    unreached: Mapping[str, str],
    connections: Collection[Connection],
    *,
    watchers: list[asyncio.Event],
) -> None:
    """Return once each peer has confirmed what it was sent, and what it held when it was asked is here.

    ``unreached`` says why there is no link to an address, for the message of SyncTimeout.
    """
    goals = [Goal(url) for url in urls]
    goals += [
        Goal(None, connection) for connection in connections if not connection.urls and connection.knows(name)
    ]
    watcher = asyncio.Event()
    watchers.append(watcher)
    try:
        async with asyncio.timeout(timeout):
            while True:
                for goal in goals:
                    if not goal.done:
                        goal.pursue(name, connections)
                if all(goal.done for goal in goals):
                    return
                await watcher.wait()
                watcher.clear()
    except TimeoutError:
        missing = "; ".join(goal.describe(name, unreached, connections) for goal in goals if not goal.done)
        raise SyncTimeout(
            f"{name!r} is not in step with all peers after {timeout:.3g} s: {missing}. What was written here "
            "is sent as soon as they are there.",
        ) from None
    finally:
        watchers.remove(watcher)
