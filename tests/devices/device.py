"""A device of the tests: a peer and the structures that it shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.peer.devices import DEADLINE, wait_until
from tests.tracker.opened import assert_in_agreement, exact
from tinysync import track, tracker

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync import Peer


@dataclass
class Device:
    """Without a folder it keeps nothing on disk."""

    peer: Peer
    folder: Path | None = None
    structures: list[Any] = field(default_factory=list)

    def track(self, structure, name="todo", **options):
        """Track a structure and share it with the other devices."""
        place = {"persist": False} if self.folder is None else {"folder": self.folder}
        self.structures.append(track(structure, name, sync=self.peer, **place, **options))
        return self.structures[-1]


def synced(*structures: Any) -> None:
    """Wait until each structure's neighbours have what it has, and it has what they have."""
    for structure in structures:
        tracker(structure).wait_synced(DEADLINE)


def assert_equal(*structures: Any) -> None:
    """Wait until the structures are the same, types included, and each is what its document says."""
    wait_until(lambda: len({repr(exact(tracker(structure).snapshot())) for structure in structures}) == 1)
    for structure in structures:
        with tracker(structure)._replica.reading():
            assert_in_agreement(tracker(structure)._replica)
