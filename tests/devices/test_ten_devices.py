"""Ten devices in processes of their own, all writing, some killed at any moment: nothing acknowledged is lost."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.lengths import rounds
from tests.peer.devices import DEADLINE

from .processes import DeviceFailed, DeviceProcess

COUNT = 10
KILLS = 4
"""How many are killed in a round."""
PAUSE = 0.3
"""Seconds between the writes of a device: all ten are to share a machine that has other things to do."""
EMPTY = "{'log': [], 'last': {}}"


def begin(one, **peer) -> None:
    """Let a device track; ten of them on a slow machine need longer to say hello than others are given."""
    one.run(f"from tinysync.peer import connection; connection.GREETING_SECONDS = {3 * DEADLINE}")
    one.track(EMPTY, **peer)


class Mesh:
    """A ring with some chords: each device has three or more neighbours, and no two are far from each other."""

    def __init__(self, folder, seed) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.urls: list[str] = []
        self.lives = [0] * COUNT
        self.acknowledged: list[str] = []
        self.devices: list[DeviceProcess] = [DeviceProcess(folder / str(number)) for number in range(COUNT)]
        with ThreadPoolExecutor(COUNT) as pool:
            list(pool.map(lambda one: begin(one, listen="127.0.0.1:0"), self.devices))
        self.urls = [one.get("peer.url") for one in self.devices]
        for number, one in enumerate(self.devices):
            for url in self.neighbours(number):
                one.run(f"peer.connect({url!r})")

    def neighbours(self, number) -> list[str]:
        """The addresses that a device connects to: others connect to it."""
        return [self.urls[(number + 1) % COUNT], self.urls[(number + 4) % COUNT]]

    def write(self, number) -> None:
        self.lives[number] += 1
        one = self.devices[number]
        one.wrote.clear()
        one.run(f"writer = Writer(x, '{number}-{self.lives[number]}', {PAUSE})")

    def kill_and_start_again(self, number) -> None:
        one = self.devices[number]
        one.wait_written(self.chance.randrange(1, 5))
        one.kill()
        self.acknowledged += one.wrote
        self.devices[number] = one = DeviceProcess(self.folder / str(number))
        listen = self.urls[number].removeprefix("ws://")
        begin(one, listen=listen, connect=self.neighbours(number))
        self.write(number)

    def rest(self) -> None:
        """Let nobody write any more, and see that all come to hold the same, and everything."""
        for one in self.devices:
            one.run("writer.stop()")
            self.acknowledged += one.wrote
        end = time.monotonic() + 3 * DEADLINE
        while True:
            for one in self.devices:
                # They have until the end, all of them together.
                with suppress(DeviceFailed):
                    one.sync()
            logs = [one.get("list(x['log'])") for one in self.devices]
            if logs.count(logs[0]) == COUNT:
                break
            assert time.monotonic() < end, "the devices do not come to hold the same"
        assert len(set(logs[0])) == len(logs[0])
        assert set(self.acknowledged) <= set(logs[0])
        # One write may have been under way in each process that was killed.
        assert len(logs[0]) <= len(self.acknowledged) + sum(self.lives)
        lasts = [one.get("dict(x['last'])") for one in self.devices]
        assert lasts.count(lasts[0]) == COUNT
        for one in self.devices:
            one.run("tracker(x).flush()")
        assert len({one.yaml() for one in self.devices}) == 1

    def close(self) -> None:
        for one in self.devices:
            if one.process.poll() is None:
                one.kill()


@pytest.fixture
def mesh(tmp_path):
    made: list[Mesh] = []

    def make(seed) -> Mesh:
        made.append(Mesh(tmp_path, seed))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_ten_devices_are_killed_and_lose_nothing_acknowledged(mesh, capfd):
    one = mesh(10)
    # A round more in a soak run for every fifth round of others: each takes a while.
    for number in rounds("ten devices", capfd):
        if number and number % 5:
            continue
        for each in range(COUNT):
            one.write(each)
        for victim in one.chance.choices(range(COUNT), k=KILLS):
            one.kill_and_start_again(victim)
        one.rest()
    for each in one.devices:
        assert each.quit() == ""
