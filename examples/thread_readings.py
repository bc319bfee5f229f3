"""What another device measures, for a thread that does one thing after the other.

    python examples/thread_readings.py

The thread owns the structure: what others change comes in when it takes it from its queue, between two of its
other tasks, so that it needs no lock for whatever it keeps beside the structure.
"""

import queue
from contextlib import closing
from typing import Any

from pretend_sensor import ROOMS, sensor

from tinysync import Change, track, tracker


def main() -> None:
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    highest: dict[str, int] = {}

    def on_reading(changes: Change | list[Change]) -> None:
        for change in changes if isinstance(changes, list) else [changes]:
            room, celsius = change.args
            highest[room] = max(celsius, highest.get(room, -273))
            print(f"{room}: {celsius}°C")

    with sensor() as url:
        readings = track({}, "readings", persist=False, sync=url, dispatch=tasks.put)
        with closing(tracker(readings)):
            tracker(readings).on("*", on_reading)
            tasks.put(lambda: print("a task of its own"))
            while len(highest) < len(ROOMS):
                task = tasks.get()
                task()
    print("highest:", ", ".join(f"{room} {celsius}°C" for room, celsius in highest.items()))


if __name__ == "__main__":
    main()
