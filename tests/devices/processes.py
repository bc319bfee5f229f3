"""Starts devices in processes of their own, and talks to them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peer.devices import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROGRAM = Path(__file__).with_name("program.py")


class DeviceFailed(Exception):
    """What was to be run raised an error of tinysync."""


class DeviceProcess:
    """A device in a process of its own, with its files in a folder: ``x`` is its structure, ``peer`` its peer.

    ``command`` is what runs the Python that comes after it.
    """

    def __init__(self, folder: Path, command: Iterable[str] = (), environment: Mapping[str, str] = {}) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.wrote: list[str] = []
        """What a ``Writer`` has told so far."""
        self._answers: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self._told = threading.Condition()
        self._errors = (folder / "stderr").open("ab")
        self.process = subprocess.Popen(
            [*command, sys.executable, "-W", "error", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **environment},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                break  # killed in the middle of a line
            if "wrote" in message:
                with self._told:
                    self.wrote.append(message["wrote"])
                    self._told.notify_all()
            else:
                self._answers.put(message)
        self._answers.put({"error": "the process has ended"})

    def _ask(self, **order: str):
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self._answers.get(timeout=2 * DEADLINE)
        if "error" in answer:
            raise DeviceFailed(answer["error"])
        return answer["value"]

    def run(self, code: str) -> None:
        """Run statements; raises DeviceFailed for an error of tinysync."""
        self._ask(run=code)

    def get(self, expression: str):
        """Return the value of an expression."""
        return self._ask(get=expression)

    def track(self, start: str, **peer: object) -> None:
        """Join the network and track a structure that starts as the expression says."""
        options = ", ".join(f"{name}={value!r}" for name, value in peer.items())
        self.run(f"peer = Peer({options})\nx = track({start}, 'todo', folder={str(self.folder)!r}, sync=peer)")

    def sync(self) -> None:
        """Wait until the neighbours have what this device has, and the other way round."""
        self.run(f"tracker(x).wait_synced({DEADLINE})")

    def wait_written(self, count: int) -> None:
        """Return once the writer has told so many writes."""
        with self._told:
            assert self._told.wait_for(lambda: len(self.wrote) >= count, DEADLINE)

    def yaml(self) -> str:
        """Return what is in the readable file."""
        return (self.folder / "todo.yaml").read_text("utf-8")

    def kill(self) -> None:
        """End the process as ``kill -9`` does; what it has told is read to the end."""
        self.process.kill()
        self._wait()

    def quit(self) -> str:
        """Let the program end by itself, without closing anything; return what it printed as errors."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._wait()
        return (self.folder / "stderr").read_text("utf-8")

    def _wait(self) -> None:
        self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            assert stream is not None
            # It may have been killed before it read all.
            with contextlib.suppress(BrokenPipeError):
                stream.close()
