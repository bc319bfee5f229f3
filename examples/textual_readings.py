"""What another device measures, in a terminal, with Textual (pip install textual).

    python examples/textual_readings.py

``app.call_later`` is the ``dispatch=`` of a Textual app: it may be called from any thread and does not wait.
(``call_from_thread`` waits, and refuses to be called from the app's own thread; changes are dispatched from there
too, when a transaction ends that kept them waiting.) Without ``dispatch=`` the changes would come into the app's
event loop as well, as ``track`` is called in it, but outside the context in which Textual runs an app's methods.
"""

import sys

from pretend_sensor import ROOMS, sensor
from textual.app import App, ComposeResult
from textual.widgets import Label

from tinysync import Change, track, tracker


class Readings(App[str]):
    """Shows the latest reading of each room."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def compose(self) -> ComposeResult:
        for room in ROOMS:
            yield Label(f"{room}: ?", id=room)

    def on_mount(self) -> None:
        self.readings = track({}, "readings", persist=False, sync=self._url, dispatch=self.call_later)
        tracker(self.readings).on("*", self.show_reading)

    def show_reading(self, changes: Change | list[Change]) -> None:
        for change in changes if isinstance(changes, list) else [changes]:
            room, celsius = change.args
            self.query_one(f"#{room}", Label).update(f"{room}: {celsius}°C")
        if len(self.readings) == len(ROOMS):
            # Enough for an example; a program would go on until it is told to end.
            self.set_timer(0.5, lambda: self.exit(", ".join(f"{r} {self.readings[r]}°C" for r in ROOMS)))

    def on_unmount(self) -> None:
        tracker(self.readings).close()


def main() -> None:
    with sensor() as url:
        print("shown:", Readings(url).run(headless=not sys.stdout.isatty()))


if __name__ == "__main__":
    main()
