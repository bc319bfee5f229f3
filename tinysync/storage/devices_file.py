"""What a structure knows of other devices, and under which client ids each writes: a file in its state folder.

It is a note, not part of the state: where it is missing or behind, more counts as unconfirmed than is, until the
devices meet. Several processes may have it open; of each device, the latest note counts, and of each client id the
first. Each has its own note of the addresses where it finds nobody, which holds while it runs.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tinysync.errors import UsageError
from tinysync.model import Author, DeviceId
from tinysync.status import Coverage, KnownDevice, Progress
from tinysync.storage.atomic import replace_file
from tinysync.storage.failures import storage_errors
from tinysync.storage.lock import FileLock
from tinysync.storage.sessions import read_signs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

logger = logging.getLogger("tinysync")

FILE: Final = "peers"
MAX_DEVICES: Final = 1000
"""Of more the file keeps those that were seen last."""
MAX_AUTHORS: Final = 10_000
"""Of more client ids the file keeps the authors of the latest."""
_VERSION: Final = 1
_MAX_SESSIONS: Final = 8
_ATTEMPTS: Final = 20
_WAIT: Final = 0.01


class Noted(NamedTuple):
    """What a file holds."""

    devices: dict[DeviceId, KnownDevice]
    unreached: dict[str, dict[str, str]]
    """The addresses where a session found nobody, and why, by session; some may have ended."""
    authors: dict[int, Author]
    """Which other device writes under a client id."""


class DevicesFile:
    """The file ``peers`` of a state folder; ``session`` is who writes to it."""

    def __init__(self, folder: Path, session: str = "") -> None:
        self._path = folder / FILE
        self._session = session
        self._lock = FileLock(folder / f"{FILE}.lock")
        self._stamp: tuple[int, int, int] | None = None

    def read(self) -> Noted:
        """Return what the file holds; nothing if there is none, or, with a warning in the log, it is damaged."""
        try:
            return load_devices(self._path)
        except FileNotFoundError:
            return Noted({}, {}, {})
        except UNREADABLE as error:
            logger.warning(
                "%s cannot be read (%s): what other devices have confirmed counts as unconfirmed until they are"
                " connected",
                self._path,
                error,
            )
            return Noted({}, {}, {})

    def news(self) -> set[DeviceId] | None:
        """Return who is in the file if it was written since this was asked; None: it was not, or is damaged."""
        try:
            found = self._path.stat()
            stamp = found.st_ino, found.st_mtime_ns, found.st_size
            if stamp == self._stamp:
                return None
            noted = _load(self._path)
        except UNREADABLE:
            return None
        self._stamp = stamp
        return None if noted is None else set(noted.devices)

    def write(
        self,
        devices: Iterable[KnownDevice],
        unreached: Mapping[str, str] | None = None,
        authors: Mapping[int, Author] | None = None,
    ) -> None:
        """Bring notes into the file, in one step; raises OSError. Another process that hangs is not waited for.

        ``unreached`` are the addresses where this session finds nobody, and why; None: they are as noted.
        """
        with self._alone():
            merged, addresses, known_authors = self.read()
            for device in devices:
                known = merged.get(device.replica)
                newer = known is None or _time(known) <= _time(device)
                merged[device.replica] = self._with_sessions(device if newer else known or device, device, known)
            if unreached is not None:
                addresses.pop(self._session, None)
                if unreached:
                    addresses[self._session] = dict(unreached)
            self._replace(Noted(merged, addresses, {**(authors or {}), **known_authors}))

    def forget(self, device: KnownDevice) -> None:
        """Take a device out; raises UsageError if another session that lives has a link to it; StorageError."""
        advice = "See that the folder is there and writable."
        with storage_errors(f"forget {device.name} in", self._path, advice), self._alone():
            noted = self.read()
            known = noted.devices.pop(device.replica, None)
            alive = {sign.session for sign in read_signs(self._path.parent) if sign.lives} - {self._session}
            if known is not None and alive.intersection(known.sessions):
                raise UsageError(
                    f"{known.name} is linked with another program that has this open, so it would be met again at"
                    " once; it can be forgotten a few seconds after it went offline"
                )
            self._replace(noted)

    def close(self) -> None:
        """Give the file free."""
        self._lock.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else write meanwhile."""
        for _ in range(_ATTEMPTS):
            if self._lock.try_acquire():
                break
            time.sleep(_WAIT)
        else:
            raise BlockingIOError(f"another process holds {self._path}")
        try:
            yield
        finally:
            self._lock.release()

    def _replace(self, noted: Noted) -> None:
        latest = sorted(noted.devices.values(), key=_time)[-MAX_DEVICES:]
        content = {
            "version": _VERSION,
            "devices": {device.replica: _entry(device) for device in latest},
            "unreached": dict(list(noted.unreached.items())[-_MAX_SESSIONS:]),
            **({"authors": _packed_authors(noted.authors)} if noted.authors else {}),
        }
        replace_file(self._path, json.dumps(content, indent=1).encode(), "os")

    def _with_sessions(self, device: KnownDevice, noted: KnownDevice, known: KnownDevice | None) -> KnownDevice:
        """Return a device with those who have a link to it, as this session notes whether it has one."""
        others = [name for name in (known.sessions if known else ()) if name != self._session]
        own = [self._session] if noted.linked and self._session else []
        # Of those that were killed nobody takes the name away.
        return replace(device, sessions=(*others, *own)[-_MAX_SESSIONS:])


UNREADABLE: Final = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""What ``load_devices`` raises where the file is damaged."""


def load_devices(path: Path) -> Noted:
    """Return what a file holds, nothing if it is of another version; raises one of UNREADABLE."""
    return _load(path) or Noted({}, {}, {})


def _load(path: Path) -> Noted | None:
    """Return what a file holds, None if it is of another version."""
    content = json.loads(path.read_bytes())
    if content["version"] != _VERSION:
        return None
    unreached = {
        str(session): {str(url): str(reason) for url, reason in told.items()}
        for session, told in content.get("unreached", {}).items()
    }
    devices = {DeviceId(name): _known(name, entry) for name, entry in content["devices"].items()}
    return Noted(devices, unreached, _unpacked_authors(content.get("authors", [])))


def _time(device: KnownDevice) -> float:
    return device.seen.timestamp() if device.seen is not None else 0.0


def _entry(device: KnownDevice) -> dict[str, Any]:
    return {
        "name": device.name,
        "fingerprint": device.fingerprint,
        "address": device.address,
        "seen": _time(device),
        "clocks": _packed(device.coverage.clocks),
        "deleted": device.coverage.deleted,
        "told": _packed(device.told.clocks),
        "receiving": device.receiving and [device.receiving.done, device.receiving.total],
        "sessions": list(device.sessions),
        "differs": device.differs,
        "refused": device.refused,
    }


def _known(replica: str, entry: dict[str, Any]) -> KnownDevice:
    receiving = entry.get("receiving")
    return KnownDevice(
        DeviceId(replica),
        str(entry["name"]),
        entry["fingerprint"],
        entry["address"],
        datetime.fromtimestamp(entry["seen"], UTC),
        Coverage(_unpacked(entry["clocks"]), int(entry["deleted"])),
        Coverage(_unpacked(entry.get("told", ""))),
        receiving and Progress(*map(int, receiving)),
        sessions=tuple(map(str, entry.get("sessions", ()))),
        differs=bool(entry.get("differs", False)),
        refused=str(entry.get("refused", "")),
    )


def _packed(clocks: Mapping[int, int]) -> str:
    packed = b"".join(client.to_bytes(8, "big") + clock.to_bytes(4, "big") for client, clock in clocks.items())
    return base64.b64encode(packed).decode()


def _unpacked(text: str) -> dict[int, int]:
    packed = base64.b64decode(text, validate=True)
    return {
        int.from_bytes(packed[at : at + 8], "big"): int.from_bytes(packed[at + 8 : at + 12], "big")
        for at in range(0, len(packed), 12)
    }


def _packed_authors(authors: Mapping[int, Author]) -> list[dict[str, str]]:
    by_author: dict[Author, list[bytes]] = {}
    for client in sorted(authors)[-MAX_AUTHORS:]:
        by_author.setdefault(authors[client], []).append(client.to_bytes(8, "big"))
    return [
        {"replica": author.replica, "name": author.name, "clients": base64.b64encode(b"".join(clients)).decode()}
        for author, clients in by_author.items()
    ]


def _unpacked_authors(entries: Iterable[Mapping[str, Any]]) -> dict[int, Author]:
    authors: dict[int, Author] = {}
    for entry in entries:
        author = Author(DeviceId(str(entry["replica"])), str(entry["name"]))
        packed = base64.b64decode(entry["clients"], validate=True)
        for at in range(0, len(packed), 8):
            authors[int.from_bytes(packed[at : at + 8], "big")] = author
    return authors
