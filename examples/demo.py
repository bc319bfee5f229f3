"""Two devices side by side: live edits, one goes offline, both edit the same things, and both show the same again.

    python examples/demo.py

Each device is a process with a folder of its own; what you see are their YAML files. Ends with exit code 1 if the
files differ.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any

SYNC = 10
"""Seconds in which the devices have to be in step."""

PATIENCE = 20
"""Seconds that a device may take to answer anything."""

WIDTH = 44
ON_SCREEN = sys.stdout.isatty()
PLAIN, BOLD, YELLOW = 0, 1, 33


class Device:
    """A device process, as its starter sees it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.file = folder / "home.yaml"
        self.is_online = False
        self.lines_run: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("demo_device.py")), name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def ask(self, command: str, **options: Any) -> Any:
        """Have the device do something; return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, options]) + "\n")
        self._process.stdin.flush()
        try:
            answer = self._answers.get(timeout=PATIENCE)
        except queue.Empty:
            raise SystemExit(f"{self.name} did not answer within {PATIENCE} s: {command}") from None
        if not answer:
            raise SystemExit(f"{self.name} ended with exit code {self._process.wait()}")
        return json.loads(answer)

    def run(self, *lines: str) -> None:
        """Have the device run lines of Python."""
        for line in lines:
            self.ask("run", line=line)
        self.lines_run.extend(lines)

    def end(self) -> None:
        """Close what the device has open, and end its process."""
        self.ask("close")
        self._process.communicate(timeout=PATIENCE)

    def kill(self) -> None:
        """End the process at once; nothing if it has ended."""
        self._process.kill()
        self._process.wait()


def colored(text: str, code: int) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if ON_SCREEN and code != PLAIN else text


def side_by_side(left: list[str], right: list[str], *, mark: bool = False) -> None:
    """Print two columns; ``mark``: lines that only one of them has in color."""
    for one, other in zip_longest(left, right, fillvalue=""):
        left_color = YELLOW if mark and one not in right else PLAIN
        right_color = YELLOW if mark and other not in left else PLAIN
        print(f"  {colored(f'{one:{WIDTH}}', left_color)}| {colored(other, right_color)}".rstrip())


def show(title: str, *devices: Device) -> None:
    """Print what the devices ran since the last time, and their files."""
    print(f"\n{colored(title, BOLD)}\n")
    side_by_side(*([f"{d.name} ({'online' if d.is_online else 'offline'})"] for d in devices))
    side_by_side(*(["-" * (WIDTH - 1)] for _ in devices))
    side_by_side(*([f">>> {line}" for line in d.lines_run] for d in devices))
    side_by_side(*(["", *d.ask("content").splitlines()] for d in devices), mark=True)
    for device in devices:
        device.lines_run.clear()
    if ON_SCREEN:
        time.sleep(3)  # for whoever watches


def play(laptop: Device, phone: Device) -> None:
    """Go through the story."""
    url = laptop.ask("online", listen="127.0.0.1:0")
    phone.ask("online", connect=[url])
    laptop.is_online = phone.is_online = True
    phone.ask("synced", timeout=SYNC)
    show("1. Both start with the same defaults", laptop, phone)

    laptop.run("home.lights.kitchen = 80", "home.at_home.add('Ben')")
    laptop.ask("synced", timeout=SYNC)
    phone.run("home.shopping.append('eggs')")
    phone.ask("synced", timeout=SYNC)
    show("2. Each edit is on the other device at once", laptop, phone)

    phone.ask("offline")
    phone.is_online = False
    laptop.run(
        "home.lights.hall = 100",
        "home.lights.porch = 30",
        "home.shopping.move(1, 0)  # milk first",
        "home.shopping.append('tea')",
        "home.at_home.add('Cleo')",
    )
    phone.run(
        "home.lights.hall = 20",
        "home.lights.garage = 60",
        "home.shopping[1] = 'oat milk'",
        "home.shopping.remove('bread')",
        "home.at_home.discard('Ann')",
    )
    show("3. The phone is offline; both edit the same dict, list and set", laptop, phone)

    phone.ask("online", connect=[url])
    phone.is_online = True
    phone.ask("synced", timeout=SYNC)
    show("4. The phone is back: all edits are there, and one of the two values for the hall", laptop, phone)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tinysync-demo-") as folder:
        devices = [Device(name, Path(folder, name)) for name in ("laptop", "phone")]
        try:
            play(*devices)
            for device in devices:
                device.end()
        finally:
            for device in devices:
                device.kill()
        contents = [device.file.read_text(encoding="utf-8") for device in devices]
        for device, content in zip(devices, contents, strict=True):
            print(f"\n{colored(f'{device.name}/{device.file.name}', BOLD)}\n\n{content}", end="")
    same = contents[0] == contents[1]
    print("\nThe two files are the same." if same else "\nTHE TWO FILES DIFFER.")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
