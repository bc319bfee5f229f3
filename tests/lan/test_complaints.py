"""What zeroconf logs of sockets: that of a peer is told in other words, that of others is left alone."""

from __future__ import annotations

import asyncio
import logging

import pytest

pytest.importorskip("zeroconf")

from tinysync.discovery.complaints import complaints


def log_an_error():
    try:
        raise OSError(101, "Network is unreachable")
    except OSError:
        logging.getLogger("zeroconf").warning("Error with socket 3 (('10.0.0.1', 5353)))", exc_info=True)


def test_errors_go_to_who_is_in_charge_of_the_loop(caplog):
    async def main(complained):
        complaints.give_to(lambda said, error: complained.append((said, error.errno)))
        log_an_error()
        logging.getLogger("zeroconf").warning("something else")
        complaints.end()
        log_an_error()
        return complained

    assert asyncio.run(main([])) == [("Error with socket 3 (('10.0.0.1', 5353)))", 101)]
    log_an_error()
    said = [record.getMessage().partition(" ")[0] for record in caplog.records if record.name == "zeroconf"]
    assert said == ["something", "Error", "Error"]
