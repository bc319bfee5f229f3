"""Who has what: how far other devices are, as plain data that can be printed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinysync.model import DeviceId


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a replica holds, in short. Both parts only ever grow, so equal ones mean equal documents.

    ``clocks`` is its state vector, ``deleted`` how many of its elements are deleted, which that does not show.
    """

    clocks: Mapping[int, int] = field(default_factory=dict)
    deleted: int = 0

    def lacking(self, other: Coverage) -> int:
        """Return how many changes of ``other`` are not in this one.

        An entry that is written counts as one, whether it was there or not, and so does one that is removed.
        """
        written = sum(max(0, end - self.clocks.get(client, 0)) for client, end in other.clocks.items())
        return max(written, other.deleted - self.deleted, 0)

    def joined(self, other: Coverage) -> Coverage:
        """Return what a replica holds at least that holds both."""
        ends = {client: max(end, self.clocks.get(client, 0)) for client, end in other.clocks.items()}
        return Coverage({**self.clocks, **ends}, max(self.deleted, other.deleted))

    @property
    def size(self) -> int:
        """How many changes it holds."""
        return Coverage().lacking(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of something long has arrived, in bytes of what is sent."""

    done: int
    total: int

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    def __add__(self, other: Progress) -> Progress:
        """Return how much of both has arrived."""
        return Progress(self.done + other.done, self.total + other.total)

    def __str__(self) -> str:
        return f"{self.done / 1e6:.1f} of {self.total / 1e6:.1f} MB"


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """What one structure knows of another device that has it, and keeps over restarts."""

    replica: DeviceId
    """Identifies the state folder that the other device keeps the structure in; empty: it keeps nothing."""
    name: str = ""
    fingerprint: str | None = None
    address: str | None = None
    """Where this device connects to, to reach it; None if it is the one that connects."""
    seen: datetime | None = None
    coverage: Coverage = field(default_factory=Coverage)
    """What it has confirmed to hold in its op log, of what is here."""
    told: Coverage = field(default_factory=Coverage)
    """What it said to hold in its op log when it was met last, here or not; it does not say what is deleted."""
    receiving: Progress | None = None
    """How much had come of the much that this device lacked, while the rest has not come."""
    linked: bool = False
    """Whether this process has a link to it."""
    sessions: tuple[str, ...] = ()
    """The sessions, of this process and others, that noted a link to it: while one of them lives, there is one."""
    differs: bool = False
    """Whether it was found to hold something else although it has the same updates."""
    refused: str = ""
    """Why the two could not share the structure when they were linked last; empty: they could."""

    @property
    def held(self) -> Coverage:
        """What it surely holds."""
        return self.coverage.joined(self.told)


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """How far one other device is with one structure, or for ``peer.status()`` with all.

    name: as it calls itself; empty if it was never met.
    id: identifies its state folder for good; None if it keeps nothing on disk, was never met, or is told about for
      several structures.
    fingerprint: that of its key, in a group; else None.
    address: what this device connects to, to reach it; None if it is the one that connects.
    connected: whether there is a link over which the structure is shared.
    refused: whether there is a link, and one of the two refuses the structure.
    unshared: whether there is a link, and the other device does not share the structure.
    last_seen: when it was last heard of (aware, UTC); now, while it is linked; None if it was never met.
    pending: how many changes it has not confirmed: an entry written or removed is one. It holds what came from it.
    missing: how many changes it said to hold, when it was met last, that this device lacks.
    acked: how many it has confirmed, of all that the structure's history holds.
    durable: it has confirmed all that is here, and holds it on its disk.
    synced: it is connected and has confirmed all that is here, and what it held when it was asked is here.
    reason: why it is not connected, or why it is refused, or was when the two met last, in words; else empty.
      ``remarks`` adds what is missing.
    receiving: how much has come of the much that this device lacked when the two met: while it comes, and when it
      is not connected any more, until all has come, from this device or another.
    sending: how much that device has taken of the much that it lacked.
    """

    name: str
    id: DeviceId | None = None
    fingerprint: str | None = None
    address: str | None = None
    connected: bool = False
    last_seen: datetime | None = field(default=None, compare=False)
    pending: int = 0
    acked: int = 0
    durable: bool = False
    synced: bool = False
    reason: str = ""
    receiving: Progress | None = None
    sending: Progress | None = None
    refused: bool = False
    unshared: bool = False
    missing: int = 0

    @property
    def linked(self) -> bool:
        """Whether there is a link to it, whatever is shared over it."""
        return self.connected or self.refused or self.unshared

    @property
    def state(self) -> str:
        """How far it is, in a word or two: in step, connected, not shared, refused, offline, or receiving 20%."""
        ways = (("receiving", self.receiving if self.connected else None), ("sending", self.sending))
        if moving := [f"{way} {one.fraction:.0%}" for way, one in ways if one is not None]:
            return ", ".join(moving)
        words = {"in step": self.synced, "refused": self.refused, "not shared": self.unshared}
        words["connected"] = self.connected
        return next((word for word, holds in words.items() if holds), "offline")

    @property
    def remarks(self) -> str:
        """The reason, and what this device lacks of what it holds, in words; empty if there is nothing to say."""
        behind = ""
        if not self.connected and self.receiving is not None:
            behind = f"this device is behind: {self.receiving} received"
        elif not self.connected and self.missing:
            behind = f"this device is behind: it lacks {self.missing} change{'s' if self.missing != 1 else ''}"
        return "; ".join(filter(None, (self.reason, behind)))

    def __str__(self) -> str:
        return _table([self])

    def _cells(self) -> tuple[str, ...]:
        seen = self.last_seen.astimezone().strftime("%Y-%m-%d %H:%M:%S") if self.last_seen else "never"
        return (
            self.name or self.address or "?",
            self.state,
            "now" if self.linked else seen,
            str(self.pending),
            "yes" if self.durable else "no",
            self.remarks,
        )


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """How far the other devices are with one structure: ``tracker(x).status()``. Printed, it is a table."""

    name: str | None
    devices: tuple[DeviceStatus, ...] = ()

    @property
    def synced(self) -> bool:
        """Whether there are other devices, all of them in step; not while this one is known to be behind."""
        return bool(self.devices) and all(device.synced for device in self.devices)

    @property
    def missing(self) -> int:
        """How many changes this device is known to lack of what another one holds."""
        return max((device.missing for device in self.devices), default=0)

    @property
    def durable(self) -> bool:
        """Whether at least one other device has all that is here on its disk."""
        return any(device.durable for device in self.devices)

    @property
    def pending(self) -> int:
        """How many changes the device that is furthest behind has not confirmed; 0 if there is no other one."""
        return max((device.pending for device in self.devices), default=0)

    def __str__(self) -> str:
        return _titled(self.name or "a structure without a name", self.devices)


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """How far the other devices are with all structures of a peer: ``peer.status()``. Printed, it is a table.

    ``devices`` has one entry for each device, ``structures`` the status of each structure.
    """

    device: str
    url: str | None = None
    fingerprint: str | None = None
    devices: tuple[DeviceStatus, ...] = ()
    structures: tuple[SyncStatus, ...] = ()

    @property
    def synced(self) -> bool:
        """Whether there are other devices, and all of them are in step with every structure."""
        return bool(self.devices) and all(device.synced for device in self.devices)

    @property
    def pending(self) -> int:
        """How many changes the device that is furthest behind has not confirmed."""
        return max((device.pending for device in self.devices), default=0)

    def __str__(self) -> str:
        return _titled(self.device, self.devices)


NOT_CONNECTED: Final = "it is not connected"
"""The reason where there is no other one."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_TITLES = ("device", "state", "last seen", "pending", "durable", "reason")


def _table(devices: Iterable[DeviceStatus]) -> str:
    rows = [_TITLES, *[device._cells() for device in devices]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    return "\n".join(lines)


def _titled(title: str, devices: Sequence[DeviceStatus]) -> str:
    return f"{title}:\n{_table(devices)}" if devices else f"{title}: no other devices"


def status_of(known: KnownDevice, here: Coverage, *, reason: str) -> DeviceStatus:
    """Return the status of a device that is not connected."""
    pending = known.held.lacking(here)
    return DeviceStatus(
        known.name,
        known.replica or None,
        known.fingerprint,
        known.address,
        last_seen=known.seen,
        pending=pending,
        acked=here.size - pending,
        durable=bool(known.replica) and not pending,
        reason=reason,
        receiving=known.receiving,
        missing=here.lacking(known.held),
    )


@dataclass(slots=True)
class Reached:
    """What a peer knows of the devices that have a document."""

    linked: list[DeviceStatus] = field(default_factory=list)
    unreached: dict[str, tuple[KnownDevice, str]] = field(default_factory=dict)
    """Of each address where there is no link, who was met there last, and why there is none; empty: unknown."""


def all_devices(
    here: Coverage, known: Iterable[KnownDevice], reached: Iterable[Reached]
) -> tuple[DeviceStatus, ...]:
    """Return the status of all devices: those linked, those at addresses, and those that are only known."""
    found: dict[object, DeviceStatus] = {}
    by_id = {device.replica: device for device in known}
    reached = list(reached)
    for status in (status for one in reached for status in one.linked):
        key = status.id or (status.address, status.name, len(found))
        other = found.get(key)
        if other is None or (status.connected, status.synced) > (other.connected, other.synced):
            found[key] = status
    for url, (met, reason) in ((url, told) for one in reached for url, told in one.unreached.items()):
        there = [device for device in by_id.values() if device.address == url and device.replica not in found]
        latest = max(there, key=lambda device: device.seen or _NEVER, default=met)
        device = by_id.get(met.replica, latest)
        # One that has several addresses is told about once.
        found.setdefault(device.replica or url, status_of(device, here, reason=reason or _why_not(device)))
    for replica, device in by_id.items():
        if replica not in found:
            found[replica] = status_of(device, here, reason=_why_not(device))
    return tuple(sorted(found.values(), key=lambda one: (not one.linked, one.name, one.address or "")))


def _why_not(device: KnownDevice) -> str:
    """Return why there is no link, as far as that is remembered."""
    return device.refused or NOT_CONNECTED


def together(statuses: Sequence[SyncStatus]) -> tuple[DeviceStatus, ...]:
    """Return one status for each device, of those for each structure."""
    found: dict[tuple[str | None, ...], DeviceStatus] = {}
    for status in statuses:
        for one in status.devices:
            key = (one.fingerprint, one.name or one.address)
            other = found.get(key)
            found[key] = replace(one, id=None) if other is None else _both(other, one)
    return tuple(found[key] for key in sorted(found, key=str))


def _both(one: DeviceStatus, other: DeviceStatus) -> DeviceStatus:
    return replace(
        one,
        address=one.address or other.address,
        connected=one.connected or other.connected,
        last_seen=max((one.last_seen, other.last_seen), key=lambda seen: seen or _NEVER),
        pending=one.pending + other.pending,
        missing=one.missing + other.missing,
        acked=one.acked + other.acked,
        durable=one.durable and other.durable,
        synced=one.synced and other.synced,
        reason=one.reason or other.reason,
        refused=one.refused or other.refused,
        unshared=one.unshared or other.unshared,
        receiving=_sum(one.receiving, other.receiving),
        sending=_sum(one.sending, other.sending),
    )


def _sum(one: Progress | None, other: Progress | None) -> Progress | None:
    return one + other if one is not None and other is not None else one or other
