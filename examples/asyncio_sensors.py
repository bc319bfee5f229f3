"""Two devices in one asyncio program: one measures, the other reacts.

    python examples/asyncio_sensors.py

What other devices write enters a structure in the event loop in which it was tracked: nothing changes between two
awaits, and callbacks may touch whatever belongs to the loop.
"""

import asyncio
import random
import tempfile
from contextlib import closing
from pathlib import Path

from tinysync import Change, DictWrapper, Peer, track, tracker

ROOMS = ("kitchen", "hall", "attic")


async def measure(readings: DictWrapper) -> None:
    for room in ROOMS:
        async with readings:  # both, or none
            readings[room] = {"celsius": random.randint(15, 25)}  # noqa: S311 - a pretended sensor
            readings["latest"] = room
        await asyncio.sleep(0.1)


async def react(url: str, folder: Path) -> None:
    complete = asyncio.Event()

    def on_change(_: Change | list[Change]) -> None:
        known = [room for room in ROOMS if room in readings]
        print("known:", ", ".join(f"{room} {readings[room].celsius}°C" for room in known))
        if len(known) == len(ROOMS):
            complete.set()

    readings = track({}, "readings", folder=folder, sync=url, callback=on_change)
    with closing(tracker(readings)):
        async with asyncio.timeout(10):
            await complete.wait()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Peer(listen="127.0.0.1:0", device="sensors") as peer:
        assert peer.url is not None
        readings = track({}, "readings", folder=Path(folder, "sensors"), sync=peer)
        with closing(tracker(readings)):
            await asyncio.gather(measure(readings), react(peer.url, Path(folder, "display")))


if __name__ == "__main__":
    asyncio.run(main())
