"""Which devices of a group are allowed to link, where not all of them are: fingerprints with names, in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tinysync.errors import InvalidFingerprint, StorageError, UsageError
from tinysync.group.files import locked, read_own, user_folder, write_own
from tinysync.group.fingerprint import parse_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = "# Devices that may link: the fingerprint that a device shows, then a name for people.\n"


class AllowedDevices:
    """The devices that a peer links to: a fixed list of fingerprints, or those in a file.

    The file is read again when it has changed, so a device can be paired while a peer is running. One that is not
    there allows nobody yet.
    """

    def __init__(self, allow: str | os.PathLike[str] | Iterable[str]) -> None:
        """Take fingerprints or the path of their file; raises InvalidFingerprint and StorageError."""
        self._path: Path | None = None
        self._stamp: tuple[int, int, int] | None = None
        if isinstance(allow, str | os.PathLike):
            self._path = Path(allow)
            self._fingerprints = self._read()
        else:
            self._fingerprints = {parse_fingerprint(fingerprint) for fingerprint in allow}

    def __contains__(self, fingerprint: str) -> bool:
        """Tell whether a device is allowed; raises InvalidFingerprint and StorageError for a damaged file."""
        if self._path is not None and _stamp(self._path) != self._stamp:
            self._fingerprints = self._read()
        return fingerprint in self._fingerprints

    def how_to_allow(self, fingerprint: str) -> str:
        """Say what a program writes to have a device in the list."""
        if self._path is None:
            return f"write {fingerprint!r} into the list given as allow="
        place = "" if self._path == default_allowed_path() else f", {str(self._path)!r}"
        return f"pair it: tinysync.pair({fingerprint!r}, 'its name'{place})"

    def _read(self) -> set[str]:
        assert self._path is not None
        # Taken first: a change meanwhile is seen the next time.
        stamp = _stamp(self._path)
        found = set(read_allowed(self._path))
        self._stamp = stamp
        return found


def default_allowed_path() -> Path:
    """Return where this user's list of allowed devices is kept, as ``~/.config/tinysync/allowed`` on Linux.

    ``pair`` and 'tinysync pair' write to it if no other file is given; it counts where it is given to a
    ``Peer(allow=...)``.
    """
    return user_folder("config") / "allowed"


def read_allowed(path: Path) -> dict[str, str]:
    """Return the names of the devices in a list by their fingerprints; raises InvalidFingerprint, StorageError."""
    found = {}
    for number, line in enumerate((read_own(path, secret=False) or "").splitlines(), 1):
        words = _words(line)
        if not words:
            continue
        try:
            found[parse_fingerprint(words[0])] = words[1].strip() if len(words) > 1 else ""
        except InvalidFingerprint as error:
            raise InvalidFingerprint(f"{path}, line {number}: {error}") from None
    return found


def pair(fingerprint: str, name: str, allowed: str | os.PathLike[str] | None = None) -> str:
    """Allow a device: add its fingerprint, with a name for people, to a list of allowed devices.

    ``fingerprint`` is what the other device shows as its ``Peer.fingerprint``: read it there, or have it read to
    you, and do the same on the other device with this one's. ``allowed`` is the file that ``Peer(allow=...)`` was
    given, by default the user's own, ``default_allowed_path()``; a running peer sees the change. Returns the
    fingerprint as it is written. Pairing a device twice gives it the new name. Raises InvalidFingerprint,
    UsageError for a name with a line end or a '#', and StorageError.
    """
    device = parse_fingerprint(fingerprint)
    if name != " ".join(name.split()) or not name or "#" in name or not name.isprintable():
        raise UsageError(f"the name of a device is a word or a few, without '#': not {name!r}")
    path = Path(allowed) if allowed is not None else default_allowed_path()
    with locked(path):
        known = read_allowed(path)
        text = read_own(path, secret=False) or _HEAD
        lines = [line for line in text.splitlines() if device not in known or not _names(line, device)]
        write_own(path, "".join(f"{line}\n" for line in [*lines, f"{device}  {name}"]))
    return device


def _words(line: str) -> list[str]:
    """Return the fingerprint and the name in a line, as far as there are some before a comment."""
    return line.partition("#")[0].split(maxsplit=1)


def _names(line: str, device: str) -> bool:
    words = _words(line)
    return bool(words) and parse_fingerprint(words[0]) == device


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    return status.st_mtime_ns, status.st_size, status.st_ino
