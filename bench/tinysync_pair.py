"""Two devices with tinysync: this process, and another one that connects to it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench import burst
from bench.processes import SECONDS, answer, running
from tinysync import Peer, track, tracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


class Pair:
    """The end of the pair that writes."""

    def __init__(self, peer: Peer, pipe: Connection) -> None:
        self._peer = peer
        self._pipe = pipe
        self._echo = threading.Event()
        self._arrived_at = 0.0
        self._latency = track(
            {"ping": 0, "pong": 0}, "latency", sync=peer, persist=False, callback=self._on_change
        )
        self._pings = 0
        self._join("latency")

    def _join(self, name: str) -> None:
        self._pipe.send(name)
        assert answer(self._pipe) == "ready"

    def _on_change(self, change: Any) -> None:
        if change.origin == "remote":
            self._arrived_at = perf_counter()
            self._echo.set()

    def trip(self) -> float:
        """Return how long a change takes one way: half of there and back, from write to callback."""
        self._pings += 1
        self._echo.clear()
        start = perf_counter()
        self._latency["ping"] = self._pings
        self._echo.wait(SECONDS)
        assert self._latency["pong"] == self._pings
        return (self._arrived_at - start) / 2

    def burst(self, name: str) -> float:
        """Return how long it takes until the other has all of many writes."""
        conf = track({}, name, sync=self._peer, persist=False)
        self._join(name)
        start = perf_counter()
        burst.write(conf)
        arrived = answer(self._pipe)
        elapsed = perf_counter() - start
        assert arrived == burst.WRITES
        tracker(conf).close()
        return elapsed


@contextmanager
def pair() -> Iterator[Pair]:
    with Peer(listen="127.0.0.1:0", device="near") as peer, running(_far, peer.url) as pipe:
        yield Pair(peer, pipe)


def _far(pipe: Connection, url: str) -> None:
    with Peer(connect=[url], device="far") as peer:
        name = pipe.recv()
        latency = track({"ping": 0, "pong": 0}, name, sync=peer, persist=False, callback=_echo)
        tracker(latency).wait_synced(SECONDS)
        pipe.send("ready")
        while True:
            _take_burst(pipe, peer, pipe.recv())


def _echo(change: Any) -> None:
    if change.origin == "remote":
        change.root["pong"] = change.root["ping"]


def _take_burst(pipe: Connection, peer: Peer, name: str) -> None:
    arrived = threading.Event()

    def look(change: Any) -> None:
        changes = change if isinstance(change, list) else [change]
        if burst.LAST in changes[0].root:
            arrived.set()

    conf = track({}, name, sync=peer, persist=False, callback=look)
    tracker(conf).wait_synced(SECONDS)
    pipe.send("ready")
    arrived.wait(SECONDS)
    pipe.send(len(conf))
    tracker(conf).close()
