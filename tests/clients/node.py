"""Yjs clients in Node.js, with the npm packages of examples/browser."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import queue
import shutil
import subprocess
import threading
from decimal import Decimal
from pathlib import Path
from types import EllipsisType
from uuid import UUID

import pytest
from filelock import FileLock

from tests.peer.devices import DEADLINE, wait_until

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"
DRIVER = Path(__file__).parent / "driver.mjs"
INSTALL_SECONDS = 90


def install(base: Path, source: Path, *, build: bool = False) -> Path:
    """Install npm packages once for all test processes; returns the folder, or skips the test with the reason."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    folder = base / f"npm-{source.parent.name}-{source.name}"
    with FileLock(f"{folder}.lock"):
        refusal = folder / "refusal"
        if not folder.exists():
            folder.mkdir()
            for file in source.iterdir():
                if file.is_file():
                    shutil.copy(file, folder)
            try:
                result = npm(folder, "ci", "--no-audit", "--no-fund", "--fetch-retries=0")
                if result.returncode:
                    refusal.write_text(result.stderr.strip()[-500:] or "npm ci failed")
            except subprocess.TimeoutExpired:
                refusal.write_text(f"npm ci took longer than {INSTALL_SECONDS} s")
        if refusal.exists():
            pytest.skip(f"npm cannot install what {source.name} needs: {refusal.read_text()}")
        if build and not (folder / "bundle.js").exists():
            built = npm(folder, "run", "build")
            assert not built.returncode, built.stderr
    return folder


def npm(folder: Path, *arguments: str):
    return subprocess.run(
        ["npm", *arguments, "--loglevel=error"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )


class Driven:
    """A script in Node.js, in a process of its own; each call is one line to it and one back."""

    def __init__(self, *command: str | Path) -> None:
        self.process = subprocess.Popen(
            ["node", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._calls = 0

    def _read(self) -> None:
        for line in self.process.stdout:
            self._answers.put(line)

    def call(self, method, *args):
        self._calls += 1
        self.process.stdin.write(json.dumps([self._calls, method, *map(to_js, args)]) + "\n")
        self.process.stdin.flush()
        number, result, *error = json.loads(self._answers.get(timeout=DEADLINE))
        assert number == self._calls
        assert not error, error
        return from_js(result)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, 9)
            self.process.wait()
        self._reader.join(DEADLINE)
        self.process.stdout.close()


class Node(Driven):
    """A client of a peer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(DRIVER, folder)

    def open(self, url, name="todo", **options):
        self.call("open", url, name, options)
        return self

    def write(self, method, *args):
        self.call("write", method, *args)

    @property
    def value(self):
        return self.call("value")

    def shows(self, value):
        """Wait until it shows a value, exactly."""
        wait_until(lambda: repr(self.value) == repr(value))

    def synced(self):
        wait_until(lambda: self.call("isSynced"))
        return self


_FROM_TEXT = {
    "bigint": int,
    "number": lambda text: float(text.replace("Infinity", "inf")),
    "bytes": bytes,
    "set": set,
    "map": dict,
    "tuple": tuple,
    "frozenset": frozenset,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "datetime": dt.datetime.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "Decimal": Decimal,
    "UUID": UUID,
    "complex": lambda parts: complex(*parts),
    "undefined": lambda _: ...,
}


def from_js(value):
    if isinstance(value, list):
        return [from_js(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: from_js(item) for key, item in value.items()}
    return _FROM_TEXT[value["$"]](from_js(value.get("v")))


def to_js(value):
    match value:
        case dict() if all(isinstance(key, str) for key in value):
            return {key: to_js(item) for key, item in value.items()}
        case dict():
            return {"$": "map", "v": [[to_js(key), to_js(item)] for key, item in value.items()]}
        case list():
            return [to_js(item) for item in value]
        case bool() | None | str():
            return value
        case EllipsisType():
            return {"$": "undefined"}
        case int():
            return value if abs(value) <= 2**53 else {"$": "bigint", "v": str(value)}
        case float() if value != value or abs(value) == float("inf"):
            return {"$": "number", "v": str(value).replace("inf", "Infinity").replace("nan", "NaN")}
        case float():
            return {"$": "float", "v": value} if value.is_integer() else value
        case bytes():
            return {"$": "bytes", "v": list(value)}
        case set() | frozenset() | tuple():
            return {"$": type(value).__name__, "v": [to_js(item) for item in value]}
        case dt.timedelta():
            return {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
        case dt.datetime() | dt.date() | dt.time():
            return {"$": type(value).__name__, "v": value.isoformat()}
        case complex():
            return {"$": "complex", "v": [value.real, value.imag]}
    return {"$": type(value).__name__, "v": str(value)}
