"""What another device measures, in a window.

    python examples/tk_readings.py

Tk must be used from the thread that runs its main loop only. ``root.after_idle`` and ``root.event_generate`` are
no way around that: called from another thread they wait for the main loop (for ever, if that waits for the other
thread just then), raise RuntimeError while it is not running, and break a Tcl that was built without threads. So
the changes of others go into a queue, which the main loop looks into many times a second. Nothing changes, and no
callback runs, anywhere but between two events of Tk.
"""

import queue
import tkinter as tk
from contextlib import closing
from typing import Any

from pretend_sensor import ROOMS, sensor

from tinysync import Change, DictWrapper, track, tracker

POLL = 20
"""Milliseconds between two looks into the queue."""


class TkQueue:
    """Runs what other threads put in, in the main loop: ``track(..., dispatch=TkQueue(root).put)``."""

    def __init__(self, root: tk.Tk) -> None:
        self._root = root
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put = self._jobs.put
        self._poll()

    def _poll(self) -> None:
        # First, so that a job that raises does not end it.
        self._root.after(POLL, self._poll)
        while not self._jobs.empty():
            self._jobs.get()()


def show(root: tk.Tk, url: str) -> DictWrapper:
    labels = {room: tk.Label(root, text=f"{room}: ?", width=40) for room in ROOMS}
    for label in labels.values():
        label.pack()

    def on_reading(changes: Change | list[Change]) -> None:
        for change in changes if isinstance(changes, list) else [changes]:
            room, celsius = change.args
            labels[room].configure(text=f"{room}: {celsius}°C")
        if len(readings) == len(ROOMS):
            # Enough for an example; a program would go on until the window is closed.
            root.after(500, root.destroy)

    readings = track({}, "readings", persist=False, sync=url, dispatch=TkQueue(root).put)
    tracker(readings).on("*", on_reading)
    return readings


def main() -> None:
    root = tk.Tk()
    root.title("readings")
    with sensor() as url:
        readings = show(root, url)
        with closing(tracker(readings)):
            root.mainloop()
            print("shown:", ", ".join(f"{room} {readings[room]}°C" for room in readings))


if __name__ == "__main__":
    main()
