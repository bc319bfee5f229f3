from __future__ import annotations

import threading

import pytest

from tinysync import Peer

from .devices import Cable, wait_until


@pytest.fixture
def peers():
    """Makes peers; all are closed at the end, and nothing of them is left."""
    made: list[Peer] = []

    def make(*documents, **options):
        peer = Peer(**options)
        made.append(peer)
        for document in documents:
            peer.share(document)
        return peer

    yield make
    for peer in made:
        peer.close()
    wait_until(lambda: not any(t.name.startswith(("tinysync", "asyncio")) for t in threading.enumerate()))


@pytest.fixture
def cables():
    made: list[Cable] = []

    def make(url):
        made.append(Cable(url))
        return made[-1]

    yield make
    for cable in made:
        cable.close()
