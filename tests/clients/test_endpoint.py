"""The endpoint for Yjs clients, over real websockets: who is let in, and what becomes of what they send."""

from __future__ import annotations

import logging
import threading

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.devices.device import assert_equal, synced
from tests.document.test_check import HOSTILE
from tests.peer.devices import DEADLINE, wait_until
from tinysync import InvalidAddress, Key, Peer, UsageError, tracker
from tinysync.crdt.check import check_state_vector
from tinysync.crdt.engine import Engine
from tinysync.protocol import Limits
from tinysync.protocol.yjs_codec import Answer, Ask, Edit, Present, decode, encode

TOKEN = "a token nobody guesses"


def client(url, name="todo", **options):
    return connect(f"{url}/{name}", compression=None, max_size=None, proxy=None, **options)


def status_of(url, name="todo", **options):
    with pytest.raises(InvalidStatus) as refusal:
        client(url, name, **options)
    return refusal.value.response.status_code


def until(socket, kind):
    while True:
        message = decode(socket.recv(DEADLINE), Limits())
        if isinstance(message, kind):
            return message


def copy_of(socket):
    """Return an engine that holds what the peer holds."""
    socket.send(encode(Ask(b"\0")))
    engine = Engine(7)
    engine.apply([until(socket, Answer).update])
    return engine


def test_pages_of_other_sites_do_not_get_in(device, caplog):
    laptop = device(yjs="127.0.0.1:0")
    laptop.track({})
    url = laptop.peer.yjs_url
    with caplog.at_level(logging.WARNING, "tinysync"):
        assert status_of(url, origin="https://example.org") == 403
        assert status_of(url, origin="null") == 403
    assert "https://example.org" in caplog.text
    assert "yjs_token=" in caplog.text
    with client(url, origin="http://localhost:8000") as page, client(url) as program:
        copy_of(page)
        copy_of(program)


def test_a_peer_without_yjs_takes_no_pages_and_one_with_it_no_peers(device):
    laptop = device(listen="127.0.0.1:0", yjs="127.0.0.1:0")
    laptop.track({})
    assert status_of(laptop.peer.url, "", origin="http://localhost:8000") == 403
    assert status_of(laptop.peer.yjs_url, "") == 404
    assert device(listen="127.0.0.1:0").peer.yjs_url is None


def test_the_token(device, caplog):
    laptop = device(yjs="127.0.0.1:0", yjs_token=TOKEN)
    laptop.track({})
    url = laptop.peer.yjs_url
    with caplog.at_level(logging.WARNING, "tinysync"):
        assert status_of(url) == 401
        assert status_of(url, "todo?token=another") == 401
        # Who has no token does not learn which documents there are.
        assert status_of(url, "unknown") == 401
        assert status_of(url, f"unknown?token={TOKEN.replace(' ', '+')}") == 404
    assert "no token" in caplog.text
    assert TOKEN not in caplog.text
    with client(url, f"todo?token={TOKEN.replace(' ', '%20')}", origin="https://example.org") as page:
        copy_of(page)


def write(page, value):
    """Have a client write the one entry that there is."""
    engine = copy_of(page)
    engine.begin()
    engine.put("c", next(k for k, _ in engine.items("d")), value)
    for update in engine.commit():
        page.send(encode(Edit(update)))


def test_in_a_group(device, tmp_path):
    key = Key.new()
    hub = device(listen="127.0.0.1:0", yjs="127.0.0.1:0", device="hub", key=key, identity=tmp_path / "hub")
    phone = device(connect=[hub.peer.url], device="phone", key=key, identity=tmp_path / "phone")
    ours, theirs = hub.track({"a": 1}), phone.track({})
    with client(hub.peer.yjs_url) as page:
        write(page, 2)
        wait_until(lambda: ours == {"a": 2})
        synced(ours, theirs)
        assert theirs == {"a": 2}


def test_it_is_not_known_who_a_client_is(device):
    told = {"hub": [], "phone": []}
    hub = device(yjs="127.0.0.1:0", listen="127.0.0.1:0", device="hub")
    phone = device(connect=[hub.peer.url], device="phone")
    ours = hub.track({"a": 1}, callback=told["hub"].append)
    theirs = phone.track({"a": 1}, callback=told["phone"].append)
    synced(ours, theirs)
    with client(hub.peer.yjs_url) as page:
        write(page, 2)
        wait_until(lambda: all(told.values()))
    assert [(change.device, change.via) for change in told["hub"]] == [("a Yjs client", True)]
    assert [(change.device, change.via) for change in told["phone"]] == [("hub", True)]


def test_wrong_options():
    with pytest.raises(InvalidAddress, match="yjs_token="):
        Peer(yjs="0.0.0.0:0")
    with pytest.raises(UsageError, match="16 characters"):
        Peer(yjs="0.0.0.0:0", yjs_token="short")
    with pytest.raises(UsageError, match="yjs="):
        Peer(yjs_token=TOKEN)
    with Peer(yjs="127.0.0.1:0") as peer, pytest.raises(InvalidAddress, match="another program listens"):
        Peer(listen="127.0.0.1:0", yjs=peer.yjs_url)
    with Peer(listen="127.0.0.1:0") as peer, pytest.raises(InvalidAddress, match="another program listens"):
        Peer(listen=peer.url, yjs="127.0.0.1:0")
    with Peer(yjs="0.0.0.0:0", yjs_token=TOKEN) as peer:
        assert peer.yjs_url.startswith("ws://0.0.0.0:")


GARBAGE = [
    b"",
    b"\0\0\1",
    b"\xff" * 50,
    encode(Ask(b"\xff")),
    encode(Ask(b"")),
    encode(Edit(b"")),
    encode(Edit(b"\xff" * 100)),
    encode(Edit(b"\1\1\1\0\x27\1\1cx\1\0\0")),
    encode(Answer(b"\0")),
    encode(Present(b"\xff")),
    encode(Present(b"\1\1\1\4true")),
    "text",
]


def test_garbage_ends_its_link_alone(device, caplog):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"a": 1})
    with client(laptop.peer.yjs_url) as good:
        copy_of(good)
        for garbage in GARBAGE:
            with client(laptop.peer.yjs_url) as bad:
                bad.send(garbage)
                # It is told why, as y-protocols does.
                while not bad.recv(DEADLINE).startswith(b"\2\0"):
                    pass
        todo.b = 2
        until(good, Edit)
        wait_until(lambda: len(laptop.peer._visitors.connections) == 1)
    assert todo == {"a": 1, "b": 2}
    assert_equal(todo)
    assert "exception" not in caplog.text.lower()


@pytest.mark.parametrize("kind", [Edit, Answer])
def test_no_update_gets_in_that_devices_may_not_send(device, kind):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"a": 1})
    before = todo_diff(todo)
    for update in HOSTILE.values():
        with client(laptop.peer.yjs_url) as bad:
            bad.send(encode(kind(update)))
            while not bad.recv(DEADLINE).startswith(b"\2\0"):
                pass
    assert todo_diff(todo) == before
    assert_equal(todo)


def test_who_does_not_read_costs_no_memory_and_catches_up(device):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"n": 0, "text": ""})
    with client(laptop.peer.yjs_url, max_queue=1) as lazy:
        copy_of(lazy)
        (connection,) = laptop.peer._visitors.connections
        room = connection.session.documents
        for n in range(2000):
            todo.update(n=n, text=f"{n:06}" * 20_000)
            # In turn with the peer's loop: what is published in one go would become a diff at once.
            if laptop.peer._thread.run_function(lambda: room._is_behind):
                break
        assert room._is_behind
        assert room._queued == 0
        assert sum(map(len, connection._sender._outbox)) <= 2 * Limits().max_queued
        todo.text = "last"
        engine = Engine(7)
        engine.apply([todo_diff(todo)])
        wanted = check_state_vector(engine.state_vector())
        late = Engine(8)
        while check_state_vector(late.state_vector()) != wanted:
            message = decode(lazy.recv(DEADLINE), Limits())
            if isinstance(message, Answer | Edit):
                late.apply([message.update])


def test_who_sends_more_than_fits_in_has_to_wait(device):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"a": 1})
    size, count = 1 << 20, 30
    with client(laptop.peer.yjs_url) as eager:
        engine = copy_of(eager)
        (connection,) = laptop.peer._visitors.connections
        with engine.reading():
            entry = next(key for key, _ in engine.items("d"))
        frames = []
        for n in range(count):
            engine.begin()
            engine.put("c", f"{entry}{n:02}", chr(65 + n) * size)
            frames += [encode(Edit(update)) for update in engine.commit()]

        def send():
            for frame in frames:
                eager.send(frame)

        sender = threading.Thread(target=send)
        with todo:
            sender.start()
            wait_until(lambda: connection.opened["todo"].waiting > 1 and connection._is_overfull())
            for _ in range(20):
                assert laptop.peer._thread.run_function(lambda: connection.waiting_bytes) < 4 * size
            assert len(todo) == 1
        wait_until(lambda: len(todo) == 1 + count)
        sender.join()
    assert_equal(todo)


def test_an_update_whose_predecessor_is_missing_waits_until_it_was_asked_for(device):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"a": 1})
    with client(laptop.peer.yjs_url) as page, client(laptop.peer.yjs_url) as other:
        copy_of(other)
        engine = copy_of(page)
        until(page, Ask)
        with engine.reading():
            entry = next(key for key, _ in engine.items("d"))
        updates = []
        for n in range(2):
            engine.begin()
            engine.put("c", entry, 2 + n)
            updates += engine.commit()
        page.send(encode(Answer(b"\0\0")))
        page.send(encode(Edit(updates[1])))
        asked = until(page, Ask)
        assert todo == {"a": 1}
        # Who comes now is not given what is parked: it would pass it on with gaps.
        with client(laptop.peer.yjs_url) as late:
            replica = copy_of(late)
            page.send(encode(Answer(engine.diff(asked.state_vector))))
            wait_until(lambda: todo == {"a": 3})
            while check_state_vector(replica.state_vector()) != check_state_vector(engine.state_vector()):
                replica.apply([until(late, Edit).update])
    assert_equal(todo)


def todo_diff(structure):
    replica = tracker(structure)._replica
    with replica.reading():
        return replica.document.diff()[0]


def test_only_so_many_clients(device):
    laptop = device(yjs="127.0.0.1:0")
    laptop.track({})
    laptop.peer._visitors._limits = Limits(max_links=2)
    url = laptop.peer.yjs_url
    with client(url) as one, client(url):
        copy_of(one)
        assert status_of(url) == 503
    wait_until(lambda: not laptop.peer._visitors.connections)
    with client(url) as again:
        copy_of(again)


def test_who_comes_too_often_is_turned_away(device):
    laptop = device(yjs="127.0.0.1:0", yjs_token=TOKEN, limits=Limits(handshakes_per_second=1))
    laptop.track({})
    url = laptop.peer.yjs_url
    told = [status_of(url, "todo?token=guessed") for _ in range(30)]
    assert set(told[:5]) == {401}
    assert told[-1] == 429

    def gets_in():
        try:
            with client(url, f"todo?token={TOKEN.replace(' ', '%20')}") as page:
                return bool(copy_of(page))
        except InvalidStatus:
            return False

    wait_until(gets_in)
