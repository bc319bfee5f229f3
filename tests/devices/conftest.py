from __future__ import annotations

import threading

import pytest

from tests.peer.devices import Cable, wait_until
from tinysync import Peer, tracker

from .device import Device


@pytest.fixture
def device():
    """Makes devices: peers that share structures. All are closed at the end, and no thread of theirs is left."""
    made: list[Device] = []

    def make(folder=None, **options) -> Device:
        made.append(Device(Peer(**options), folder))
        return made[-1]

    yield make
    for one in made:
        for structure in one.structures:
            tracker(structure).close()
        one.peer.close()
    wait_until(lambda: not any(t.name.startswith(("tinysync", "asyncio")) for t in threading.enumerate()))


@pytest.fixture
def pair(device):
    """Makes two devices that are linked to each other; options are for both."""

    def make():
        laptop = device(listen="127.0.0.1:0", device="laptop")
        return laptop, device(connect=[laptop.peer.url], device="phone")

    return make


@pytest.fixture
def cable():
    """Makes cables to peers, which can be cut."""
    made: list[Cable] = []

    def make(url):
        made.append(Cable(url))
        return made[-1]

    yield make
    for one in made:
        one.close()
