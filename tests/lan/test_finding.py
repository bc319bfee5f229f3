"""Devices of a group find each other; here all on the loopback addresses of one machine."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
import sys
import threading

import pytest

from tests.peer.conftest import cables, peers  # noqa: F401 - fixtures
from tests.peer.devices import DEADLINE, Blobs, wait_until
from tinysync import InvalidAddress, Key, Peer, UsageError, track, tracker
from tinysync.discovery.announcement import Announcements
from tinysync.discovery.lan import SERVICE

pytest.importorskip("zeroconf")

from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

MDNS = "224.0.0.251"


@pytest.fixture
def on_lan(peers, tmp_path):  # noqa: F811
    """Makes peers that look for each other on the loopback network."""

    def make(name, *documents, key, listen="127.0.0.1:0", **options):
        return peers(
            *documents, device=name, key=key, identity=tmp_path / name, lan=True, listen=listen, **options
        )

    return make


@pytest.fixture
def overheard():
    """What is said aloud on the loopback network meanwhile."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    ear.bind((MDNS if sys.platform == "linux" else "", 5353))
    group = struct.pack("4s4s", socket.inet_aton(MDNS), socket.inet_aton("127.0.0.1"))
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    ear.settimeout(0.1)
    packets: list[bytes] = []
    is_over = threading.Event()

    def listen():
        while not is_over.is_set():
            try:
                packets.append(ear.recv(65536))
            except TimeoutError:
                continue

    listener = threading.Thread(target=listen)
    listener.start()
    yield packets
    is_over.set()
    listener.join()
    ear.close()


def linked(*peers):  # noqa: F811
    """Wait until each has one link to each of the others."""
    names = [peer.device for peer in peers]
    for peer in peers:
        others = sorted(name for name in names if name != peer.device)
        wait_until(lambda: peer.connected_devices() == others and len(peer._connections) == len(others))  # noqa: B023


def test_devices_of_a_group_find_each_other_and_no_others(on_lan, caplog):
    caplog.set_level(logging.WARNING)
    ours, theirs = Key.new(), Key.new()
    documents = [Blobs("todo") for _ in range(4)]
    a, b, c = (on_lan(name, document, key=ours) for name, document in zip("abc", documents, strict=False))
    stranger = on_lan("stranger", documents[3], key=theirs)
    linked(a, b, c)
    a.publish("todo", documents[0].add(b"hello"))
    for document in documents[1:3]:
        document.wait_for(b"hello")
    assert documents[3].contents == set()
    assert not stranger.connected_devices()
    assert not stranger._finder._sightings
    assert not caplog.records  # nobody of another group was even called


def test_a_device_that_starts_again_elsewhere_is_found_again(on_lan):
    key = Key.new()
    here, there = Blobs("todo"), Blobs("todo")
    a, b = on_lan("a", here, key=key), on_lan("b", there, key=key)
    linked(a, b)
    place = b.url
    b.close()
    wait_until(lambda: not a.connected_devices())
    a.publish("todo", here.add(b"while it was off"))
    again = on_lan("b", there, key=key)
    assert again.url != place
    there.wait_for(b"while it was off")
    wait_until(lambda: len(a._finder._sightings) == 1)


def test_addresses_that_are_known_work_beside_it(on_lan):
    """One is called at its address, the other one is found; both are waited for, from the start."""
    key = Key.new()
    documents = [Blobs("todo") for _ in range(3)]
    a, b = on_lan("a", documents[0], key=key), on_lan("b", documents[1], key=key)
    c = on_lan("c", documents[2], key=key, connect=[a.url])
    c.publish("todo", documents[2].add(b"x"))
    c.wait_synced("todo", DEADLINE)
    linked(a, b, c)
    assert documents[0].contents == documents[1].contents == {b"x"}


def test_nothing_that_is_said_aloud_tells_who_is_there(on_lan, overheard, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "name-of-this-machine")
    key = Key.new()
    said = []
    for _ in range(2):
        a = on_lan("study-laptop", Blobs("diary"), key=key)
        b = on_lan("moms-phone", Blobs("diary"), key=key)
        linked(a, b)
        a.close()
        b.close()
        said.append(b"".join(overheard).lower())
        overheard.clear()
    assert all(b"_tinysync" in text for text in said)
    secrets = [
        "study-laptop",
        "moms-phone",
        "diary",
        socket.gethostname(),
        key.group,
        key.text()[13:30],
        a.id,
        b.id,
        a.fingerprint,
        b.fingerprint,
    ]
    assert not [secret for secret in secrets for text in said if secret.lower().encode() in text]
    # Nor do two times have anything in common that would tell that it was the same group.
    ours = Announcements(key.derive("lan announcements", 32))
    labels = [set(filter(ours.is_of_group, re.findall("[a-z2-7]{48}", text.decode("latin1")))) for text in said]
    # The last goodbyes of the first time may come late.
    labels[1] -= labels[0]
    assert [len(found) for found in labels] == [2, 2]
    parts = [label[i : i + 16] for label in labels[0] | labels[1] for i in range(0, 48, 16)]
    assert len(set(parts)) == 12


def test_announcements_that_lie_do_no_harm(on_lan, caplog):
    """A label of the group is repeated by somebody else, who is somewhere else; others are just noise."""
    key = Key.new()
    here = Blobs("todo")
    a = on_lan("a", here, key=key)
    announcements = Announcements(key.derive("lan announcements", 32))
    label = announcements.make("somebody who was there")

    async def announce():
        zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(DEADLINE)
            infos = [
                AsyncServiceInfo(
                    SERVICE,
                    f"{name}.{SERVICE}",
                    port=server.getsockname()[1],
                    addresses=[socket.inet_aton("127.0.0.1")],
                    server="nobody.local.",
                )
                for name in ("x", "y" * 48, "with.dots", label)
            ]
            await asyncio.gather(*[zeroconf.async_register_service(info, strict=False) for info in infos])
            called, _ = await asyncio.to_thread(server.accept)
            called.sendall(b"I am somebody else\r\n\r\n")
            called.close()
        await zeroconf.async_close()

    asyncio.run(announce())
    wait_until(lambda: "Refused the link to" in caplog.text)
    assert list(a._finder._sightings) in ([label], [])
    b = on_lan("b", Blobs("todo"), key=key)
    linked(a, b)


def test_what_it_takes(peers, tmp_path, monkeypatch):  # noqa: F811
    with pytest.raises(UsageError, match=r"lan=True.*key="):
        Peer(lan=True)
    with pytest.raises(InvalidAddress, match="IPv4"):
        Peer(lan=True, listen="[::1]:0", key=Key.new(), identity=tmp_path)
    monkeypatch.setitem(sys.modules, "tinysync.discovery.lan", None)
    with pytest.raises(UsageError, match=r"tinysync\[lan\]"):
        Peer(lan=True, key=Key.new(), identity=tmp_path)


def test_sync_true_without_a_key_says_how_to_make_one(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("TINYSYNC_KEY", raising=False)
    with pytest.raises(UsageError, match="tinysync key new"):
        track({}, "todo", folder=tmp_path, sync=True)
    todo = track({}, "todo", folder=tmp_path, sync=False)
    with pytest.raises(UsageError, match="no open peer"):
        tracker(todo).wait_synced(1)
    tracker(todo).close()
