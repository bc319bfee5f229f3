"""A peer and the process it lives in: forks, and ends without a close."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinysync.errors import UsageError

from .devices import DEADLINE, Blobs

PROGRAM = """
import sys, threading
from tinysync import Peer
from peer.devices import Blobs
document = Blobs("todo")
peer = Peer(connect=[sys.argv[1]], listen="127.0.0.1:0")
peer.share(document)
peer.publish("todo", document.add(b"from a program"))
peer.wait_synced("todo", 20)
raise SystemExit(0)
"""


def test_a_program_ends_without_closing_and_prints_nothing(peers):
    document = Blobs("todo")
    a = peers(document, listen="127.0.0.1:0")
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-X", "dev", "-c", PROGRAM, a.url],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert document.contents == {b"from a program"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_told_and_harms_nothing(peers):
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    b = peers(other, connect=[a.url])
    b.wait_synced("todo", DEADLINE)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            answers = []
            for use in (lambda: b.wait_synced("todo"), lambda: b.share(Blobs("x")), lambda: b.connect(a.url)):
                try:
                    use()
                except UsageError as error:
                    answers.append("forked" in str(error))
            b.publish("todo", other.add(b"in the child"))
            b.close()
            b.close()
            os.write(write, repr((answers, len(b._published))).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read() == "([True, True, True], 0)"
    b.publish("todo", other.add(b"in the parent"))
    b.wait_synced("todo", DEADLINE)
    assert one.contents == {b"in the parent"}
