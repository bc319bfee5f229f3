"""What a structure knows of the other devices that have it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tinysync.storage.devices_file import Noted
from tinysync.tracker.authors import Authors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinysync.model import DeviceId
    from tinysync.status import KnownDevice
    from tinysync.storage.devices_file import DevicesFile

logger = logging.getLogger("tinysync")


class KnownDevices:
    """The devices that a structure was shared with, and what each has confirmed; used from any thread.

    ``file`` keeps it over restarts; None: nothing does. ``here`` identifies this device's own state folder.
    """

    def __init__(self, here: DeviceId, file: DevicesFile | None = None) -> None:
        self.here = here
        self._file = file
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        noted = file.read() if file is not None else Noted({}, {}, {})
        self._known: dict[DeviceId, KnownDevice] = noted.devices
        self.authors = Authors(noted.authors)
        """Who wrote the structure."""
        self._saved_authors = 0
        self._unsaved: dict[DeviceId, KnownDevice] = {}
        self._unreached: dict[object, dict[str, str]] = {}
        """The addresses where nobody is found, and why, by who tries to connect."""
        self._saved_unreached: dict[str, str] = {}

    def all(self) -> list[KnownDevice]:
        """Return what is known of each."""
        with self._lock:
            return list(self._known.values())

    def note(self, device: KnownDevice) -> None:
        """Note how far a device is; ``save`` makes it last.

        One without a link is known already, or was forgotten while its link ended: then it stays forgotten.
        """
        with self._lock:
            if device.linked or device.replica in self._known:
                self._known[device.replica] = self._unsaved[device.replica] = device

    def note_unreached(self, source: object, addresses: Mapping[str, str]) -> bool:
        """Note where ``source`` finds nobody, and why; ``save`` makes it last. Return whether that is news."""
        with self._lock:
            if self._unreached.get(source, {}) == addresses:
                return False
            self._unreached.pop(source, None)
            if addresses:
                self._unreached[source] = dict(addresses)
            return True

    def forget(self, device: KnownDevice) -> None:
        """Forget a device without a link here; raises UsageError if another process has one, and StorageError."""
        # What is being written just now may be about it.
        with self._saving:
            if self._file is not None:
                self._file.forget(device)
            self._drop({device.replica})

    def look(self) -> bool:
        """Forget whom another process has taken out of the file; return whether there was somebody."""
        with self._saving:
            if self._file is None or (there := self._file.news()) is None:
                return False
            with self._lock:
                gone = self._known.keys() - there - self._unsaved.keys()
            self._drop(gone)
            return bool(gone)

    def _drop(self, gone: Iterable[DeviceId]) -> None:
        with self._lock:
            for replica in gone:
                self._known.pop(replica, None)
                self._unsaved.pop(replica, None)

    def save(self) -> None:
        """Write what was noted since, if there is a file; what fails is logged and tried again the next time."""
        if self._file is None:
            return
        with self._saving:
            with self._lock:
                unsaved, self._unsaved = self._unsaved, {}
                unreached = {url: why for told in self._unreached.values() for url, why in told.items()}
            authors = self.authors.learned
            if not unsaved and unreached == self._saved_unreached and authors == self._saved_authors:
                return
            try:
                self._file.write(unsaved.values(), unreached, self.authors.others())
                self._saved_unreached, self._saved_authors = unreached, authors
            except OSError as error:
                logger.info("Could not note what other devices have confirmed: %s", error)
                with self._lock:
                    self._unsaved = {**unsaved, **self._unsaved}

    def close(self) -> None:
        """Save, and give the file free; nothing is saved after that."""
        with self._lock:
            self._unreached.clear()
        self.save()
        with self._saving:
            if self._file is not None:
                self._file.close()
                self._file = None
