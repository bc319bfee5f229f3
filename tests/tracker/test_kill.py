"""A process that is killed at any moment has lost nothing that was acknowledged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

import pytest

from tests.tracker.opened import assert_in_agreement, open_in

WRITER = """
import sys
from tinysync.storage.names import document_paths
from tinysync.tracker import open_replica

replica = open_replica({"log": [], "last": None}, "conf", paths=document_paths("conf", sys.argv[1]))
root = replica.root
number = int(sys.argv[2])
while True:
    with root:
        root.log.append(number)
        root.last = {"number": number}
    root[f"key{number % 7}"] = number
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_every_acknowledged_write_survives_kill_9(tmp_path):
    chance = random.Random(20)
    begin = 0
    for _ in range(50):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, str(begin)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        wanted = begin + chance.randrange(0, 12)
        acknowledged = -1
        for line in writer.stdout:
            acknowledged = int(line)
            if acknowledged >= wanted:
                break
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.stdout.close()
        # It wrote until it was killed; one that died by itself has proved nothing.
        assert writer.wait() == -signal.SIGKILL
        assert acknowledged >= wanted

        replica = open_in(tmp_path, {"log": [], "last": None})
        root = replica.root
        # What was being written at the moment of the kill may be there, whole.
        assert root.log[: acknowledged + 1] == list(range(acknowledged + 1))
        assert root.last == {"number": len(root.log) - 1}
        assert root[f"key{acknowledged % 7}"] == acknowledged
        assert_in_agreement(replica)
        begin = len(root.log)
        replica.close()
