"""Bars that show how far devices are that catch up."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import TaskID

    from tinysync.peer import Peer
    from tinysync.status import PeerStatus


@contextmanager
def bars_of(peer: Peer, console: Console) -> Iterator[None]:
    """Show a bar for each device that something long is exchanged with, if ``console`` is a terminal."""
    if not console.is_terminal:
        yield
        return
    bars = Bars(console)
    with peer.on_status(bars.show):
        try:
            yield
        finally:
            bars.close()


class Bars:
    """The bars on a terminal; there are none, and nothing is drawn, while no device catches up."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._guard = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._closed = False

    def show(self, status: PeerStatus) -> None:
        """Draw what a status says."""
        found = {
            (way, device.name): progress
            for device in status.devices
            for way, progress in (("receiving from", device.receiving), ("sending to", device.sending))
            if progress is not None
        }
        with self._guard:
            if not found or self._closed:
                self._stop()
                return
            if self._progress is None:
                self._progress = self._start()
            for key in self._tasks.keys() - found.keys():
                self._progress.remove_task(self._tasks.pop(key))
            for key, progress in found.items():
                done, total = progress.done, progress.total
                if key in self._tasks:
                    self._progress.update(self._tasks[key], completed=done, total=total)
                else:
                    self._tasks[key] = self._progress.add_task(" ".join(key), completed=done, total=total)

    def close(self) -> None:
        """Take all bars away, for good."""
        with self._guard:
            self._closed = True
            self._stop()

    def _start(self) -> Progress:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        progress = Progress(*columns, console=self._console, transient=True)
        progress.start()
        return progress

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress, self._tasks = None, {}
