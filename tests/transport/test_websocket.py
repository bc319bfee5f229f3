"""What only websockets can get wrong."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tinysync.errors import LinkClosed, ProtocolError
from tinysync.transport.websocket import WebSocketTransport

from .test_links import in_loop

TRANSPORT = WebSocketTransport(1 << 20)


@contextlib.asynccontextmanager
async def listening(handler):
    listener = await TRANSPORT.listen("127.0.0.1:0", handler)
    try:
        yield listener.address
    finally:
        await listener.close()


async def echo(link):
    with contextlib.suppress(LinkClosed):
        while True:
            await link.send(await link.receive())


@in_loop
async def test_a_web_page_cannot_connect():
    async with listening(echo) as address:
        for origin in ("https://example.com", "http://localhost", "null"):
            with pytest.raises(InvalidStatus) as caught:
                await connect(address, origin=origin)
            assert caught.value.response.status_code == 403


@in_loop
async def test_a_text_message_is_a_protocol_error():
    errors = asyncio.Queue()

    async def receive(link):
        try:
            await link.receive()
        except ProtocolError as error:
            errors.put_nowait(error)

    async with listening(receive) as address, connect(address) as socket:
        await socket.send("text")
        assert "binary" in str(await errors.get())


@in_loop
async def test_a_cut_is_noticed_on_both_ends():
    ends = asyncio.Queue()

    async def take(link):
        ends.put_nowait(link)
        with pytest.raises(LinkClosed):
            await link.receive()
        ends.put_nowait("noticed")

    async with listening(take) as address:
        ours = await TRANSPORT.connect(address)
        await ends.get()
        ours._socket.transport.abort()
        with pytest.raises(LinkClosed):
            await ours.receive()
        assert await ends.get() == "noticed"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ws://example.com/\r\n\r\n",
        bytes(100_000),
    ],
    ids=["nothing", "ssh", "http", "redirect", "redirect elsewhere", "zeros"],
)
@in_loop
async def test_something_else_that_answers_is_nobody(answer):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(LinkClosed, match=f"127.0.0.1:{port}"):
            await TRANSPORT.connect(f"127.0.0.1:{port}")
    finally:
        server.close()
        await server.wait_closed()


@in_loop
async def test_strangers_neither_disturb_nor_are_printed(capfd):
    async with listening(echo) as address:
        ours = await TRANSPORT.connect(address)
        for hello in (b"", b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", bytes(100_000)):
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(address).port)
            writer.write(hello)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        await ours.send(b"still here")
        assert await ours.receive() == b"still here"
        await ours.close()
    assert capfd.readouterr().err == ""
