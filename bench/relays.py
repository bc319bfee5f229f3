"""What two devices with tinysync are compared with: a raw websockets relay, and pycrdt over pycrdt-websocket.

Both have a server in a process of its own between the two clients.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pycrdt import Channel, Doc, Map, Provider
from pycrdt.websocket import WebsocketServer
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from bench import burst
from bench.processes import answer, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from multiprocessing.connection import Connection

    Handler = Callable[[ServerConnection], Awaitable[None]]

MESSAGE = b"as long as the update of a short write: 50 bytes.."


async def _listen(pipe: Connection, handler: Handler) -> None:
    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        pipe.send(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        await server.serve_forever()


# --- raw websockets ---------------------------------------------------------------------------------------


class Relay:
    """Sends messages to an echo behind a relaying server."""

    def __init__(self, runner: asyncio.Runner, socket: ClientConnection) -> None:
        self._runner = runner
        self._socket = socket

    def trips(self, count: int) -> list[float]:
        """Return how long each of some messages takes one way: half of there and back."""
        return self._runner.run(self._trips(count))

    async def _trips(self, count: int) -> list[float]:
        times = []
        for _ in range(count):
            start = perf_counter()
            await self._socket.send(MESSAGE)
            await self._socket.recv()
            times.append((perf_counter() - start) / 2)
        return times


@contextmanager
def relay() -> Iterator[Relay]:
    with running(_relay_server) as server:
        url = answer(server)
        with running(_relay_echo, url) as echo, asyncio.Runner() as runner:
            answer(echo)
            socket = runner.run(_connected(url))
            yield Relay(runner, socket)
            runner.run(socket.close())


async def _connected(url: str) -> ClientConnection:
    return await connect(url, compression=None)


def _relay_server(pipe: Connection) -> None:
    clients: set[ServerConnection] = set()

    async def handle(socket: ServerConnection) -> None:
        clients.add(socket)
        with suppress(ConnectionClosed):
            async for message in socket:
                broadcast(clients - {socket}, message)
        clients.discard(socket)

    asyncio.run(_listen(pipe, handle))


def _relay_echo(pipe: Connection, url: str) -> None:
    async def echo() -> None:
        async with connect(url, compression=None) as socket:
            pipe.send("ready")
            async for message in socket:
                await socket.send(message)

    asyncio.run(echo())


# --- pycrdt-websocket -------------------------------------------------------------------------------------


class SocketChannel(Channel):
    """A websocket as pycrdt takes it."""

    def __init__(self, socket: ClientConnection | ServerConnection, path: str) -> None:
        self._socket = socket
        self._path = path

    @property
    def path(self) -> str:
        return self._path

    async def send(self, message: bytes) -> None:
        await self._socket.send(message)

    async def recv(self) -> bytes:
        return await self._socket.recv(decode=False)

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None


class Room:
    """The client that writes, behind a room server."""

    def __init__(self, url: str, pipe: Connection) -> None:
        self._url = url
        self._pipe = pipe

    def burst(self, name: str) -> float:
        """Return how long it takes until the other client has all of many writes."""
        return asyncio.run(self._burst(name))

    async def _burst(self, name: str) -> float:
        # One after the other: the server cannot open a room for two at once.
        self._pipe.send(name)
        assert answer(self._pipe) == "ready"
        async with _joined(self._url, name) as conf:
            start = perf_counter()
            burst.write(conf)
            arrived = await asyncio.to_thread(answer, self._pipe)
            elapsed = perf_counter() - start
            assert arrived == burst.WRITES
            return elapsed


@contextmanager
def room() -> Iterator[Room]:
    with running(_room_server) as server:
        url = answer(server)
        with running(_room_client, url) as client:
            yield Room(url, client)


@asynccontextmanager
async def _joined(url: str, name: str) -> AsyncIterator[Map[Any]]:
    doc: Doc[Any] = Doc()
    conf: Map[Any] = Map()
    doc["conf"] = conf
    async with (
        connect(f"{url}/{name}", compression=None) as socket,
        Provider(doc, SocketChannel(socket, name)) as provider,
    ):
        await provider.synced.wait()
        yield conf


def _room_server(pipe: Connection) -> None:
    async def run() -> None:
        async with WebsocketServer() as rooms:
            await _listen(pipe, partial(_serve_room, rooms))

    asyncio.run(run())


async def _serve_room(rooms: WebsocketServer, socket: ServerConnection) -> None:
    assert socket.request is not None
    await rooms.serve(SocketChannel(socket, socket.request.path))


def _room_client(pipe: Connection, url: str) -> None:
    while True:
        asyncio.run(_take_burst(pipe, url, pipe.recv()))


async def _take_burst(pipe: Connection, url: str, name: str) -> None:
    arrived = asyncio.Event()

    def look(event: Any) -> None:
        if burst.LAST in event.keys:
            arrived.set()

    async with _joined(url, name) as conf:
        conf.observe(look)
        pipe.send("ready")
        await arrived.wait()
        pipe.send(len(conf))
