"""A device in a process of its own: runs the Python that it is sent as JSON lines, and answers in JSON lines."""

from __future__ import annotations

import json
import sys
import threading

import tinysync

output = threading.Lock()


def tell(**message):
    with output:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class Writer:
    """Writes to a structure in a thread of its own, and tells each write that has returned."""

    def __init__(self, structure, label, pause=0.0):
        self._structure = structure
        self._label = label
        self._pause = pause
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self):
        number = 0
        while not self._stopped.wait(self._pause):
            entry = f"{self._label} {number}"
            with self._structure as structure:
                structure["log"].append(entry)
                structure["last"][self._label] = number
            tell(wrote=entry)
            number += 1

    def stop(self):
        self._stopped.set()
        self._thread.join()


def main():
    names = {"Writer": Writer, **vars(tinysync)}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "run" in order:
                exec(order["run"], names)
                tell(value=None)
            else:
                tell(value=eval(order["get"], names))
        except tinysync.TinySyncError as error:
            tell(error=f"{type(error).__name__}: {error}")


main()
