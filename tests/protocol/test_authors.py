"""What two sides tell each other of who wrote a document: before it is needed, bounded, and only once."""

from __future__ import annotations

import pytest

from tinysync.errors import ProtocolError
from tinysync.model import Author
from tinysync.protocol import AuthorsLearned, Code, Limits, Session
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.messages import VERSION, Hello, Open, Sync1, Update, Wrote
from tinysync.tracker.authors import Authors

from .wire import Wire

LAPTOP, PHONE, DESK = Author("f1", "laptop"), Author("f2", "phone"), Author("", "desk")


def open_between(*known: Authors, limits: tuple[Limits, ...] = ()) -> Wire:
    wire = Wire(*limits)
    for end in (0, 1):
        wire.ends[end].documents.offer("todo", "dict", 0, authors=known[end])
    wire.settle()
    for end in (0, 1):
        wire.ends[end].documents.request_sync("todo", b"")
    wire.serve({})
    return wire


def sent(wire: Wire, end: int) -> list:
    wire.send(end)
    messages = [decode(frame, Limits()) for frame in wire.towards[1 - end]]
    wire.settle()
    return messages


def test_both_sides_learn_what_the_other_one_knows():
    one, two = Authors(), Authors()
    one.note_own([1, 2], LAPTOP)
    one.learn(DESK, [3])
    two.note_own([4], PHONE)
    wire = open_between(one, two)
    for known in (one, two):
        assert [known.of(client).device for client in (1, 2, 3, 4)] == ["laptop", "laptop", "desk", "phone"]
        assert known.of(5) is None
    assert [len(wire.take(end, AuthorsLearned)) for end in (0, 1)] == [1, 2]


def test_news_go_before_the_update_that_needs_them_and_only_once():
    one, two = Authors(), Authors()
    wire = open_between(one, two)
    documents = wire.ends[0].documents
    one.note_own([7], LAPTOP)
    documents.send_updates("todo", [b"x"])
    assert sent(wire, 0) == [Wrote("todo", "f1", "laptop", [7]), Update("todo", 2, [b"x"])]
    documents.send_updates("todo", [b"y"])
    assert [type(message) for message in sent(wire, 0)] == [Update]
    # What came from there is not said again, also if something is sent.
    wire.ends[1].documents.send_updates("todo", [b"z"])
    assert Wrote not in map(type, sent(wire, 1))
    # What is news for both is told by both.
    one.learn(DESK, [8])
    two.learn(DESK, [8])
    for end in (0, 1):
        wire.ends[end].documents.tell_authors("todo")
        assert sent(wire, end)[0] == Wrote("todo", "", "desk", [8])
        wire.ends[end].documents.tell_authors("todo")
        assert sent(wire, end) == []


def test_many_go_in_several_frames():
    one, two = Authors(), Authors()
    one.note_own(range(10), LAPTOP)
    wire = Wire(Limits(), Limits(max_authors=4))
    for end, known in enumerate((one, two)):
        wire.ends[end].documents.offer("todo", "dict", 0, authors=known)
    wire.settle()
    wire.ends[0].documents.tell_authors("todo")
    assert [message.clients for message in sent(wire, 0)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert two.of(9).device == "laptop"


def raw(**limits: int) -> tuple[Session, Authors]:
    """A session with a peer that is driven by hand."""
    known = Authors()
    known.note_own([1], LAPTOP)
    session = Session("d0", "laptop")
    session.documents.offer("todo", "dict", 0, authors=known)
    for message in (Hello(VERSION, "raw", "raw peer", limits), Open("todo", "dict", 0, "")):
        session.receive(encode(message))
    return session, known


def told(session: Session) -> list:
    session.receive(encode(Sync1("todo", b"")))
    session.documents.answer_sync("todo", [])
    return [decode(frame, Limits()) for frame in session.frames_to_send()]


def test_who_knows_of_no_authors_is_told_none():
    assert Wrote in map(type, told(raw(max_authors=1)[0]))
    session, known = raw()
    assert Wrote not in map(type, told(session))
    known.note_own([2], LAPTOP)
    session.documents.send_updates("todo", [b"x"])
    assert [type(decode(frame, Limits())) for frame in session.frames_to_send()] == [Update]


def test_more_than_a_frame_may_tell_closes_the_link():
    session, known = raw()
    session.receive(encode(Wrote("todo", "f3", "raw", [3] * 1000)))
    with pytest.raises(ProtocolError) as caught:
        session.receive(encode(Wrote("todo", "f3", "raw", [4] * 1001)))
    assert caught.value.code == Code.MALFORMED
    assert known.of(3).device == "raw"
    assert known.of(4) is None


def test_authors_of_what_is_not_open_close_the_link():
    session, _ = raw()
    with pytest.raises(ProtocolError) as caught:
        session.receive(encode(Wrote("diary", "f3", "raw", [3])))
    assert caught.value.code == Code.NOT_OPEN


def test_where_nobody_asks_they_are_taken_and_forgotten():
    wire = Wire()
    wire.open()
    wire.towards[0].append(encode(Wrote("todo", "", "phone", [3])))
    wire.settle()
    assert wire.take(0, AuthorsLearned) == []


def test_a_link_anew_begins_anew():
    one, two, three = Authors(), Authors(), Authors()
    one.note_own([1], LAPTOP)
    open_between(one, two)
    open_between(one, three)
    assert two.of(1) == three.of(1)
    wire = open_between(one, two)
    assert wire.take(1, AuthorsLearned) == []
