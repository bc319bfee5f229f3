"""Who gets a link, who does not, and what both sides say about it: real websockets over real TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import ssl
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.group.members import (
    GROUP,
    OTHER_GROUP,
    context,
    new_member,
    self_signed,
    shown_by,
    signed_by_a_device,
)
from tinysync.errors import LinkClosed, LinkRefused
from tinysync.group.certificates import Authority, read_certificate
from tinysync.transport import doorkeeper
from tinysync.transport.refusals import MAX_REPORTS, REPEAT_SECONDS, Refusals
from tinysync.transport.websocket import WebSocketTransport

from .test_links import in_loop

MAX_FRAME = 1 << 20
CA = Authority.of(GROUP).certificate


class Door:
    """A transport that listens, and counts whom it let in."""

    def __init__(self, security):
        self.transport = WebSocketTransport(MAX_FRAME, security)
        self.entered = 0

    async def echo(self, link):
        self.entered += 1
        with contextlib.suppress(LinkClosed):
            while True:
                await link.send(await link.receive())


@asynccontextmanager
async def door(security=None, **options):
    made = Door(security or new_member(**options))
    listener = await made.transport.listen("127.0.0.1:0", made.echo)
    made.url = listener.address
    made.port = urlsplit(made.url).port
    try:
        yield made
    finally:
        await listener.close()


async def says_hello(url, tls):
    """Whether something that is no transport of ours gets an answer."""
    try:
        async with connect(
            url, ssl=tls, server_hostname="" if tls else None, open_timeout=5, proxy=None
        ) as socket:
            await socket.send(b"hello")
            return await socket.recv() == b"hello"
    except (OSError, InvalidHandshake, ConnectionClosed):
        return False


async def until(condition):
    """Return once the other side has come to a condition; the test has a deadline."""
    while not condition():  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0)


def refusals(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "tinysync" and r.levelno == logging.WARNING]


def fingerprint(shown):
    return read_certificate(shown[1].public_bytes(Encoding.DER))[1]


YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

VISITORS = {
    "of the group": (lambda: context(trusted=CA, shown=shown_by()), None),
    "of another group": (lambda: context(shown=shown_by(OTHER_GROUP)), "another group"),
    "without a certificate": (context, "no certificate"),
    "signed by itself": (lambda: context(shown=self_signed()), "another group"),
    "signed by itself in the name of the group": (lambda: context(shown=self_signed(CA.subject)), "another group"),
    "signed by a device of the group": (lambda: context(shown=signed_by_a_device()), "not made by tinysync"),
    "not valid any more": (lambda: context(shown=shown_by(until=YESTERDAY)), "clock"),
    "made for something else": (
        lambda: context(shown=shown_by(usage=ExtendedKeyUsageOID.CODE_SIGNING)),
        "not made by tinysync",
    ),
    "of the group, with TLS 1.2": (
        lambda: context(trusted=CA, shown=shown_by(), version=ssl.TLSVersion.TLSv1_2),
        "TLS 1.3",
    ),
    "without TLS": (lambda: None, "does not use TLS"),
}


@pytest.mark.parametrize("visitor", VISITORS)
@in_loop
async def test_who_is_let_in(visitor, caplog):
    caplog.set_level(logging.DEBUG)
    make, reason = VISITORS[visitor]
    async with door() as ours:
        tls = make()
        url = ours.url if tls else ours.url.replace("wss://", "ws://")
        client = logging.getLogger("websockets.client")
        client.disabled = True
        try:
            is_in = await says_hello(url, tls)
        finally:
            client.disabled = False
        assert is_in is (reason is None)
        assert ours.entered == is_in
        read = [r for r in caplog.records if r.name == "tinysync.websockets" and "<" in r.getMessage()]
        assert bool(read) is is_in  # of those who are not let in nothing was read
        assert len(refusals(caplog)) == (not is_in)
        assert reason is None or (reason in refusals(caplog)[0] and "from 127.0.0.1" in refusals(caplog)[0])
        # The door is still open.
        link = await WebSocketTransport(MAX_FRAME, new_member()).connect(ours.url)
        await link.send(b"hello")
        assert await link.receive() == b"hello"
        await link.close()


@asynccontextmanager
async def impostor(tls):
    """Somebody else who listens."""

    async def handle(socket):
        heard.append(await socket.recv())

    heard = []
    async with serve(handle, "127.0.0.1", 0, ssl=tls) as server:
        yield f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert not heard


HOSTS = {
    "of another group": (
        lambda: context(server=True, shown=shown_by(OTHER_GROUP, usage=ExtendedKeyUsageOID.SERVER_AUTH)),
        "another group",
    ),
    "signed by itself": (lambda: context(server=True, shown=self_signed(CA.subject)), "another group"),
    "a device's certificate for visits": (
        lambda: context(server=True, trusted=CA, shown=shown_by()),
        "not made by tinysync",
    ),
    "TLS 1.2": (
        lambda: context(server=True, shown=shown_by(), version=ssl.TLSVersion.TLSv1_2),
        "TLS 1.3|breaks off",
    ),
}


@pytest.mark.parametrize("host", HOSTS)
@in_loop
async def test_whom_is_linked_to(host):
    make, reason = HOSTS[host]
    async with impostor(make()) as url:
        with pytest.raises(LinkClosed, match=rf"{url}.*({reason})"):
            await WebSocketTransport(MAX_FRAME, new_member()).connect(url)


@in_loop
async def test_one_with_a_key_and_one_without(caplog):
    async with door() as with_key:
        with pytest.raises(LinkClosed, match="wants a key, it seems"):
            await WebSocketTransport(MAX_FRAME).connect(with_key.url.replace("wss://", "ws://"))
        assert "does not use TLS" in refusals(caplog)[-1]
    plain = Door(None)
    listener = await plain.transport.listen("127.0.0.1:0", plain.echo)
    with pytest.raises(LinkClosed, match=r"breaks off|does not use TLS"):
        await WebSocketTransport(MAX_FRAME, new_member()).connect(listener.address.replace("ws://", "wss://"))
    assert "has no key" in refusals(caplog)[-1]
    await listener.close()
    assert with_key.entered == plain.entered == 0


@in_loop
async def test_devices_of_different_groups(caplog):
    async with door(key=OTHER_GROUP) as ours:
        with pytest.raises(LinkRefused, match="another group"):
            await WebSocketTransport(MAX_FRAME, new_member()).connect(ours.url)
        await until(lambda: refusals(caplog))
        assert "another group" in refusals(caplog)[0]
    assert ours.entered == 0


# --- lists of allowed devices -----------------------------------------------------------------------------


@in_loop
async def test_a_member_that_is_not_allowed_in(caplog):
    caplog.set_level(logging.DEBUG)
    visitor, allowed = new_member(), new_member()
    async with door(allow=[allowed.fingerprint]) as ours:
        with pytest.raises(LinkRefused, match=f"on that device, pair {visitor.fingerprint}"):
            await WebSocketTransport(MAX_FRAME, visitor).connect(ours.url)
        assert f"write '{visitor.fingerprint}' into the list given as allow=" in refusals(caplog)[-1]
        assert ours.entered == 0
        assert not [r for r in caplog.records if r.name == "tinysync.websockets" and "< GET" in r.getMessage()]
        link = await WebSocketTransport(MAX_FRAME, allowed).connect(ours.url)
        await link.close()
        assert ours.entered == 1


@in_loop
async def test_a_member_that_is_not_to_be_linked_to(caplog):
    caplog.set_level(logging.DEBUG)
    host = new_member()
    async with door(host) as ours:
        visitor = new_member(allow=[])
        with pytest.raises(LinkRefused, match=f"write '{host.fingerprint}' into the list"):
            await WebSocketTransport(MAX_FRAME, visitor).connect(ours.url)
        await until(lambda: refusals(caplog))
        assert visitor.fingerprint in refusals(caplog)[-1]
        assert f"there, pair {host.fingerprint}" in refusals(caplog)[-1]
        assert not [r for r in caplog.records if r.name == "tinysync.websockets" and "GET" in r.getMessage()]


# --- those who are slow, and those who are many -----------------------------------------------------------


@in_loop
async def test_the_slowest_give_way():
    async with door() as ours, contextlib.AsyncExitStack() as stack:
        silent = []
        for _ in range(64 + 5):
            reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
            stack.callback(writer.close)
            silent.append(reader)
        with contextlib.suppress(ConnectionResetError):
            assert await silent[4].read() == b""
        link = await WebSocketTransport(MAX_FRAME, new_member()).connect(ours.url)
        await link.send(b"hello")
        assert await link.receive() == b"hello"
        await link.close()


@in_loop
async def test_who_says_nothing_is_left_after_a_while(monkeypatch, caplog):
    monkeypatch.setattr(doorkeeper, "HANDSHAKE_SECONDS", 0.05)
    async with door() as ours:
        for start in (b"", b"\x16\x03\x01\x02\x00\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
            writer.write(start)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
    assert "in time" in refusals(caplog)[0]


@in_loop
async def test_closing_does_not_wait_for_handshakes():
    async with door() as ours:
        reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
        writer.write(b"\x16\x03\x01")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()


async def knock(port, hello):
    """Send something that is no TLS of the group, and wait until the door is shut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(OSError):
        writer.write(hello)
        while await reader.read(1 << 16):
            pass
    writer.close()


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
@in_loop
async def test_links_work_on_while_many_are_refused(count, caplog):
    stranger = context(shown=shown_by(OTHER_GROUP))
    async with door() as ours:
        link = await WebSocketTransport(MAX_FRAME, new_member()).connect(ours.url)
        numbers = iter(range(count))

        async def strangers():
            for number in numbers:
                if number % 2:
                    assert not await says_hello(ours.url, stranger)
                else:
                    await knock(ours.port, (b"GET / HTTP/1.1\r\n\r\n", bytes(600))[number % 4 // 2])

        flood = asyncio.gather(*[strangers() for _ in range(10)])
        echoed = 0
        while not flood.done():
            await link.send(bytes([echoed % 256]))
            assert await link.receive() == bytes([echoed % 256])
            echoed += 1
        await flood
        assert echoed >= 10  # answered by the same loop that refuses, and that the strangers live in
        assert ours.entered == 1
        await link.close()
    assert 1 <= len(refusals(caplog)) <= 10


def test_the_same_refusal_is_reported_once_in_a_while(caplog):
    caplog.set_level(logging.DEBUG, "tinysync")
    now = 0.0
    log = Refusals(lambda: now)
    for _ in range(5):
        log.report("from here", "why")
    log.report("from there", "why")
    assert len(refusals(caplog)) == 2
    assert len(caplog.records) == 6
    now = REPEAT_SECONDS + 1
    log.report("from here", "why")
    assert len(refusals(caplog)) == 3
    for number in range(10 * MAX_REPORTS):
        log.report(f"from {number}", "why")
    assert len(refusals(caplog)) == 2 + MAX_REPORTS
