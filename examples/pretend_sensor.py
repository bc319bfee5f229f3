"""A pretended device for the examples of user interfaces: it measures in a few rooms, on threads of its own.

It stands for another computer. All that the examples share with it is the structure ``readings`` and its address.
"""

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinysync import Peer, track, tracker

ROOMS = ("kitchen", "hall", "attic")


@contextmanager
def sensor() -> Iterator[str]:
    """Measure in each room, every half a second, and give the address to connect to."""
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder, Peer(listen="127.0.0.1:0", device="sensor") as peer:
        readings = track({}, "readings", folder=Path(folder), sync=peer)

        def measure() -> None:
            while not stop.is_set():
                for room in ROOMS:
                    readings[room] = random.randint(15, 25)  # noqa: S311 - a pretended sensor
                    time.sleep(0.5 / len(ROOMS))

        thread = threading.Thread(target=measure)
        thread.start()
        try:
            assert peer.url is not None
            yield peer.url
        finally:
            stop.set()
            thread.join()
            tracker(readings).close()
