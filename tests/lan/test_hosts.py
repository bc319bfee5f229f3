"""Devices on several hosts find each other on a network that the test makes: no addresses are configured."""

from __future__ import annotations

import pytest

from tests.devices.processes import DeviceProcess
from tests.peer.devices import wait_until
from tinysync import Key

from .hosts import network  # noqa: F401 - a fixture

pytest.importorskip("zeroconf")


@pytest.fixture
def start(network, tmp_path):  # noqa: F811
    """Starts devices, each on a host of its own."""
    started: list[DeviceProcess] = []

    def begin(name, address, key):
        folder = tmp_path / name
        environment = {"TINYSYNC_KEY": key.text(), "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
        host = network.host(address)
        process = DeviceProcess(folder, command=host.command, environment=environment)
        started.append(process)
        process.run(f"x = track({{}}, 'todo', folder={str(folder)!r}, sync=True)")
        process.host = host
        return process

    yield begin
    for process in started:
        process.kill()


def has(device, **entries):
    wait_until(lambda: device.get("dict(x)").items() >= entries.items())


def test_hosts_find_each_other_wherever_they_are(start):
    ours = Key.new()
    a = start("a", "10.77.0.1", ours)
    b = start("b", "10.77.0.2", ours)
    stranger = start("stranger", "10.77.0.3", Key.new())
    a.run("x['from a'] = 1")
    a.sync()
    assert b.get("dict(x)") == {"from a": 1}

    # Another address: its links are dead, without a word to anybody.
    b.host.set_address("10.77.0.99")
    b.run("x['from b'] = 2")
    has(a, **{"from b": 2})

    # Out of the network, and into another one.
    b.host.unplug()
    b.run("x['offline'] = 3")
    a.run("x['meanwhile'] = 4")
    a.host.set_address("192.168.7.1")
    b.host.set_address("192.168.7.2")
    b.host.plug_in()
    has(a, offline=3)
    has(b, meanwhile=4)

    assert stranger.get("dict(x)") == {}
    assert stranger.get("len(tracker(x).status().devices)") == 0
    # One peer for all that a program shares so; it goes with the last structure, and comes back with the next.
    a.run("from tinysync.peer.common import common_peer")
    a.run(f"y = track([], 'more', folder={str(a.folder)!r}, sync=True)")
    assert a.get("tracker(x)._replica.sharing._peers == tracker(y)._replica.sharing._peers")
    a.run("tracker(x).close()")
    assert not a.get("common_peer.current() is None")
    a.run("tracker(y).close()")
    assert a.get("common_peer.current() is None")
    b.run("x['while a was off'] = 5")
    a.run(f"x = track({{}}, 'todo', folder={str(a.folder)!r}, sync=True)")
    has(a, **{"while a was off": 5})


def test_an_address_that_goes_away_leaves_no_traceback_and_no_warning(start):
    ours = Key.new()
    a = start("a", "10.77.0.1", ours)
    b = start("b", "10.77.0.2", ours)
    a.run("import logging; logging.basicConfig()")
    a.run("from tinysync.peer.common import common_peer; lan = common_peer.current()._finder._lan")
    a.sync()
    a.host.set_address("10.77.0.3")
    wait_until(lambda: a.get("[*lan._networks]") == ["10.77.0.3"])
    b.run("x['after'] = 1")
    has(a, after=1)
    assert (a.folder / "stderr").read_text() == ""


def test_a_network_that_cannot_be_sent_to_is_reported_without_a_traceback(start):
    a = start("a", "10.77.0.1", Key.new())
    a.run("import logging; logging.basicConfig()")
    a.run("from tinysync.peer.common import common_peer; lan = common_peer.current()._finder._lan")
    wait_until(lambda: a.get("[*lan._networks]") == ["10.77.0.1"])
    a.host.switch_off_card()
    a.run("lan.begin_anew()")
    told = "Cannot look for devices around 10.77.0.1: Network is unreachable; it is tried again"
    wait_until(lambda: told in (a.folder / "stderr").read_text())
    assert "Traceback" not in (a.folder / "stderr").read_text()
