"""Peers bring documents in step, whatever their topology, and again after they were apart."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading

import pytest

from tinysync.errors import InvalidAddress, UsageError
from tinysync.model import Outcome

from .devices import DEADLINE, Blobs, blob, digest, wait_until


def devices(count: int, name: str = "todo") -> list[Blobs]:
    return [Blobs(name) for _ in range(count)]


def write(peer, document, *contents):
    peer.publish(document.name, document.add(*contents))


def test_what_each_side_has_and_writes_comes_to_the_other(peers):
    one, other = devices(2)
    one.add(b"old one")
    other.add(b"old other")
    a = peers(one, listen="127.0.0.1:0", device="laptop")
    b = peers(other, connect=[a.url], device="phone")
    b.wait_synced("todo", DEADLINE)
    assert one.contents == other.contents == {b"old one", b"old other"}
    write(a, one, b"new one")
    write(b, other, b"new other")
    a.wait_synced("todo", DEADLINE)
    b.wait_synced("todo", DEADLINE)
    assert one.contents == other.contents == {b"old one", b"old other", b"new one", b"new other"}
    assert (a.connected_devices(), b.connected_devices()) == (["phone"], ["laptop"])
    assert {device for device, _ in one.deliveries} == {"phone"}


def test_nothing_comes_back_to_where_it_came_from(peers):
    one, other = devices(2)
    a = peers(one, listen="127.0.0.1:0")
    b = peers(other, connect=[a.url])
    b.wait_synced("todo", DEADLINE)
    before = len(one.deliveries)
    for number in range(100):
        write(a, one, b"%d" % number)
    a.wait_synced("todo", DEADLINE)
    # The one delivery is the empty answer to what wait_synced asks, if it is delivered at all.
    assert [outcome for _, outcome in one.deliveries[before:]] in ([], [Outcome.DUPLICATE])


def test_a_document_shared_later_opens_then(peers):
    one, other = devices(2)
    a = peers(listen="127.0.0.1:0")
    b = peers(connect=[a.url])
    a.share(one)
    write(a, one, b"x")
    wait_until(a.connected_devices)
    b.share(other)
    b.wait_synced("todo", DEADLINE)
    assert other.contents == {b"x"}


def test_several_documents_travel_over_one_link(peers):
    ours = [Blobs(f"document {number}") for number in range(50)]
    theirs = [Blobs(f"document {number}") for number in range(50)]
    a = peers(*ours, listen="127.0.0.1:0")
    b = peers(*theirs, connect=[a.url])
    for document in ours:
        write(a, document, document.name.encode())
    for document in theirs:
        b.wait_synced(document.name, DEADLINE)
        assert document.contents == {document.name.encode()}


def test_a_chain_of_three(peers):
    first, middle, last = devices(3)
    b = peers(middle, listen="127.0.0.1:0")
    a = peers(first, connect=[b.url])
    c = peers(last, connect=[b.url])
    write(a, first, b"from a")
    write(c, last, b"from c")
    for document in (first, middle, last):
        document.wait_for(b"from a", b"from c")


def test_a_ring_of_three_comes_to_rest(peers):
    documents = devices(3)
    ring = [peers(document, listen="127.0.0.1:0") for document in documents]
    for peer, following in itertools.pairwise([*ring, ring[0]]):
        peer.connect(following.url)
    for number, (peer, document) in enumerate(zip(ring, documents, strict=True)):
        for count in range(20):
            write(peer, document, b"%d %d" % (number, count))
    for _ in range(2):
        for peer in ring:
            peer.wait_synced("todo", DEADLINE)
    assert all(len(document.contents) == 60 for document in documents)
    before = [len(document.deliveries) for document in documents]
    ring[0].wait_synced("todo", DEADLINE)
    after = [len(document.deliveries) for document in documents]
    assert sum(after) - sum(before) <= 2


def test_edits_made_apart_meet_after_a_cut(peers, cables):
    one, other = devices(2)
    a = peers(one, listen="127.0.0.1:0")
    cable = cables(a.url)
    b = peers(other, connect=[cable.url])
    b.wait_synced("todo", DEADLINE)
    for number in range(3):
        cable.cut()
        wait_until(lambda: not a.connected_devices() and not b.connected_devices())
        write(a, one, b"a%d" % number)
        write(b, other, b"b%d" % number)
        cable.plug_in()
        b.wait_synced("todo", DEADLINE)
        assert one.contents == other.contents
    assert len(one.contents) == 6
    assert one.cuts >= 3
    assert other.cuts >= 3


def test_a_peer_that_comes_back_at_its_port_is_found_again(peers):
    one, other = devices(2)
    a = peers(one, listen="127.0.0.1:0")
    url = a.url
    b = peers(other, connect=[url])
    b.wait_synced("todo", DEADLINE)
    a.close()
    write(b, other, b"while a was away")
    again = Blobs("todo")
    peers(again, listen=url)
    b.wait_synced("todo", DEADLINE)
    assert again.contents == {b"while a was away"}


def test_a_peer_may_start_before_the_one_it_connects_to(peers):
    one, other = devices(2)
    probe = peers(listen="127.0.0.1:0")
    url = probe.url
    probe.close()
    b = peers(other, connect=[url])
    write(b, other, b"early")
    peers(one, listen=url)
    b.wait_synced("todo", DEADLINE)
    assert one.contents == {b"early"}


def test_a_document_is_unshared_and_shared_again(peers):
    one, other = devices(2)
    a = peers(one, listen="127.0.0.1:0")
    b = peers(other, connect=[a.url])
    b.wait_synced("todo", DEADLINE)
    a.publish("todo", one.add(b"last words"))
    a.unshare("todo")
    other.wait_for(b"last words")
    write(b, other, b"meanwhile")
    a.publish("todo", one.add(b"unheard"))
    a.share(one)
    b.wait_synced("todo", DEADLINE)
    assert one.contents == other.contents == {b"last words", b"meanwhile", b"unheard"}


def test_updates_whose_predecessors_are_missing_are_made_whole(peers):
    first, middle, last = devices(3)
    b = peers(middle, listen="127.0.0.1:0", device="middle")
    a = peers(first, connect=[b.url], device="first")
    c = peers(last, connect=[b.url], device="last")
    for peer in (a, c):
        peer.wait_synced("todo", DEADLINE)
    (root,) = first.add(b"root")
    late = blob(b"late", after=digest(root))
    first._known[digest(late)] = late
    independent = first.add(b"independent")
    # The root itself was never sent: a record that was lost on its way, say.
    a.publish("todo", [*independent, late])
    for document in (middle, last):
        document.wait_for(b"root", b"late", b"independent")
    a.wait_synced("todo", DEADLINE)
    assert Outcome.PENDING in [outcome for _, outcome in middle.deliveries]


def test_updates_whose_predecessors_nobody_has_do_not_go_round_for_ever(peers):
    documents = devices(3)
    ring = [peers(document, listen="127.0.0.1:0") for document in documents]
    for peer, following in itertools.pairwise([*ring, ring[0]]):
        peer.connect(following.url)
    for peer in ring:
        peer.wait_synced("todo", DEADLINE)
    lost = blob(b"lost", after=digest(b"nobody has this"))
    documents[0]._parked[digest(lost)] = lost
    ring[0].publish("todo", [lost])
    for document in documents[1:]:
        document.wait_until(lambda document=document: digest(lost) in document._parked)
    # It holds up nothing else, and nobody waits for it for ever.
    for number in range(3):
        for peer, document in zip(ring, documents, strict=True):
            write(peer, document, b"%d %d" % (number, id(peer)))
        for peer in ring:
            peer.wait_synced("todo", DEADLINE)
    for document in documents:
        document.wait_until(lambda document=document: len(document.contents) == 9)
    assert all(len(document.deliveries) < 100 for document in documents)


def test_it_works_inside_a_running_event_loop(peers):
    one, other = devices(2)

    async def main():
        a = peers(one, listen="127.0.0.1:0")
        b = peers(other, connect=[a.url])
        write(a, one, b"x")
        await asyncio.to_thread(b.wait_synced, "todo", DEADLINE)
        b.close()
        a.close()

    asyncio.run(main())
    assert other.contents == {b"x"}


def test_many_threads_publish_at_once(peers):
    one, other = devices(2)
    a = peers(one, listen="127.0.0.1:0")
    b = peers(other, connect=[a.url])
    b.wait_synced("todo", DEADLINE)

    async def main():
        await asyncio.gather(
            *[
                asyncio.to_thread(lambda t=t: [write(a, one, b"%d %d" % (t, n)) for n in range(100)])
                for t in range(8)
            ]
        )

    asyncio.run(main())
    a.wait_synced("todo", DEADLINE)
    assert len(other.contents) == 800


def test_addresses_are_checked_at_once(peers):
    for options in (
        {"listen": "0.0.0.0:8765"},
        {"connect": ["ws://192.168.1.2:8765"]},
        {"connect": ["127.0.0.1:0"]},
        {"connect": "ws://127.0.0.1:8765"},
        {"listen": "nonsense"},
    ):
        with pytest.raises(InvalidAddress):
            peers(**options)
    a = peers(listen="127.0.0.1:0")
    with pytest.raises(InvalidAddress):
        a.connect("wss://127.0.0.1:8765")
    with pytest.raises(InvalidAddress, match="choose another port"):
        peers(listen=a.url)


@pytest.mark.parametrize("name", [5, None, "other", ["todo"]])
def test_only_what_is_shared_is_waited_for(peers, name):
    peer = peers(Blobs("todo"), connect=["ws://127.0.0.1:9"])
    with pytest.raises(UsageError, match=r"'todo'.*" if name == "other" else "the name of a structure"):
        peer.wait_synced(name, 0.1)
    with pytest.raises(UsageError):
        peer.begin_wait_synced(name, 0.1).result(DEADLINE)


def test_a_name_is_shared_once(peers):
    one, other = devices(2)
    a = peers(one)
    with pytest.raises(UsageError, match="already"):
        a.share(other)
    a.unshare("todo")
    a.share(other)


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_breaks_at_random_comes_together(peers, cables, seed):
    chance = random.Random(seed)
    documents = devices(4)
    hubs = [peers(document, listen="127.0.0.1:0") for document in documents]
    lines = [cables(hub.url) for hub in hubs]
    for peer, line in itertools.pairwise(zip(hubs, lines, strict=True)):
        peer[0].connect(line[1].url)
    hubs[-1].connect(lines[0].url)
    written = set()
    for number in range(60):
        at = chance.randrange(4)
        match chance.choice(["write", "write", "write", "cut", "plug in", "transaction"]):
            case "write":
                written.add(b"%d" % number)
                write(hubs[at], documents[at], b"%d" % number)
            case "cut":
                lines[at].cut()
            case "plug in":
                lines[at].plug_in()
            case "transaction":
                with documents[at].transaction():
                    threading.Event().wait(chance.random() / 100)
    for line in lines:
        line.plug_in()
    for document in documents:
        document.wait_for(*written)
        assert document.contents == written
