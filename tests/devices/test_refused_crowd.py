"""A thousand strangers that are refused: those who are linked work on as if nothing happened."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

from tests.group.members import GROUP
from tinysync import Limits

from .device import assert_equal, synced

COUNT = 1000
STRANGERS = """
import asyncio, ssl, sys
from tests.group.members import OTHER_GROUP, context, shown_by

shown = context(shown=shown_by(OTHER_GROUP))
refused = 0

async def knock(port, gate):
    global refused
    async with gate:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=shown, server_hostname="")
            writer.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
            answer = await reader.read(1)
            refused += not answer
            writer.close()
        except OSError:
            refused += 1

async def main(port, count):
    gate = asyncio.Semaphore(16)
    await asyncio.gather(*[knock(port, gate) for _ in range(count)])

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
print(refused)
"""


def test_a_thousand_refused_handshakes_disturb_nobody(device, tmp_path, record_property):
    # So many that each is really made, and refused for its certificate.
    limits = Limits(handshakes_per_second=COUNT)
    laptop = device(listen="127.0.0.1:0", key=GROUP, identity=tmp_path / "laptop", limits=limits)
    phone = device(connect=[laptop.peer.url], key=GROUP, identity=tmp_path / "phone", device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    synced(theirs)
    links = list(laptop.peer._connections)

    def round_trip() -> float:
        began = time.perf_counter()
        ours["x"] = ours.get("x", 0) + 1
        theirs["y"] = theirs.get("y", 0) + 1
        synced(ours, theirs)
        return time.perf_counter() - began

    before = statistics.median(round_trip() for _ in range(30))
    port = urlsplit(laptop.peer.url).port
    strangers = subprocess.Popen(
        [sys.executable, "-c", STRANGERS, str(port), str(COUNT)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    during = []
    while strangers.poll() is None or not during:
        during.append(round_trip())
    told, _ = strangers.communicate()
    assert int(told) == COUNT
    record_property("round trips (s)", f"{before:.4f} before, {statistics.median(during):.4f} during")
    print(f"median {before:.4f} s before, {statistics.median(during):.4f} s during, {max(during):.4f} s at most")
    # Far from what anybody would notice, and far from what a busy machine would do to it.
    assert statistics.median(during) < 0.5
    assert list(laptop.peer._connections) == links
    assert laptop.peer.connected_devices() == ["phone"]
    assert_equal(ours, theirs)
