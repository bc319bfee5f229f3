"""What every transport promises: the same tests for each of them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import wraps

import pytest

from tests.group.members import new_member
from tinysync.errors import InvalidAddress, LinkClosed, PeerError
from tinysync.transport.memory import MemoryTransport
from tinysync.transport.websocket import WebSocketTransport

MAX_FRAME = 1 << 20


def in_loop(test):
    """Run a coroutine function as a test, within a deadline."""

    @wraps(test)
    def run(*args, **kwargs):
        async def within_deadline():
            async with asyncio.timeout(30):
                await test(*args, **kwargs)

        asyncio.run(within_deadline())

    return run


@dataclass
class Place:
    """A transport that is listened on, and the links that came in."""

    transport: object
    address: str
    another: str
    incoming: asyncio.Queue = field(default_factory=asyncio.Queue)
    ended: int = 0

    async def listen(self, address=None):
        self.done = asyncio.Event()
        self.listener = await self.transport.listen(address or self.address, self.take)
        return self.listener

    async def take(self, link):
        self.incoming.put_nowait(link)
        try:
            await self.done.wait()
        finally:
            self.ended += 1

    async def pair(self):
        """Return the two ends of a new link."""
        ours = await self.transport.connect(self.listener.address)
        return ours, await self.incoming.get()


@pytest.fixture(params=["websocket", "encrypted websocket", "memory"])
def place(request):
    if request.param == "memory":
        return Place(MemoryTransport(MAX_FRAME), "here", "nowhere")
    if request.param == "encrypted websocket":
        return Place(WebSocketTransport(MAX_FRAME, new_member()), "127.0.0.1:0", "127.0.0.1:1")
    return Place(WebSocketTransport(MAX_FRAME), "127.0.0.1:0", "127.0.0.1:1")


@contextlib.asynccontextmanager
async def linked(place):
    """Two linked ends, in both roles: (a, b) is yielded with a having connected."""
    listener = await place.listen()
    ours, theirs = await place.pair()
    try:
        yield ours, theirs
    finally:
        await ours.close()
        await theirs.close()
        place.done.set()
        await listener.close()


@in_loop
async def test_frames_arrive_whole_and_in_order_both_ways(place):
    frames = [b"", b"\x00", b"one", bytes(70_000), b"\xff" * MAX_FRAME, b"last"]
    async with linked(place) as ends:
        for sender, receiver in (ends, reversed(ends)):
            sending = asyncio.gather(*[sender.send(frame) for frame in frames])
            assert [await receiver.receive() for _ in frames] == frames
            await sending


@in_loop
async def test_what_can_be_sent_at_once_stays_in_order_with_the_rest(place):
    async with linked(place) as ends:
        for sender, receiver in (ends, reversed(ends)):
            await sender.send(b"first")
            assert await receiver.receive() == b"first"
            assert sender.send_now([b"second", b"", bytes(50_000)])
            await sender.send(b"last")
            assert [await receiver.receive() for _ in range(4)] == [b"second", b"", bytes(50_000), b"last"]


@in_loop
async def test_what_was_sent_before_closing_arrives(place):
    for closes in (0, 1):
        async with linked(place) as ends:
            sender, receiver = ends[closes], ends[1 - closes]
            for number in range(10):
                await sender.send(bytes([number]))
            closing = asyncio.ensure_future(sender.close())
            assert [await receiver.receive() for _ in range(10)] == [bytes([n]) for n in range(10)]
            with pytest.raises(LinkClosed):
                await receiver.receive()
            await closing


@in_loop
async def test_both_ends_learn_that_the_link_is_closed(place):
    async with linked(place) as (one, other):
        await one.close()
        for end in (one, other):
            with pytest.raises(LinkClosed):
                await end.receive()
            with pytest.raises(LinkClosed):
                await end.send(b"too late")
            assert not end.send_now([b"too late"])
            await end.close()
            await end.close()


@in_loop
async def test_closing_ends_a_receive_that_waits(place):
    async with linked(place) as (one, other):
        waiting = [asyncio.ensure_future(end.receive()) for end in (one, other)]
        await asyncio.sleep(0)
        await one.close()
        for receive in waiting:
            with pytest.raises(LinkClosed):
                await receive


@in_loop
async def test_a_cancelled_receive_loses_nothing(place):
    async with linked(place) as (one, other):
        for number in range(20):
            waiting = asyncio.ensure_future(other.receive())
            await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            await one.send(bytes([number]))
            assert await other.receive() == bytes([number])


@in_loop
async def test_frames_can_be_taken_as_they_arrive_while_somebody_waits_for_one(place):
    async with linked(place) as ends:
        for sender, receiver in (ends, reversed(ends)):
            taken = []
            receiver.take_at_once(lambda frame, taken=taken: taken.append(frame) is None and frame != b"stop")
            waiting = asyncio.ensure_future(receiver.receive())
            await asyncio.sleep(0)
            frames = [b"one", b"", bytes(70_000), b"stop"]
            for frame in frames:
                await sender.send(frame)
            assert await waiting == b"stop"
            assert taken == frames


@in_loop
async def test_what_is_declined_is_received_in_order_and_not_overtaken(place):
    async with linked(place) as (one, other):
        offered = []

        def take(frame):
            offered.append(frame[0])
            return frame[0] % 3 != 0

        other.take_at_once(take)
        got = []

        async def receive_all():
            while not got or got[-1] != 30:
                got.append((await other.receive())[0])
                assert sorted({*offered, *got}) == list(range(max(*offered, *got) + 1))

        receiving = asyncio.ensure_future(receive_all())
        await asyncio.sleep(0)
        for number in range(10):
            await one.send(bytes([number]))
        assert one.send_now([bytes([number]) for number in range(10, 14)])
        for number in range(14, 31):
            await one.send(bytes([number]))
        await receiving
        # Each once, either taken or received; what was received first arrived first.
        taken = [number for number in offered if number % 3 != 0]
        assert sorted([*taken, *got]) == list(range(31))
        assert got == sorted(got)
        assert taken == sorted(taken)


@in_loop
async def test_nothing_is_taken_while_nobody_waits(place):
    async with linked(place) as (one, other):
        taken = []
        other.take_at_once(lambda frame: taken.append(frame) is None)
        await one.send(b"early")
        assert await one.is_alive(5)  # it has arrived: what answers has come behind it
        await asyncio.sleep(0)
        assert not taken
        assert await other.receive() == b"early"
        waiting = asyncio.ensure_future(other.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await one.send(b"late")
        assert await one.is_alive(5)
        assert await other.receive() == b"late"
        assert not taken


async def fill(sender) -> asyncio.Task:
    """Send until it takes no more; return the sending that waits."""

    sent = 0

    async def send_on_and_on():
        nonlocal sent
        while True:
            await sender.send(bytes(MAX_FRAME))
            sent += 1

    sending = asyncio.ensure_future(send_on_and_on())
    before, quiet = sent, 0
    # Turns of the loop, and not only time: a slow machine may stop all for a while.
    while quiet < 20:
        finished, _ = await asyncio.wait({sending}, timeout=0.025)
        assert not finished
        quiet = quiet + 1 if sent == before > 0 else 0
        before = sent
    return sending


@in_loop
async def test_a_slow_receiver_slows_the_sender(place):
    async with linked(place) as (one, other):
        sending = await fill(one)
        assert not one.send_now([b"x"])
        sending.cancel()
        await one.close()
        received = 0
        with contextlib.suppress(LinkClosed):
            while True:
                received += len(await other.receive())
        assert received <= 64 * MAX_FRAME


@pytest.mark.parametrize("closes", [0, 1], ids=["sender", "receiver"])
@in_loop
async def test_a_link_that_nobody_reads_can_be_closed(place, closes):
    async with linked(place) as ends:
        sending = await fill(ends[0])
        await ends[closes].close()
        with pytest.raises(LinkClosed):
            await sending


@in_loop
async def test_a_frame_that_is_too_large_closes_the_link(place):
    async with linked(place) as (one, other):
        sending = asyncio.ensure_future(one.send(bytes(MAX_FRAME + 1)))
        with pytest.raises(PeerError):
            await other.receive()
        with contextlib.suppress(LinkClosed):
            await sending
        await other.close()
        with pytest.raises(LinkClosed):
            await one.receive()


@in_loop
async def test_nobody_there_is_a_clear_error(place):
    with pytest.raises(LinkClosed, match=place.another):
        await place.transport.connect(place.another)


@in_loop
async def test_a_place_that_is_taken_is_a_clear_error(place):
    listener = await place.listen()
    try:
        with pytest.raises(InvalidAddress, match="choose another") as caught:
            await place.transport.listen(listener.address, place.take)
        assert listener.address.removeprefix("ws://") in str(caught.value)
    finally:
        await listener.close()


@in_loop
async def test_a_place_can_be_taken_again_once_it_is_free(place):
    address = (await place.listen()).address
    ours, _ = await place.pair()
    place.done.set()
    await place.listener.close()
    await ours.close()
    await place.listen(address)
    ours, theirs = await place.pair()
    await ours.send(b"again")
    assert await theirs.receive() == b"again"
    place.done.set()
    await place.listener.close()
    await ours.close()


@in_loop
async def test_closing_a_listener_closes_the_links_that_came_in(place):
    listener = await place.listen()
    ours, _ = await place.pair()
    place.done.set()
    await listener.close()
    with pytest.raises(LinkClosed):
        await ours.receive()
    with pytest.raises(LinkClosed):
        await place.transport.connect(listener.address)
    assert place.ended == 1


@in_loop
async def test_a_listener_closes_although_a_peer_does_not_read(place):
    listener = await place.listen()
    ours, theirs = await place.pair()
    sending = await fill(theirs)
    place.done.set()
    await listener.close()
    with pytest.raises(LinkClosed):
        await sending
    await ours.close()


@in_loop
async def test_the_link_closes_when_its_handler_ends(place):
    async with linked(place) as (ours, _):
        place.done.set()
        with pytest.raises(LinkClosed):
            await ours.receive()


@in_loop
async def test_many_links_do_not_mix(place):
    await place.listen()
    pairs = [await place.pair() for _ in range(10)]
    for number, (ours, _) in enumerate(pairs):
        await ours.send(bytes([number]))
    for number, (_, theirs) in reversed(list(enumerate(pairs))):
        assert await theirs.receive() == bytes([number])
    for ours, theirs in pairs:
        await theirs.close()
        await ours.close()
    place.done.set()
    await place.listener.close()
