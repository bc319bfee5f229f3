"""``tinysync mirror`` on three folders, with an editor at work in each: for an hour, or as long as it is told.

    python -m tests.cli.long_mirror 60

Each mirror tells which edits of its file it has taken. In the end the three files must be equal, and hold every
entry that was taken and not deleted. An editor that saves what it read before something else arrived takes that
out again, as editors do; the mirror tells that, too, so that nothing goes away unexplained.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tinysync.group import Key

FILE = "settings.yaml"
COMMENT = "# what a person wrote down"
KEPT = 100
"""How many entries an editor lets stand; it deletes older ones."""
GIVEN_UP = 20.0
"""Seconds after which an edit that the mirror has not taken was overwritten in the moment it was saved."""
DEADLINE = 120.0


class Mirror:
    """A mirror in a process of its own, and what it tells."""

    def __init__(self, folder: Path, key: Path, *arguments: str) -> None:
        self.path = folder / FILE
        self.errors = (folder / "stderr").open("w+")
        command = [sys.executable, "-W", "error", "-m", "tinysync", "mirror", str(self.path), "--json"]
        self.process = subprocess.Popen(
            [*command, "--key", str(key), "--device", folder.name, *arguments],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            encoding="utf-8",
        )
        self.url = ""
        self.began = threading.Event()
        self.sets: dict[str, int] = {}
        """How often it took an edit of its file that set a key."""
        self.deletes: set[str] = set()
        """The keys that edits of its file deleted."""
        self.remote = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            told = json.loads(line)
            self.url = told.get("listening", self.url)
            self.began.set()
            if told.get("origin") == "remote":
                self.remote += 1
            elif told.get("origin") == "file":
                (key,) = told["path"] or [""]
                if told["change"] == "__setitem__":
                    self.sets[key] = self.sets.get(key, 0) + 1
                elif told["change"] == "__delitem__":
                    self.deletes.add(key)

    def close(self) -> None:
        """End it in any case."""
        self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)
        self.process.stdout.close()
        self.errors.close()

    def memory(self) -> float:
        """Return how much memory it has in use, in MB."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        return 0.0

    def end(self) -> tuple[int, str]:
        """Tell it to end; return its exit code and what it reported."""
        # Ctrl-C would not do where this was started in the background: such processes inherit that it is ignored.
        self.process.terminate()
        code = self.process.wait(DEADLINE)
        self.errors.seek(0)
        return code, self.errors.read()


class Editor:
    """Adds entries to a file, and deletes its own old ones, in the ways in which editors save."""

    def __init__(self, name: str, mirror: Mirror, pause: float, seed: int) -> None:
        self.name = name
        self.mirror = mirror
        self.wrote: list[str] = []
        self.deleted: set[str] = set()
        self.overwritten = 0
        self._pause = pause
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._edit, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(DEADLINE)

    def _edit(self) -> None:
        number = 0
        while not self._stop.wait(self._chance.expovariate(1 / self._pause)):
            number += 1
            key = f"{self.name}-{number}"
            old = [one for one in self.wrote if one not in self.deleted][:-KEPT]
            self._save(key, set(old))
            if self._was_taken(key):
                self.wrote.append(key)
                self.deleted.update(old)
            else:
                self.overwritten += 1

    def _was_taken(self, key: str) -> bool:
        end = time.monotonic() + GIVEN_UP
        while key not in self.mirror.sets:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def _save(self, key: str, old: set[str]) -> None:
        path = self.mirror.path
        line = f"{key}: written by {self.name}\n"
        way = self._chance.random()
        if way < 0.1 and not old:
            with path.open("a") as file:
                file.write(line)
            return
        text = path.read_text()
        if not text.strip():
            return
        kept = [one for one in text.splitlines(keepends=True) if one.partition(":")[0] not in old]
        if way < 0.3:
            path.write_text("".join(kept) + line)
        else:
            other = path.with_suffix(".swp")
            other.write_text("".join(kept) + line)
            other.replace(path)


@dataclass
class Result:
    """What came of a run."""

    minutes: float
    equal: bool = False
    entries: int = 0
    edits: int = 0
    remote: int = 0
    overwritten: int = 0
    """Edits that were gone before a mirror saw them; their editor would have noticed."""
    stale: set[str] = field(default_factory=set)
    """Entries that an editor took out because it had not seen them."""
    lost: set[str] = field(default_factory=set)
    """Entries that are gone without anybody having deleted them."""
    back: set[str] = field(default_factory=set)
    """Entries that were deleted, and are there although nobody wrote them again."""
    codes: list[int] = field(default_factory=list)
    errors: str = ""
    memory: list[list[float]] = field(default_factory=list)
    """Of each mirror, MB now and then."""
    comment_kept: bool = False

    @property
    def memory_grew(self) -> list[float]:
        """By which factor each mirror grew from a third of the time to the end."""
        return [round(max(one[-3:]) / max(one[len(one) // 3], 1.0), 2) for one in self.memory]


def run(minutes: float, pause: float = 1.0, seed: int = 0, say=lambda _: None) -> Result:
    """Let three mirrors and three editors work for so long, and see what came of it."""
    place = Path(tempfile.mkdtemp(prefix="tinysync-mirror-"))
    result = Result(minutes)
    mirrors: list[Mirror] = []
    os.environ.update({name: str(place) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")})
    try:
        key = Key.new().save(place / "key")
        folders = [place / name for name in ("laptop", "phone", "tablet")]
        for folder in folders:
            folder.mkdir()
        (folders[0] / FILE).write_text(f"{COMMENT}\nstart: 1\n")
        mirrors.append(Mirror(folders[0], key, "--listen", "127.0.0.1:0"))
        assert mirrors[0].began.wait(DEADLINE)
        mirrors += [Mirror(folder, key, "--connect", mirrors[0].url) for folder in folders[1:]]
        _wait_until(lambda: all(one.path.exists() and "start" in one.path.read_text() for one in mirrors))
        editors = [Editor(one.path.parent.name, one, pause, seed + n) for n, one in enumerate(mirrors)]
        _work(minutes, mirrors, result, say)
        for editor in editors:
            editor.stop()
        with contextlib.suppress(TimeoutError):
            _wait_until(lambda: _are_equal(mirrors))
            result.equal = True
        _judge(mirrors, editors, result)
        say(str(result))
        result.comment_kept = COMMENT in mirrors[0].path.read_text()
        ends = [one.end() for one in mirrors]
        result.codes, result.errors = [code for code, _ in ends], "".join(text for _, text in ends)
        return result
    finally:
        for one in mirrors:
            one.close()
        shutil.rmtree(place)


def _work(minutes: float, mirrors: list[Mirror], result: Result, say) -> None:
    result.memory = [[] for _ in mirrors]
    began = time.monotonic()
    step = min(10.0, minutes * 6)
    while (passed := time.monotonic() - began) < minutes * 60:
        time.sleep(min(step, minutes * 60 - passed))
        for known, mirror in zip(result.memory, mirrors, strict=True):
            known.append(mirror.memory())
        if len(result.memory[0]) % 30 == 0:
            now = [round(known[-1]) for known in result.memory]
            say(f"after {passed / 60:.1f} min: {sum(len(one.sets) for one in mirrors)} edits, MB {now}")


def _judge(mirrors: list[Mirror], editors: list[Editor], result: Result) -> None:
    there = set(yaml.safe_load(mirrors[0].path.read_text()))
    by_edits = set().union(*(one.deletes for one in mirrors))
    result.entries = len(there)
    result.remote = sum(one.remote for one in mirrors)
    for editor in editors:
        result.edits += len(editor.wrote)
        result.overwritten += editor.overwritten
        gone = set(editor.wrote) - editor.deleted - there
        result.stale |= gone & by_edits
        result.lost |= gone - by_edits
        sets = {key: sum(one.sets.get(key, 0) for one in mirrors) for key in editor.deleted & there}
        result.back |= {key for key, times in sets.items() if times < 2}


def _are_equal(mirrors: list[Mirror]) -> bool:
    values = []
    for one in mirrors:
        try:
            values.append(yaml.safe_load(one.path.read_text()))
        except (OSError, yaml.YAMLError):
            return False
    return values.count(values[0]) == len(values)


def _wait_until(condition) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def main() -> None:
    result = run(float(sys.argv[1]), say=lambda text: print(text, flush=True))
    grew, result.memory = (
        result.memory_grew,
        [[round(n) for n in one[:: max(1, len(one) // 12)]] for one in result.memory],
    )
    print(result, f"memory grew by {grew}", sep="\n", flush=True)


if __name__ == "__main__":
    main()
