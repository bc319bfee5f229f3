"""A chain of devices: the ends name each other as authors, although the one between brings all."""

from __future__ import annotations

import contextlib

import pytest

from tests.peer.devices import wait_until
from tinysync import track, tracker
from tinysync.crdt import renewal
from tinysync.model import Author
from tinysync.protocol.messages import Hello, Wrote
from tinysync.testing import Device as Simulated
from tinysync.testing import _SimulatedPeer
from tinysync.transport.memory import MemoryNetwork

from .by_hand import ByHand
from .device import assert_equal, synced

START = {"port": 0, "tasks": []}


class Chain:
    """Devices A, B and C: A and C are linked to B, and can be cut off."""

    def __init__(self, folder=None) -> None:
        self.folder = folder

    def cut(self) -> None:
        """Cut all links."""

    def plug_in(self) -> None:
        """Let all links be made again."""

    def is_cut(self) -> bool:
        return not any(one.peer.connected_devices() for one in self.devices)


class InMemory(Chain):
    def __init__(self, folder=None, device=None, cable=None) -> None:
        super().__init__(folder)
        self._network = MemoryNetwork()
        self.start()

    def start(self) -> None:
        addresses = {name: f"ws://127.0.0.1:{number}" for number, name in enumerate("ABC", 1)}
        self._addresses = addresses
        self.devices = [
            Simulated(
                name,
                _SimulatedPeer(self._network, addresses[name], [addresses["B"]] if name != "B" else [], name),
                self.folder and self.folder / name,
            )
            for name in "ABC"
        ]

    def cut(self) -> None:
        self._network.partition(*({address} for address in self._addresses.values()))
        wait_until(self.is_cut)

    def plug_in(self) -> None:
        self._network.partition()
        for one in self.devices:
            one.peer.reconnect()

    def close(self) -> None:
        for one in self.devices:
            one.close()


class OverWebSockets(Chain):
    def __init__(self, folder, device, cable) -> None:
        super().__init__(folder)
        between = device(folder and folder / "B", listen="127.0.0.1:0", device="B")
        self._wire = cable(between.peer.url)
        ends = [device(folder and folder / name, connect=[self._wire.url], device=name) for name in "AC"]
        self.devices = [ends[0], between, ends[1]]

    def cut(self) -> None:
        self._wire.cut()
        wait_until(self.is_cut)

    def plug_in(self) -> None:
        self._wire.plug_in()
        for one in self.devices:
            one.peer.reconnect()

    def close(self) -> None:
        """The fixture does."""


@pytest.fixture(params=[InMemory, OverWebSockets], ids=["in memory", "websockets"])
def chain(request, device, cable):
    made = request.param(None, device, cable)
    with contextlib.closing(made):
        yield made


@pytest.fixture
def kept(tmp_path):
    """A chain in memory, of which the structures are kept on disk."""
    made = InMemory(tmp_path)
    with contextlib.closing(made):
        yield made


def together(*structures):
    synced(*structures, *structures)
    assert_equal(*structures)


def conflicts(structure):
    return [(one.path, one.lost_device, one.kept_device, one.via) for one in tracker(structure).conflicts()]


def test_conflicts_name_the_device_at_the_other_end(chain):
    first, between, last = (one.track(START, "todo") for one in chain.devices)
    together(first, between, last)
    # A session that has written nothing may change its client id yet.
    first.a, last.c = 1, 1
    together(first, between, last)
    chain.cut()
    first.port, last.port = 1, 3
    first.tasks.append("A")
    chain.plug_in()
    wait_until(lambda: first == between == last)
    together(first, between, last)
    devices = ("C", "A") if first.port == 1 else ("A", "C")
    for structure in (first, last):
        for path, lost, kept, via in conflicts(structure):
            assert (path, lost, kept, via) == (["port"], *devices, False)
    loser = last if first.port == 1 else first
    assert len(conflicts(loser)) == 1
    assert conflicts(between) == []


def test_changes_name_who_wrote_them(chain):
    changes = []
    first, between, last = chain.devices
    theirs, there = first.track(START, "todo"), between.track(START, "todo")
    ours = last.track(
        START, "todo", callback=lambda told: changes.extend(told if isinstance(told, list) else [told])
    )
    together(theirs, there, ours)
    theirs.port = 1
    wait_until(lambda: ours.port == 1)
    there.port = 2
    wait_until(lambda: changes and changes[-1].args == ("port", 2))
    assert [(change.device, change.via) for change in changes] == [("A", False), ("B", False)]
    # Caught up with, it is told as well.
    chain.cut()
    changes.clear()
    theirs.port = 3
    chain.plug_in()
    wait_until(lambda: changes)
    assert [(change.device, change.via) for change in changes] == [("A", False)]


def test_a_client_id_anew_is_told_anew(chain, monkeypatch):
    monkeypatch.setattr(renewal, "RENEW_AFTER", 0.0)
    changes = []
    first, between, last = (one.track(START, "todo") for one in chain.devices)
    tracker(last).on("port", changes.append)
    together(first, between, last)
    ids = set()
    for number in range(1, 4):
        first.port = number
        wait_until(lambda number=number: changes and changes[-1].args == ("port", number))
        ids.add(tracker(first)._replica.document.engine.client_id)
        chain.cut()
        chain.plug_in()
        synced(first, last)
    assert len(ids) == 3
    assert [(change.device, change.via) for change in changes] == [("A", False)] * 3


def test_after_a_restart_of_all_the_author_is_known_that_is_offline(kept):
    first, between, last = (one.track(START, "todo") for one in kept.devices)
    together(first, between, last)
    kept.cut()
    first.port = 1
    kept.plug_in()
    wait_until(lambda: between.port == 1 and last.port == 1)
    together(first, between, last)
    # C writes what B had not heard of when it was closed, and does not hear of A any more.
    kept.cut()
    first.port = 2
    first.tasks.append("A")
    tracker(last).close()
    kept.plug_in()
    wait_until(lambda: between.port == 2)
    together(first, between)
    kept.close()
    # C was offline when it wrote, and A is from here on.
    alone = track(START, "todo", folder=kept.folder / "C")
    alone.port = 3
    tracker(alone).close()
    kept.start()
    kept.devices[0].close()
    between, last = (one.track(START, "todo") for one in kept.devices[1:])
    together(between, last)
    assert last.tasks == ["A"]
    devices = ("C", "A") if last.port == 2 else ("A", "C")
    assert {tuple(one[1:]) for one in conflicts(last)} <= {(*devices, False)}
    if last.port == 2:  # it always knows what it has lost
        assert conflicts(last)
    newest = tracker(last).history()[0]
    assert (newest.device, newest.via) == ("A", False)


def test_who_comes_later_learns_who_wrote_before(kept):
    first, between, _ = (one.track(START, "todo") for one in kept.devices)
    first.port = 1
    together(first, between)
    for one in kept.devices:
        one.close()
    kept.start()
    kept.devices[0].close()
    kept.devices[2].close()
    between = kept.devices[1].track(START, "todo")
    told = []
    with ByHandInMemory(kept) as newcomer:
        copy = newcomer.track({}, "todo", callback=told.append)
        synced(copy)
        wait_until(lambda: copy == between)
        known = tracker(copy)._replica.known.authors
        assert {author.name for author in known.others().values()} >= {"A"}
        wait_until(lambda: told)
        [changes] = told
        assert {(change.args[0], change.device, change.via) for change in changes} >= {("port", "A", False)}


class ByHandInMemory:
    """One more device in the network of a chain."""

    def __init__(self, chain) -> None:
        peer = _SimulatedPeer(chain._network, "ws://127.0.0.1:9", [chain._addresses["B"]], "D")
        self._device = Simulated("D", peer, None)

    def __enter__(self) -> Simulated:
        return self._device

    def __exit__(self, *error: object) -> None:
        self._device.close()


# --- peers that are driven by hand --------------------------------------------------------------------------


def without_authors(client):
    """Have a peer by hand say nothing of authors, as one that knows of none."""
    hello = client.session._outbox[0]
    limits = {name: limit for name, limit in hello.limits.items() if name != "max_authors"}
    client.session._outbox[0] = Hello(hello.version, hello.device, hello.name, limits)


def test_a_peer_that_knows_of_no_authors_is_served_as_any_other(device):
    changes = []
    hub = device(listen="127.0.0.1:0", device="hub")
    ours = hub.track({}, callback=changes.append)
    ours.x = 0
    with ByHand(hub.peer.url) as client:
        without_authors(client)
        client.join()
        ours.x = 1
        client.read_until(lambda: client.copy == {"x": 1})
        client.publish(client.write("x", 2))
        wait_until(lambda: ours.x == 2)
    assert not any(isinstance(message, Wrote) for message in client.received)
    assert (changes[-1].device, changes[-1].via) == ("by hand", True)


def test_nobody_claims_what_this_device_writes(device):
    hub, phone = device(listen="127.0.0.1:0", device="hub"), device(device="phone")
    ours = hub.track({})
    ours.x = 1
    own = tracker(ours)._replica.document.engine.client_id
    with ByHand(hub.peer.url) as liar:
        liar.join()
        liar.send(Wrote("todo", "", "liar", [own, 77]))
        wait_until(lambda: tracker(ours)._replica.known.authors.of(77))
        told = [message for message in liar.received if isinstance(message, Wrote)]
        assert [(message.name, message.clients) for message in told] == [("hub", [own])]
        phone.peer.connect(hub.peer.url)
        theirs = phone.track({})
        synced(theirs)
    names = {client: author.name for client, author in tracker(theirs)._replica.known.authors.others().items()}
    assert names == {own: "hub", 77: "liar"}


def test_what_one_tells_is_told_to_all_others_once(device):
    hub = device(listen="127.0.0.1:0", device="hub")
    hub.track({})
    with ByHand(hub.peer.url) as one, ByHand(hub.peer.url) as two:
        one.join()
        two.join()
        for _ in range(3):
            one.send(Wrote("todo", "", "one", [5, 6]))
        two.read_until(lambda: any(isinstance(message, Wrote) for message in two.received))
        one.publish(one.write("x", 1))
        two.read_until(lambda: two.copy == {"x": 1})
        two.publish(two.write("y", 1))
        one.read_until(lambda: one.copy == {"x": 1, "y": 1})
        assert [message.clients for message in two.received if isinstance(message, Wrote)] == [[5, 6]]
        assert not any(isinstance(message, Wrote) for message in one.received)


@pytest.mark.parametrize(
    "message",
    [Wrote("todo", "", "x", [1] * 1001), Wrote("todo", "", "x" * 101, [1]), Wrote("todo", "", "x", [2**52])],
    ids=["many", "long name", "a seed"],
)
def test_what_is_over_a_limit_closes_the_link(device, message):
    hub = device(listen="127.0.0.1:0", device="hub")
    ours = hub.track({})
    with ByHand(hub.peer.url) as client:
        client.join()
        client.send(message)
        assert client.last_word().code == "malformed"
    assert tracker(ours)._replica.known.authors.others() == {}


def test_many_are_told_in_several_frames(device):
    hub = device(listen="127.0.0.1:0", device="hub")
    ours = hub.track({})
    ours.x = 1
    known = tracker(ours)._replica.known.authors
    for number in range(5):
        known.learn(Author("", f"device {number % 2}"), range(number * 600, number * 600 + 600))
    with ByHand(hub.peer.url) as client:
        client.join()
        told = [message for message in client.received if isinstance(message, Wrote)]
    assert sum(len(message.clients) for message in told) == 3001
    assert max(len(message.clients) for message in told) <= 1000
