"""What goes wrong on one document or link stays there, is said clearly, and is made good later."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_raw

from tinysync.errors import BadUpdate, KindMismatch, PeerRefused, StorageError, StructureClosed, SyncTimeout
from tinysync.model import Outcome
from tinysync.peer import connection, links
from tinysync.protocol import Code, Limits
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.messages import VERSION, Error, Hello, Open, Sync2, Update
from tinysync.transport.backoff import Backoff

from .devices import DEADLINE, Blobs, wait_until

SHORT = 0.3


def pair(peers, *, through=None, name="todo"):
    """Two peers in step, each with a document of the same name, and one more that they share besides."""
    one, other = Blobs(name), Blobs(name)
    a = peers(one, Blobs("besides"), listen="127.0.0.1:0", device="laptop")
    url = a.url if through is None else through(a.url).url
    b = peers(other, Blobs("besides"), connect=[url], device="phone")
    b.wait_synced(name, DEADLINE)
    b.wait_synced("besides", DEADLINE)
    return a, one, b, other


def besides_works(a, b):
    """Check that a document that has no trouble travels on."""
    for end in (a, b):
        document = end._documents["besides"]
        end.publish("besides", document.add(str(time.monotonic_ns()).encode()))
        end.wait_synced("besides", DEADLINE)
    assert a._documents["besides"].contents == b._documents["besides"].contents


def queued(end) -> int:
    """Return how many bytes wait in a peer, sent and received, but for what the system's sockets hold."""
    return sum(
        c.session.documents._budget.used + c.waiting_bytes + sum(map(len, c._sender._outbox))
        for c in list(end._connections)
    )


# Slow and stuck


def test_a_transaction_keeps_others_waiting_in_bounded_memory(peers):
    a, one, b, other = pair(peers)
    with other.transaction():
        for number in range(100):
            a.publish("todo", one.add(number.to_bytes(4, "big") * 50_000))
            assert queued(a) + queued(b) < 24 << 20
        besides_works(a, b)
        with pytest.raises(SyncTimeout, match=r"\(phone\) has not confirmed"):
            a.wait_synced("todo", SHORT)
    a.wait_synced("todo", DEADLINE)
    assert other.contents == one.contents


def test_a_clogged_link_keeps_memory_bounded_and_is_made_good(peers, cables):
    made = []

    def through(url):
        made.append(cables(url))
        return made[-1]

    a, one, _b, other = pair(peers, through=through)
    made[0].clog()
    for number in range(200):
        a.publish("todo", one.add(number.to_bytes(4, "big") * 50_000))
        assert queued(a) < 24 << 20
    made[0].clear()
    a.wait_synced("todo", DEADLINE)
    assert other.contents == one.contents


def test_a_reader_that_is_blocked_does_not_block_the_peer(peers):
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, Blobs("besides"), listen="127.0.0.1:0")
    with one.transaction():
        b = peers(other, Blobs("besides"), connect=[a.url])
        b.wait_synced("besides", DEADLINE)
        with pytest.raises(SyncTimeout):
            b.wait_synced("todo", SHORT)
        # Asking for the state vector must not outlast the time that was given either.
        with pytest.raises(SyncTimeout):
            a.wait_synced("todo", SHORT)
        besides_works(a, b)
    b.wait_synced("todo", DEADLINE)


def test_what_arrived_before_a_document_was_unshared_is_not_lost(peers):
    a, one, b, other = pair(peers)
    with other.transaction():
        for number in range(3):
            a.publish("todo", one.add(b"%d" % number))
            besides_works(a, b)
        a.unshare("todo")
        besides_works(a, b)
    other.wait_for(b"0", b"1", b"2")


# Failures here


def test_a_full_disk_on_one_side_is_told_and_tried_again(peers, caplog):
    a, one, b, other = pair(peers)
    other.refuse = StorageError("cannot write todo.ops: no space left on device")
    a.publish("todo", one.add(b"x"))
    with pytest.raises(SyncTimeout, match="no space left on device"):
        a.wait_synced("todo", SHORT)
    besides_works(a, b)
    assert "no space left on device" in caplog.text
    other.refuse = None
    a.wait_synced("todo", DEADLINE)
    assert other.contents == {b"x"}


def test_a_structure_that_is_closed_here_is_no_trouble_for_the_link(peers):
    a, one, b, other = pair(peers)
    other.refuse = StructureClosed("closed")
    a.publish("todo", one.add(b"x"))
    other.wait_until(lambda: Outcome.FAILED in [outcome for _, outcome in other.deliveries])
    besides_works(a, b)
    failures = len(other.deliveries)
    besides_works(a, b)
    assert len(other.deliveries) == failures


def test_a_document_that_cannot_be_read_is_no_trouble_for_the_link(peers, monkeypatch, caplog):
    one, other = Blobs("todo"), Blobs("todo")

    def fail(*_):
        raise OSError("cannot read")

    monkeypatch.setattr(one, "state_vector", fail)
    a = peers(one, Blobs("besides"), listen="127.0.0.1:0")
    b = peers(other, Blobs("besides"), connect=[a.url])
    b.wait_synced("besides", DEADLINE)
    wait_until(lambda: "cannot read" in caplog.text)
    besides_works(a, b)
    monkeypatch.undo()
    a.publish("todo", one.add(b"x"))
    b.wait_synced("todo", DEADLINE)
    assert other.contents == {b"x"}


# Disagreement


def test_another_kind_is_a_typed_error_on_both_sides_at_once(peers, caplog):
    one, other = Blobs("todo", "dict"), Blobs("todo", "list")
    a = peers(one, Blobs("besides"), listen="127.0.0.1:0", device="laptop")
    b = peers(other, Blobs("besides"), connect=[a.url], device="phone")
    with pytest.raises(KindMismatch, match=r"'todo' .* laptop: .* a list here and a dict there"):
        b.wait_synced("todo", DEADLINE)
    with pytest.raises(KindMismatch, match=r"'todo' .* phone: .* a dict here and a list there"):
        a.wait_synced("todo", DEADLINE)
    besides_works(a, b)
    assert "cannot be shared with" in caplog.text


def test_another_epoch_is_refused(peers):
    a = peers(Blobs("todo", epoch=0), listen="127.0.0.1:0")
    b = peers(Blobs("todo", epoch=1), connect=[a.url])
    with pytest.raises(PeerRefused, match="epoch 1 here and of epoch 0 there"):
        b.wait_synced("todo", DEADLINE)


def test_wait_synced_names_the_peers_that_did_not_answer(peers):
    nobody = peers(listen="127.0.0.1:0")
    url = nobody.url
    nobody.close()
    a = peers(Blobs("other"), listen="127.0.0.1:0", device="laptop")
    b = peers(Blobs("todo"), connect=[url, a.url])
    wait_until(b.connected_devices)
    with pytest.raises(SyncTimeout) as caught:
        b.wait_synced("todo", SHORT)
    assert f"{url} (not connected)" in str(caught.value)
    assert f"{a.url} (laptop) does not share 'todo'" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)


def test_a_peer_without_others_is_in_step(peers):
    a = peers(Blobs("todo"), listen="127.0.0.1:0")
    peers(Blobs("other"), connect=[a.url])
    wait_until(a.connected_devices)
    a.wait_synced("todo", DEADLINE)


def test_a_link_to_itself_is_refused_and_said_so(peers, caplog):
    a = peers(Blobs("todo"), listen="127.0.0.1:0")
    a.connect(a.url)
    wait_until(lambda: "leads back to this peer itself" in caplog.text)
    assert a.connected_devices() == []


# Strangers and bad peers


class Raw:
    """A peer that can send anything, at the other end of a real websocket."""

    def __init__(self, socket) -> None:
        self.socket = socket

    def greet(self) -> None:
        self.send(Hello(VERSION, "raw", "raw peer", {}))

    def send(self, message) -> None:
        self.socket.send(encode(message))

    def messages(self):
        """Yield what comes, until the link is closed."""
        try:
            while True:
                yield decode(self.socket.recv(timeout=DEADLINE), Limits())
        except ConnectionClosed:
            return

    def last_word(self):
        """Return the last message before the link was closed."""
        *_, last = self.messages()
        return last

    def until(self, kind: type):
        """Return the next message of a kind."""
        return next(message for message in self.messages() if type(message) is kind)

    def open(self, name: str = "todo") -> None:
        self.greet()
        self.send(Open(name, "dict", 0, ""))
        self.until(Open)


@pytest.fixture
def connect():
    """Connects a `Raw` to a peer."""
    with contextlib.ExitStack() as stack:
        yield lambda url: Raw(
            stack.enter_context(connect_raw(url, compression=None, max_size=None, close_timeout=1))
        )


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"garbage", Code.MALFORMED),
        (b"", Code.MALFORMED),
        ("text", Code.MALFORMED),
        (bytes(1 << 15), Code.MALFORMED),
        (encode(Update("todo", 1, [b"x"])), Code.OUT_OF_ORDER),
    ],
    ids=["garbage", "empty", "text", "zeros", "no hello"],
)
def test_garbage_is_answered_and_harms_nobody_else(peers, connect, sent, code, caplog):
    a, _, b, _ = pair(peers)
    raw = connect(a.url)
    raw.socket.send(sent)
    last = raw.last_word()
    assert last == Error(code, last.text, None)
    besides_works(a, b)
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def test_a_frame_that_is_too_large_closes_the_link(peers, connect):
    a, _, b, _ = pair(peers)
    raw = connect(a.url)
    raw.greet()
    with pytest.raises(ConnectionClosed):
        raw.socket.send(bytes((64 << 20) + 1))
        for _ in raw.messages():
            pass
        raw.socket.recv()
    besides_works(a, b)


def test_a_bad_update_closes_the_link_it_came_from(peers, connect):
    a, one, b, _ = pair(peers)
    raw = connect(a.url)
    raw.open()
    raw.send(Update("todo", 1, [b"bad"]))
    last = raw.last_word()
    assert (last.code, last.document) == (Code.BAD_UPDATE, None)
    assert one.contents == set()
    besides_works(a, b)


def test_a_bad_state_vector_closes_the_link_it_came_from(peers, monkeypatch):
    a, one, b, other = pair(peers)
    monkeypatch.setattr(other, "state_vector", lambda: b"bad")
    with pytest.raises(SyncTimeout):
        b.wait_synced("todo", SHORT)
    monkeypatch.undo()
    a.publish("todo", one.add(b"x"))
    b.wait_synced("todo", DEADLINE)
    assert other.contents == {b"x"}


def test_a_peer_that_says_nothing_is_not_kept(peers, connect, monkeypatch):
    monkeypatch.setattr(connection, "GREETING_SECONDS", SHORT)
    a = peers(Blobs("todo"), listen="127.0.0.1:0")
    raw = connect(a.url)
    last = raw.last_word()
    assert (last.code, last.text) == (Code.OUT_OF_ORDER, "there was no hello")
    b = peers(Blobs("todo"), connect=[a.url])
    b.wait_synced("todo", DEADLINE)
    threading.Event().wait(2 * SHORT)
    assert b.connected_devices()


def test_a_peer_that_ignores_the_window_is_read_no_further(peers, connect):
    a, one, b, _ = pair(peers)
    raw = connect(a.url)
    raw.open()
    with one.transaction():

        def flood():
            for seq in range(1, 80):
                raw.send(Update("todo", seq, [bytes(8) + seq.to_bytes(4, "big") * 100_000]))

        flooding = threading.Thread(target=flood)
        flooding.start()
        wait_until(lambda: queued(a) > 1 << 20)
        besides_works(a, b)
        assert flooding.is_alive()
        assert queued(a) < 8 << 20
    flooding.join(DEADLINE)
    one.wait_until(lambda: len(one.contents) == 79)


def test_a_peer_that_does_not_read_does_not_keep_others(peers, connect):
    a, one, b, other = pair(peers)
    raw = connect(a.url)
    raw.open()
    raw.send(Sync2("todo", 1, []))
    for number in range(100):
        a.publish("todo", one.add(number.to_bytes(4, "big") * 50_000))
        assert queued(a) < 24 << 20
    b.wait_synced("todo", DEADLINE)
    assert other.contents == one.contents


def test_a_peer_that_fails_again_and_again_is_called_ever_more_slowly(peers, monkeypatch):
    resets = []

    class Noted(Backoff):
        def reset(self) -> None:
            resets.append(self)
            super().reset()

    monkeypatch.setattr(links, "Backoff", Noted)
    one, other = Blobs("todo"), Blobs("todo")
    a = peers(one, listen="127.0.0.1:0")
    other.refuse = BadUpdate("refused")
    one.add(b"x")
    peers(other, connect=[a.url])
    other.wait_until(lambda: len(other.deliveries) >= 4)
    assert resets == []


# The end


def test_closing_says_goodbye_and_sends_what_was_written(peers):
    a, one, b, other = pair(peers)
    a.publish("todo", one.add(b"last"))
    a.close()
    other.wait_for(b"last")
    wait_until(lambda: b.connected_devices() == [])
    a.close()
    assert repr(a) == "<Peer 'laptop' closed>"
    a.publish("todo", one.add(b"offline"))
    assert not a._published


def test_closing_while_a_document_is_held_does_not_block(peers):
    a, one, b, other = pair(peers)
    with other.transaction():
        a.publish("todo", one.add(b"x"))
        a.publish("todo", one.add(b"y"))
        wait_until(lambda: other._jobs)
        with pytest.raises(SyncTimeout):
            b.wait_synced("todo", SHORT)
        b.close()
    # What had arrived is applied, although nobody is there any more to hear of it.
    other.wait_for(b"x")


def test_closing_does_not_wait_for_a_peer_that_does_not_read(peers, cables):
    made = []

    def through(url):
        made.append(cables(url))
        return made[-1]

    a, one, b, _ = pair(peers, through=through)
    made[0].clog()
    for number in range(100):
        a.publish("todo", one.add(number.to_bytes(4, "big") * 50_000))
    closing = [threading.Thread(target=end.close) for end in (a, b)]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_a_peer_can_be_closed_from_its_own_thread(peers):
    a, one, b, other = pair(peers)
    closed = threading.Event()
    receive = other._receive

    def close_first(*args):
        b.close()
        closed.set()
        receive(*args)

    other._receive = close_first
    a.publish("todo", one.add(b"x"))
    assert closed.wait(DEADLINE)
    other.wait_for(b"x")


def test_closing_in_a_running_loop(peers):
    async def main():
        a, _, b, _ = pair(peers)
        b.close()
        a.close()

    asyncio.run(main())


def test_a_peer_that_closes_while_it_looks_what_somebody_confirmed_leaves_nothing_behind(peers):
    a, _, b, other = pair(peers)
    [link] = b._connections
    opened = link.opened["todo"]
    with other.transaction():
        a.close()
        wait_until(lambda: not link.is_ready)
        b.close()
    assert not b._connections
    assert opened.confirmation._closed
    assert link._link._socket.transport.is_closing()
