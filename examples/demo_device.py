"""One device of the demo: a process that runs the lines it is given, and answers each with a line of JSON.

What it does is what any program with tinysync does; the rest is there for demo.py to steer it.
"""

import json
import sys
from pathlib import Path

from tinysync import Peer, track, tracker

START = {
    "lights": {"hall": 0, "kitchen": 0},
    "shopping": ["bread", "milk"],
    "at_home": {"Ann"},
}


class Device:
    """A tracked structure in a folder of its own, and its peer while it is online."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.peer: Peer | None = None
        self.home = track(START, "home", folder=folder)

    def online(self, *, listen: str | None = None, connect: list[str] | None = None) -> str | None:
        self.peer = Peer(listen=listen, connect=connect or [], device=self.name)
        track(START, "home", folder=self.folder, sync=self.peer)
        return self.peer.url

    def offline(self) -> None:
        if self.peer is not None:
            self.peer.close()
            self.peer = None

    def run(self, line: str) -> None:
        exec(line, {"home": self.home})  # noqa: S102 - the demo shows the very lines that it runs

    def synced(self, timeout: float) -> None:
        tracker(self.home).wait_synced(timeout=timeout)

    def content(self) -> str:
        tracker(self.home).flush()
        return (self.folder / "home.yaml").read_text(encoding="utf-8")

    def close(self) -> None:
        tracker(self.home).close()
        self.offline()


def main(name: str, folder: str) -> None:
    device = Device(name, Path(folder))
    for line in sys.stdin:
        command, options = json.loads(line)
        print(json.dumps(getattr(device, command)(**options)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
