"""For the tests of programs that use tinysync: a simulated mesh of devices, and pytest fixtures.

    pytest_plugins = ["tinysync.testing"]  # in conftest.py

    def test_both_keep_what_they_added(tinysync_mesh):
        laptop, phone = tinysync_mesh.device("laptop"), tinysync_mesh.device("phone")
        ours, theirs = laptop.track({"tasks": []}, "todo"), phone.track({"tasks": []}, "todo")
        tinysync_mesh.partition([laptop], [phone])
        ours.tasks.append("milk")
        theirs.tasks.append("bread")
        tinysync_mesh.heal()
        tinysync_mesh.settle()
        assert ours == theirs
        assert sorted(ours.tasks) == ["bread", "milk"]

The devices are real peers with real documents, in this process; only the network between them is simulated: there
are no sockets.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tinysync.api import track, tracker
from tinysync.crdt.check import check_state_vector
from tinysync.errors import SyncTimeout, UsageError
from tinysync.peer import Peer
from tinysync.tracker.registry import open_replicas
from tinysync.transport.memory import MemoryNetwork, MemoryTransport

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator
    from types import TracebackType
    from typing import Self

    from tinysync.tracker import Tracker
    from tinysync.transport.link import Transport

_POLL_SECONDS: Final = 0.002


class _SimulatedPeer(Peer):
    def __init__(self, network: MemoryNetwork, address: str, others: list[str], device: str) -> None:
        self._network = network
        self._address = address
        super().__init__(listen=address, connect=others, device=device)

    def _make_transport(self, _security: object) -> Transport:
        return MemoryTransport(self._limits.max_frame, self._network, str(self._address))


class Device:
    """A device of a ``Mesh``; made by ``Mesh.device``."""

    def __init__(self, name: str, peer: Peer, folder: Path | None) -> None:
        self.name = name
        self.peer = peer
        """Its ``Peer``; ``track(..., sync=device.peer)`` works too."""
        self.folder = folder
        """Where its structures are kept, or None."""
        self.trackers: list[Tracker] = []
        """The handles of the structures that were tracked through ``track``."""

    def __repr__(self) -> str:
        return f"<Device {self.name!r}>"

    def track(self, structure: Any, name: str, **options: Any) -> Any:
        """Track a structure on this device and share it; takes the options of ``tinysync.track`` but sync=."""
        place: dict[str, Any] = {"persist": False} if self.folder is None else {"folder": self.folder}
        tracked = track(structure, name, **{**place, **options, "sync": self.peer})
        handle = tracker(tracked)
        if handle not in self.trackers:
            self.trackers.append(handle)
        return tracked

    def close(self) -> None:
        """Switch the device off: close its structures and its peer. What is kept can be tracked again later."""
        for handle in self.trackers:
            handle.close()
        self.peer.close()


class Mesh:
    """Devices that are all linked with each other, until they are partitioned.

    folder: where each device has a folder of its own; without one, nothing is kept on disk.

    A context manager that closes all devices.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._network = MemoryNetwork()
        self._devices: dict[str, Device] = {}
        self._addresses: dict[str, str] = {}
        self._groups: list[set[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def device(self, name: str) -> Device:
        """Switch on a device; one of that name that was closed comes back, with what it had kept.

        Raises UsageError if it is on already.
        """
        known = self._devices.get(name)
        if known is not None and not known.peer.closed:
            raise UsageError(f"the device {name!r} is switched on already")
        address = self._addresses.setdefault(name, f"ws://127.0.0.1:{len(self._addresses) + 1}")
        others = [self._addresses[other.name] for other in self._on() if other.name != name]
        peer = _SimulatedPeer(self._network, address, others, name)
        folder = None if self._folder is None else self._folder / name
        device = self._devices[name] = Device(name, peer, folder)
        return device

    def _on(self) -> list[Device]:
        return [device for device in self._devices.values() if not device.peer.closed]

    def partition(self, *groups: Collection[Device]) -> None:
        """Let the devices of each group reach only each other; those in no group are a group of their own."""
        self._groups = [{device.name for device in group} for group in groups]
        named = [name for group in self._groups for name in group]
        if len(named) != len(set(named)):
            raise UsageError("a device can be in one group only")
        self._network.partition(*[{self._addresses[name] for name in group} for group in self._groups])

    def heal(self) -> None:
        """Let all devices reach each other again."""
        self.partition()
        for device in self._on():
            device.peer.reconnect()

    def settle(self, timeout: float = 10.0) -> None:
        """Return once all devices that can reach each other hold the same of every name that they share.

        Changes of other devices that ``dispatch=`` brings to another thread must be applied there meanwhile.
        Raises SyncTimeout, naming what differs, after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            different = [name for same in self._shared() for name in self._different(same)]
            if not different:
                return
            if time.monotonic() >= deadline:
                raise SyncTimeout(f"the devices do not agree after {timeout:g} s: {'; '.join(different)}")
            time.sleep(_POLL_SECONDS)

    def _shared(self) -> list[dict[str, Tracker]]:
        """Return the handles that should be the same, by the name of the device."""
        found: dict[tuple[int, str | None], dict[str, Tracker]] = {}
        for device in self._on():
            group = next((n for n, names in enumerate(self._groups, 1) if device.name in names), 0)
            for handle in device.trackers:
                if not handle.closed:
                    found.setdefault((group, handle.name), {})[device.name] = handle
        return list(found.values())

    def _different(self, same: dict[str, Tracker]) -> list[str]:
        states = {name: _state(handle) for name, handle in same.items()}
        if len(states) == 1 or (len(set(states.values())) == 1 and all(digest for _, digest in states.values())):
            return []
        (title,) = {handle.name for handle in same.values()}
        return [f"{title!r} on {', '.join(sorted(states))}"]

    def close(self) -> None:
        """Switch off all devices."""
        for device in self._on():
            device.close()


def _state(handle: Tracker) -> tuple[frozenset[tuple[int, int]], bytes]:
    """Return what two replicas have in common exactly if they hold, and show, the same updates."""
    replica = handle._replica
    with replica.reading():
        digest = None
        while digest is None:
            digest = replica.document.digest(1_000_000)
        return frozenset(check_state_vector(replica.document.state_vector()).items()), digest


try:
    import pytest
except ImportError:  # the mesh can be used without it
    pass
else:

    @pytest.fixture
    def tinysync_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """Change to a throw-away folder; structures that are opened in it are closed at the end."""
        monkeypatch.chdir(tmp_path)
        yield tmp_path
        for path, replica in list(open_replicas.items()):
            if path.is_relative_to(tmp_path.resolve()) or path.is_relative_to(tmp_path):
                replica.close()

    @pytest.fixture
    def tinysync_mesh() -> Iterator[Mesh]:
        """Return a ``Mesh`` that keeps nothing on disk."""
        with Mesh() as mesh:
            yield mesh
