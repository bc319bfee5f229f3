"""Several processes that have one structure open, in one folder: writers, hand edits, peers, and kill -9."""

from __future__ import annotations

import random
import time

import pytest
import yaml

from tests.devices.processes import DeviceProcess
from tests.lengths import many, rounds
from tests.peer.devices import DEADLINE

START = {"log": [], "last": {}}


@pytest.fixture
def start(tmp_path):
    """Return what starts a process on a folder; all are ended with the test."""
    processes = []

    def begin(name="app"):
        process = DeviceProcess(tmp_path / name)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.process.poll() is None:
            process.kill()


@pytest.fixture
def opened(start):
    """Return what starts a process that has the structure open."""

    def begin():
        process = start()
        # A kill can cut the record that was just being written, at the end of a page.
        process.run("import warnings; warnings.simplefilter('ignore', DamagedFileWarning)")
        process.run(f"x = track({START!r}, 'todo', folder={str(process.folder)!r})")
        return process

    return begin


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def same(*processes):
    """Wait until all processes and the readable file say the same; return it."""
    values = []

    def agree():
        values[:] = [process.get("tracker(x).snapshot()") for process in processes]
        return all(value == values[0] for value in values) and yaml.safe_load(processes[0].yaml()) == values[0]

    wait_until(agree)
    return values[0]


def write(process, label):
    process.run(f"writer = Writer(x, {label!r})")


def stop(*processes):
    for process in processes:
        process.run("writer.stop()")


def test_two_processes_write_and_a_person_edits(opened):
    one, other = opened(), opened()
    for number in range(3):
        already = len(one.wrote), len(other.wrote)
        write(one, f"one {number}")
        write(other, f"other {number}")
        one.wait_written(already[0] + 20)
        other.wait_written(already[1] + 20)
        stop(one, other)
        same(one, other)
        file = one.folder / "todo.yaml"
        file.write_text(file.read_text().replace("log:\n", f"edit {number}: true\nlog:\n- by hand {number}\n"))
        wait_until(lambda key=f"edit {number}": all(p.get(f"x.get({key!r})") for p in (one, other)))
    value = same(one, other)
    by_hand = [entry for entry in value["log"] if entry.startswith("by hand")]
    assert sorted(by_hand) == [f"by hand {number}" for number in range(3)]
    assert sorted(value["log"]) == sorted([*one.wrote, *other.wrote, *by_hand])
    for process in (one, other):
        assert process.quit() == ""
    third = opened()
    assert same(third) == value


def test_the_other_goes_on_when_one_is_killed(opened, capfd):
    chance = random.Random(3)
    stays = opened()
    write(stays, "stays")
    told: list[str] = []
    for number in rounds("kill -9 of one of two", capfd):
        for attempt in range(4):
            killed = opened()
            write(killed, f"killed {number} {attempt}")
            killed.wait_written(chance.randrange(1, 12))
            time.sleep(chance.random() * 0.01)
            killed.kill()
            told += killed.wrote
            stays.wait_written(len(stays.wrote) + 2)
    stop(stays)
    fresh = opened()
    value = same(stays, fresh)
    assert len(set(value["log"])) == len(value["log"])
    assert set(value["log"]) >= {*told, *stays.wrote}


def test_four_processes_hammer_and_are_killed(opened):
    chance = random.Random(4)
    told: list[str] = []
    running: list[DeviceProcess] = []
    for number in range(many(5)):
        while len(running) < 4:
            running.append(opened())
            write(running[-1], f"{number} {len(running)}")
        chance.choice(running).wait_written(chance.randrange(1, 10))
        victim = running.pop(chance.randrange(4))
        victim.kill()
        told += victim.wrote
    stop(*running)
    value = same(*running)
    assert len(set(value["log"])) == len(value["log"])
    assert set(value["log"]) >= {*told, *(entry for process in running for entry in process.wrote)}
    for process in running:
        assert process.quit() == ""
    assert same(opened()) == value


def test_updates_go_from_the_peers_of_one_process_to_those_of_the_other(start):
    west, one, other, east = start("west"), start("app"), start("app"), start("east")
    one.track("{}", listen="127.0.0.1:0", device="one")
    other.track("{}", listen="127.0.0.1:0", device="other")
    west.track("{}", connect=[one.get("peer.url")], device="west")
    east.track("{}", connect=[other.get("peer.url")], device="east")
    for number, process in enumerate((west, one, other, east)):
        process.run(f"x['key {number}'] = {number}")
    expected = {f"key {number}": number for number in range(4)}
    wait_until(lambda: all(p.get("tracker(x).snapshot()") == expected for p in (west, one, other, east)))
    heard = "[(c.origin, c.device) for c in heard]"
    other.run("heard = []\ntracker(x).on('from west', heard.append)")
    west.run("x['from west'] = True")
    wait_until(lambda: east.get("x.get('from west')"))
    wait_until(lambda: other.get(heard) == [["remote", "west"]])
    # A peer that comes later gets it all, too.
    one.run("peer.close()")
    east.run("x['late'] = True")
    wait_until(lambda: one.get("x.get('late')"))
    assert same(one, other) == {**expected, "from west": True, "late": True}
