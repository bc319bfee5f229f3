"""Devices in processes of their own: edits online and offline, restarts, kill -9, a full disk."""

from __future__ import annotations

import random

import pytest
import yaml

from tests.peer.devices import wait_until

from .processes import DeviceFailed, DeviceProcess

START = "{'settings': {'colour': 'red'}, 'log': ['start'], 'tags': {'start'}}"


@pytest.fixture
def start(tmp_path):
    """Starts devices; those that still run at the end are killed."""
    made: list[DeviceProcess] = []

    def make(name):
        made.append(DeviceProcess(tmp_path / name))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.kill()


def test_two_processes_from_the_first_edit_to_the_restart(start):
    laptop, phone = start("laptop"), start("phone")
    laptop.track(START, listen="127.0.0.1:0", device="laptop")
    url = laptop.get("peer.url")
    phone.track(START, connect=[url], device="phone")

    # Together.
    laptop.run("x.settings.colour = 'blue'; x.log.append('laptop')")
    phone.run("x.settings.size = 3; x.tags.add('phone')")
    phone.sync()
    for one in (laptop, phone):
        assert one.get(
            "x == {'settings': {'colour': 'blue', 'size': 3}, 'log': ['start', 'laptop'], "
            "'tags': {'start', 'phone'}}"
        )

    # Apart.
    phone.run("peer.close()")
    laptop.run("x.log.insert(0, 'first'); x.settings['new'] = {'by': {'laptop': 1}}; x.tags.discard('start')")
    phone.run("with x: x.log.append('last'); x.settings['new'] = {'by': {'phone': 2}}")
    phone.run("del x.settings['colour']")
    with pytest.raises(DeviceFailed, match="no open peer"):
        phone.sync()

    # Together again.
    phone.run(f"peer = Peer(connect=[{url!r}]); track({{}}, 'todo', folder={str(phone.folder)!r}, sync=peer)")
    phone.sync()
    expected = {
        "settings": {"size": 3, "new": {"by": {"laptop": 1, "phone": 2}}},
        "log": ["first", "start", "laptop", "last"],
        "tags": {"phone"},
    }
    for one in (laptop, phone):
        assert one.get(f"x == {expected}")
    assert laptop.yaml() == phone.yaml()
    assert yaml.safe_load(phone.yaml()) == expected

    # From disk, with the programs ended without closing anything.
    assert (laptop.quit(), phone.quit()) == ("", "")
    laptop, phone = start("laptop"), start("phone")
    laptop.track("{}", listen=url.removeprefix("ws://"))
    phone.track("{}")
    for one in (laptop, phone):
        assert one.get(f"x == {expected}")
    phone.run(f"peer.connect({url!r}); x.log.append('again')")
    phone.sync()
    assert laptop.get("x.log[-1]") == "again"
    assert laptop.yaml() == phone.yaml()
    assert (laptop.quit(), phone.quit()) == ("", "")


def test_kill_9_in_the_middle_of_everything_loses_nothing_acknowledged(start):
    chance = random.Random(9)
    empty = "{'log': [], 'last': {}}"
    devices = {name: start(name) for name in ("laptop", "phone")}
    devices["laptop"].track(empty, listen="127.0.0.1:0")
    url = devices["laptop"].get("peer.url")
    options = {"laptop": {"listen": url.removeprefix("ws://")}, "phone": {"connect": [url]}}
    devices["phone"].track(empty, **options["phone"])
    acknowledged: list[str] = []
    for round_number in range(10):
        for name, one in devices.items():
            one.wrote.clear()
            one.run(f"writer = Writer(x, '{name} {round_number}')")
        victim, survivor = ("phone", "laptop") if round_number % 2 else ("laptop", "phone")
        for one in devices.values():
            one.wait_written(1)
        devices[victim].wait_written(chance.randrange(2, 25))
        devices[victim].kill()
        devices[survivor].run("writer.stop()")
        acknowledged += devices[victim].wrote + devices[survivor].wrote

        devices[victim] = start(victim)
        devices[victim].track(empty, **options[victim])
        devices["phone"].sync()
        logs = [one.get("list(x['log'])") for one in devices.values()]
        assert logs[0] == logs[1]
        assert len(set(logs[0])) == len(logs[0])
        assert set(acknowledged) <= set(logs[0])
        # At most one write was under way in each process.
        assert len(logs[0]) <= len(acknowledged) + round_number + 1
        lasts = [one.get("dict(x['last'])") for one in devices.values()]
        assert lasts[0] == lasts[1]
        for one in devices.values():
            one.run("tracker(x).flush()")
        assert devices["laptop"].yaml() == devices["phone"].yaml()
    for one in devices.values():
        assert one.quit() == ""


def test_a_full_disk_refuses_what_it_cannot_keep_and_catches_up(start):
    pytest.importorskip("resource")
    laptop, phone = start("laptop"), start("phone")
    laptop.track("{}", listen="127.0.0.1:0", device="laptop")
    phone.track("{}", connect=[laptop.get("peer.url")], device="phone")
    laptop.run("x['before'] = 1")
    phone.sync()
    # No file can grow any more.
    phone.run(
        "import resource, logging; logging.disable()\n"
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))",
    )
    laptop.run("x['more'] = 'x' * 1000")
    wait_until(lambda: "failed" in laptop.get("tracker(x).status().devices[0].reason"))
    with pytest.raises(
        DeviceFailed, match=r"SyncTimeout: .* after 0.5 s: .*\(phone\) failed: .*not full.*try again\. What"
    ):
        laptop.run("tracker(x).wait_synced(0.5)")
    with pytest.raises(DeviceFailed, match="StorageError"):
        phone.run("x['here'] = 1")
    # What comes again and again is in the document for moments, in which the lock is held.
    phone.run("with tracker(x)._replica.reading(): held = [dict(x), tracker(x)._replica.document.view()]")
    assert phone.get("held") == [{"before": 1}, {"before": 1}]
    assert yaml.safe_load(phone.yaml()) == {"before": 1}

    phone.run("resource.setrlimit(resource.RLIMIT_FSIZE, limits)")
    phone.run("x['here'] = 2")
    laptop.sync()
    for one in (laptop, phone):
        assert one.get("x == {'before': 1, 'more': 'x' * 1000, 'here': 2}")
    phone.kill()
    phone = start("phone")
    phone.track("{}")
    assert phone.get("x == {'before': 1, 'more': 'x' * 1000, 'here': 2}")
