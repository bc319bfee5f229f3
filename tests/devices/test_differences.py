"""Documents that hold different things although they have the same updates: both devices say so."""

from __future__ import annotations

import logging
import time

import pytest

from tests.peer.devices import DEADLINE, wait_until
from tinysync import DocumentsDiffer, tracker
from tinysync.crdt.engine import Engine
from tinysync.peer.comparing import QUIET_SECONDS

from .device import synced


def go_on_as(structure, client_id):
    """Make a device write under a client id, as one does that was copied while it was running."""
    document = tracker(structure)._replica.document
    engine = Engine(client_id)
    engine.apply([document.engine.diff()], document.sequences)
    document.engine = engine
    document._renewal.edited()
    document._digest = None


def the_peers_compared(*devices):
    """Wait until every device has sent what it holds and compared what it got."""
    comparisons = [
        opened.comparison
        for device in devices
        for connection in list(device.peer._connections)
        for opened in list(connection.opened.values())
    ]
    assert len(comparisons) == len(devices)
    wait_until(
        lambda: all(
            c._sent is not None and c._sent == c._documents.in_step("todo") and not c._comparing
            for c in comparisons
        )
    )


def test_two_devices_with_one_client_id_are_found(pair, caplog):
    laptop, phone = pair()
    ours, theirs = laptop.track({"a": 1}), phone.track({"a": 1})
    synced(ours, theirs)
    laptop.peer.connect("ws://127.0.0.1:9")  # nobody there: the link between the two is as it was
    client = tracker(ours)._replica.document.engine.client_id
    with tracker(theirs)._replica.reading(), tracker(ours)._replica.reading():
        go_on_as(theirs, client)
        ours["a"] = "ours"
        theirs["a"] = "theirs"
    with caplog.at_level(logging.ERROR, "tinysync"):
        # Each takes the other's update for its own one, which it has.
        wait_until(lambda: len([r for r in caplog.records if "holds something else" in r.getMessage()]) == 2)
    with pytest.raises(DocumentsDiffer, match="'todo' holds something else here than on laptop"):
        tracker(theirs).wait_synced(DEADLINE)
    assert (ours, theirs) == ({"a": "ours"}, {"a": "theirs"})


def test_devices_in_step_find_nothing(pair, caplog):
    laptop, phone = pair()
    ours = laptop.track({"a": [1, {"b": 2}], "s": {1}, "n": 1.0, "big": 2**70})
    theirs = phone.track({"a": [1, {"b": 2}], "s": {1}})
    deadline = time.monotonic() + 2 * QUIET_SECONDS
    number = 0
    while time.monotonic() < deadline:
        number += 1
        for structure in (ours, theirs):
            with structure:
                structure["a"].insert(0, number)
                structure["a"].move(0, len(structure["a"]) - 1)
                structure["a"][0] = {"number": float(number)}
                structure["s"] ^= {number % 7}
                structure[f"key{number % 5}"] = None
                structure.setdefault(f"seed{number % 3}", [[1], {"x": 2}])
                del structure["a"][20:]
            time.sleep(0)
    synced(ours, theirs)
    the_peers_compared(laptop, phone)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    tracker(ours).wait_synced(DEADLINE)
