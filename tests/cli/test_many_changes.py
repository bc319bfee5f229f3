"""Of many changes at once people are told the first ones and how many more there are; programs get all."""

from __future__ import annotations

import re
import signal
import subprocess

from tests.peer.devices import DEADLINE, wait_until
from tinysync import Peer, track, tracker
from tinysync.cli.bursts import FEW
from tinysync.cli.changes import Printer
from tinysync.cli.structures import Structure

from .processes import command

MORE = re.compile(r"(\S+)  \.\.\. and ([\d,]+) more changes?$")


def entries(lines):
    return [line for line in lines if " = " in line]


def test_a_large_transaction(place, capsys):
    structure = Structure("todo", place, ".yaml")
    people, programs = Printer(structure, as_json=False), Printer(structure, as_json=True)
    todo = track({}, "todo", callback=people)
    tracker(todo).on(programs)
    with todo:
        for number in range(1100):
            todo[f"key {number}"] = number
    told: list[str] = []

    def is_told(text):
        told.extend(capsys.readouterr().out.splitlines())
        return any(text in line for line in told)

    wait_until(lambda: is_told("more changes"))
    texts = [line for line in told if not line.startswith("{")]
    assert len(entries(texts)) == FEW
    assert "key 0 = 0" in texts[0]
    assert MORE.search(texts[-1]).groups() == ("here", f"{1100 - FEW:,}")
    assert len(told) == len(texts) + 1100
    # What comes later is told again, and what is left at the end, too.
    todo["one"] = 1
    assert is_told("one = 1")
    with todo:
        for number in range(FEW):
            todo[f"more {number}"] = number
    people.close()
    assert is_told("here  ... and 1 more change")
    tracker(todo).close()


def test_a_device_that_catches_up(place):
    with Peer(listen="127.0.0.1:0", device="laptop") as laptop:
        ours = track({}, "big", sync=laptop)
        with ours:
            for number in range(3000):
                ours[f"key {number}"] = "x" * 200
        arguments = ["mirror", place / "phone" / "big.yaml", "--no-key", "--connect", laptop.url]
        (place / "phone").mkdir()
        with subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        ) as mirror:
            try:
                lines: list[str] = []
                more = 0
                while more + len(entries(lines)) < 3000:
                    lines.append(mirror.stdout.readline().rstrip("\n"))
                    assert lines[-1], mirror.stderr.read()
                    if found := MORE.search(lines[-1]):
                        assert found[1] == "laptop"
                        more += int(found[2].replace(",", ""))
                assert more + len(entries(lines)) == 3000
                assert len(lines) < 300
                mirror.send_signal(signal.SIGTERM)
                assert mirror.wait(DEADLINE) == 0
            finally:
                mirror.kill()
        tracker(ours).close()
