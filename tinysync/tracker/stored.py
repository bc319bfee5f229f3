"""A structure as it lies on disk, read without opening it: nothing is written, whoever has it open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.check import check_update
from tinysync.crdt.seed import kind_cell
from tinysync.crdt.values import KINDS
from tinysync.errors import BadUpdate, StorageError, UsageError
from tinysync.model import NOT_KEPT, DeviceId
from tinysync.status import NOT_CONNECTED, Coverage, KnownDevice, Reached, SyncStatus, all_devices, status_of
from tinysync.storage.devices_file import DevicesFile
from tinysync.storage.failures import storage_errors
from tinysync.storage.history import read_history
from tinysync.storage.inspection import DEVICE_ID, inspect_folder
from tinysync.storage.kept_as import kept_as
from tinysync.storage.oplog import FileOpLog
from tinysync.storage.regular import check_all_end
from tinysync.storage.sessions import read_signs
from tinysync.tracked.plain import plain
from tinysync.tracker.disk import retention, updates_of
from tinysync.tracker.history import entries_of, state_of
from tinysync.tracker.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tinysync.crdt.document import Document
    from tinysync.model import History, HistoryEntry, Kind
    from tinysync.status import DeviceStatus
    from tinysync.storage.inspection import Inspection
    from tinysync.storage.names import Paths
    from tinysync.storage.sessions import Sign

_NOT_OPEN: Final = "no program has it open here"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a state folder holds at the moment of reading; ``read_stored`` returns it."""

    name: str
    paths: Paths
    device: DeviceId
    """This device's id; empty if it is not known."""
    inspection: Inspection
    signs: list[Sign]
    """The sessions that have it open, and those that were killed."""

    @property
    def updates(self) -> list[bytes]:
        """All updates."""
        return [update for record in self.inspection.contents.records for update in record.updates]

    @property
    def kind(self) -> Kind:
        """What the structure is; raises StorageError if the updates do not say it."""
        return kind_of_updates(self.updates, self.paths)

    def document(self) -> Document:
        """Return a document of what is there; raises StorageError if it cannot be used."""
        return scratch(self.kind, self.updates)

    def value(self) -> Any:
        """Return the plain structure."""
        return plain(self.document().root.container)

    def history(self) -> Sequence[HistoryEntry]:
        """Return the versions that are kept, as ``tracker(x).history()`` does."""
        return entries_of(self._past(), self.kind)

    def at(self, version: int | datetime) -> Any:
        """Return the plain structure as it was, as ``tracker(x).at()`` does."""
        return state_of(self._past(), self.kind, version)

    def _past(self) -> Any:
        with storage_errors("read the history in", self.paths.state, "See that the folder is there and readable."):
            return read_history(self.paths.state, self.inspection.contents)

    def seen_now(self) -> Stored:
        """Return it with the sessions that have it open now."""
        with storage_errors("read", self.paths.state, "See that the folder is there and readable."):
            return replace(self, signs=read_signs(self.paths.state))

    def status(self, here: Coverage | None = None) -> SyncStatus:
        """Return how far the other devices are: those that are remembered, and who has a link to them now.

        And the addresses where those that have it open now find nobody. ``here`` is what the document holds, if
        that is known already. Whether what a connected device held is here only the program knows that has the
        link; here it counts as in step if it has confirmed everything, and nothing that it said to hold is
        missing.
        """
        if here is None:
            here = self.document().coverage()
        alive = {sign.session for sign in self.signs if sign.lives}
        known, addresses, _ = DevicesFile(self.paths.state).read()
        reached = Reached(
            [_linked(device, here) for device in known.values() if alive.intersection(device.sessions)],
            {
                url: (KnownDevice(NOT_KEPT, address=url), reason)
                for session in alive.intersection(addresses)
                for url, reason in addresses[session].items()
            },
        )
        devices = all_devices(here, known.values(), [reached])
        if not alive:
            devices = tuple(
                replace(each, reason=_NOT_OPEN) if each.reason == NOT_CONNECTED else each for each in devices
            )
        return SyncStatus(self.name, devices)


def _linked(device: KnownDevice, here: Coverage) -> DeviceStatus:
    """Return the status of a device that a program has a link to."""
    status = status_of(device, here, reason=device.refused)
    if device.refused:
        return replace(status, refused=True)
    return replace(status, connected=True, synced=_in_step(status))


def _in_step(device: DeviceStatus) -> bool:
    return not device.pending and not device.missing and device.receiving is None


def read_stored(name: str, paths: Paths) -> Stored:
    """Read what is kept of a structure, wherever it is open; raises StorageError.

    Raises UsageError if it has no document: it is kept in a database, or a file that holds any Python object.
    """
    suffix = kept_as(paths)
    if suffix is not None:
        raise UsageError(
            f"{name!r} is kept in a file that ends in {suffix}, without a document: it has no history and no other"
            " devices"
        )
    with storage_errors("read", paths.state, "See that the folder is there and readable."):
        check_all_end(paths.state)
        signs = read_signs(paths.state)
        stored = Stored(name, paths, read_device(paths), inspect_folder(paths.state), signs)
    for damaged in stored.inspection.damaged:
        if damaged.damage == "unreadable":
            raise StorageError(
                f"Could not read {paths.state / damaged.name}: it {damaged.text}. 'tinysync doctor' says more."
            )
    if not stored.inspection.contents.records:
        problems = [f"{damaged.name} cannot be read" for damaged in stored.inspection.damaged]
        problem = "; ".join(problems) or "it is empty"
        raise StorageError(f"{paths.state} holds no state of {name!r}: {problem}. 'tinysync doctor' says more.")
    return stored


def compact_stored(stored: Stored, history: History) -> bool:
    """Compact the op log of a structure, which may be open elsewhere; return False if that cannot be done.

    It cannot while changes are missing that others build on. Raises StorageError.
    """
    log = FileOpLog(stored.paths, retention=retention(history))
    try:
        document = scratch(stored.kind, updates_of(log.open().records))
        if not document.is_complete():
            return False
        (update,) = document.diff()
        log.compact(update, document.prepare())
    finally:
        log.close()
    return True


def forget_stored(stored: Stored, device: DeviceStatus) -> None:
    """Forget a device, wherever the structure is open; raises UsageError if it is linked, and StorageError."""
    file = DevicesFile(stored.paths.state)
    try:
        for known in file.read().devices.values():
            if known.replica == device.id:
                file.forget(known)
    finally:
        file.close()


def read_device(paths: Paths) -> DeviceId:
    """Return the id in a state folder, or an empty one if there is none, or no whole one. Raises OSError."""
    try:
        text = (paths.state / "device").read_bytes()
    except FileNotFoundError:
        return DeviceId("")
    return DeviceId(text.decode().strip() if DEVICE_ID.fullmatch(text) else "")


def kind_of_updates(updates: list[bytes], paths: Paths) -> Kind:
    """Return the kind of the structure that updates lead to; raises StorageError if they cannot be used."""
    try:
        for update in updates:
            meta = check_update(update).meta
            for kind in KINDS:
                if ("kind", kind_cell(kind)) in meta:
                    return kind
    except BadUpdate as error:
        raise StorageError(f"the state in {paths.state} cannot be used: {error}") from error
    raise StorageError(f"the state in {paths.state} does not say what it is: its first changes are missing.")
