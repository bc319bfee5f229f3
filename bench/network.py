"""Two devices over loopback websockets, in two processes, against what can be had without tinysync."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench import burst
from bench.measure import Row
from bench.relays import relay, room
from bench.tinysync_pair import pair

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 12
TRIPS = 100
BURSTS = 3


def rows() -> Iterator[Row]:
    with pair() as devices:
        with relay() as raw:
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(ROUNDS):
                ours.append(median(devices.trip() for _ in range(TRIPS)))
                theirs.append(median(raw.trips(TRIPS)))
        yield Row("latency of a change", min(ours), min(theirs), "raw websockets relay", 2.0)

        with room() as other:
            ours, theirs = [], []
            for number in range(BURSTS):
                ours.append(devices.burst(f"burst{number}"))
                theirs.append(other.burst(f"burst{number}"))
        yield Row(f"{burst.WRITES:,} writes until all are there", min(ours), min(theirs), "pycrdt-websocket", 0.5)
