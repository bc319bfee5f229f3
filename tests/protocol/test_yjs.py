"""y-websocket without I/O: the bytes, the order of things, and what clients may send."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinysync.errors import ProtocolError
from tinysync.protocol import Code, Limits, LinkState
from tinysync.protocol.events import (
    AwarenessReceived,
    DocumentOpened,
    HelloReceived,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.protocol.yjs import YjsSession
from tinysync.protocol.yjs_codec import Answer, Ask, AskPresent, Denied, Edit, Present, decode, encode

LIMITS = Limits()


def session(**limits):
    return YjsSession("todo", Limits(**limits))


def opened(**limits):
    """Return a session whose client has asked for everything, and was answered."""
    ours = session(**limits)
    ours.receive(encode(Ask(b"\0")))
    ours.frames_to_send()
    ours.documents.answer_sync("todo", [b"all"])
    assert ours.frames_to_send() == [encode(Answer(b"all"))]
    ours.events()
    return ours


def test_the_bytes_are_those_of_y_protocols():
    assert encode(Ask(b"\0")) == bytes([0, 0, 1, 0])
    assert encode(Answer(b"ab")) == bytes([0, 1, 2]) + b"ab"
    assert encode(Edit(b"x" * 200)) == bytes([0, 2, 0xC8, 0x01]) + b"x" * 200
    assert encode(Present(b"\0")) == bytes([1, 1, 0])
    assert encode(Denied("no")) == bytes([2, 0, 2]) + b"no"
    assert decode(bytes([3]), LIMITS) == AskPresent()


@given(st.sampled_from([Ask, Answer, Edit, Present]), st.binary())
def test_what_is_encoded_is_decoded(kind, content):
    assert decode(encode(kind(content)), LIMITS) == kind(content)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0",
        b"\0\3\0",  # no such step
        b"\0\0",
        b"\0\0\2x",  # shorter than announced
        b"\0\0\1xy",  # longer
        b"\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
        b"\0\0\xff\xff\xff\xff\x7f",
        b"\1",
        b"\2\0\2no",  # denied by a client
        b"\3\0",
        b"\4",
        b"\x80",
    ],
)
def test_what_is_no_message_ends_the_link(frame):
    ours = session()
    with pytest.raises(ProtocolError, match="malformed"):
        ours.receive(frame)
    assert ours.state is LinkState.CLOSED
    (last,) = ours.frames_to_send()
    assert last.startswith(b"\2\0")
    assert "malformed" in ours.denial
    with pytest.raises(ProtocolError):
        ours.receive(b"\3")


@given(st.lists(st.binary(max_size=20), max_size=5))
@example([b"\0\0\1\0", b"\0\1\0", b"\0\1\0", b"\1\0"])
def test_whatever_a_client_sends_is_told_or_refused(frames):
    ours = session()
    with contextlib.suppress(ProtocolError):
        for frame in frames:
            ours.receive(frame)
            ours.frames_to_send()
            ours.events()
    ours.close("it is over")
    assert ours.state is LinkState.CLOSED


def test_a_message_over_the_limit_is_not_looked_at():
    ours = session(max_frame=100)
    with pytest.raises(ProtocolError, match="101") as error:
        ours.receive(b"\3" * 101)
    assert error.value.code == Code.TOO_LARGE


def test_a_client_greets_with_its_first_message():
    ours = session()
    assert ours.state is LinkState.GREETING
    assert ours.frames_to_send() == []
    hello, was_opened, present = ours.receive(encode(Present(b"\0")))
    assert isinstance(hello, HelloReceived)
    assert isinstance(was_opened, DocumentOpened)
    assert present == AwarenessReceived("todo", b"\0")
    # y-websocket hangs up on a server that says nothing for long.
    assert ours.frames_to_send() == [encode(Present(b"\0"))]


def test_it_is_answered_before_it_is_asked():
    ours = session()
    ours.receive(encode(Ask(b"theirs")))
    assert ours.documents.request_sync("todo", b"ours") == 1
    assert ours.frames_to_send() == []
    assert ours.events() == [SyncRequested("todo", b"theirs")]
    ours.documents.send_updates("todo", [b"later"])
    assert ours.frames_to_send() == []
    ours.documents.answer_sync("todo", [b"diff"])
    assert ours.frames_to_send() == [encode(Answer(b"diff")), encode(Edit(b"later")), encode(Ask(b"ours"))]
    assert ours.receive(encode(Edit(b"live"))) == [UpdatesReceived("todo", 1, [b"live"], None)]
    assert ours.receive(encode(Answer(b"all"))) == [UpdatesReceived("todo", 2, [b"all"], 1)]
    # An answer that was not asked for is an update as any other.
    assert ours.receive(encode(Answer(b"more"))) == [UpdatesReceived("todo", 3, [b"more"], None)]


def test_who_does_not_ask_is_asked_all_the_same_and_gets_nothing():
    ours = session()
    ours.receive(encode(Present(b"\0")))
    ours.frames_to_send()
    ours.documents.request_sync("todo", b"ours")
    ours.documents.send_updates("todo", [b"x"])
    assert ours.frames_to_send() == [encode(Ask(b"ours"))]


def test_one_question_at_a_time():
    ours = opened()
    documents = ours.documents
    assert [documents.request_sync("todo", v) for v in (b"1", b"2")] == [1, 1]
    assert ours.frames_to_send() == [encode(Ask(b"2"))]
    assert [documents.request_sync("todo", v) for v in (b"3", b"4")] == [2, 2]
    assert ours.frames_to_send() == []
    assert ours.receive(encode(Answer(b"")))[0].answers == 1
    assert ours.frames_to_send() == [encode(Ask(b"4"))]
    assert documents.request_sync("another", b"") == 0


def test_one_answer_at_a_time():
    ours = opened()
    for vector in (b"1", b"2", b"3"):
        ours.receive(encode(Ask(vector)))
    ours.frames_to_send()
    assert ours.events() == [SyncRequested("todo", b"3")]
    ours.receive(encode(Ask(b"4")))
    ours.frames_to_send()
    assert ours.events() == []
    ours.documents.answer_sync("todo", [b"x"])
    assert ours.frames_to_send() == [encode(Answer(b"x"))]
    assert ours.events() == [SyncRequested("todo", b"4")]


def test_what_a_client_is_too_slow_to_take_becomes_a_diff():
    ours = opened(max_queued=1000)
    for _ in range(100):
        ours.documents.send_updates("todo", [b"x" * 100])
    assert ours.frames_to_send() == []
    assert ours.events() == [SyncRequested("todo", b"\0")]
    ours.documents.send_updates("todo", [b"behind"])
    ours.documents.answer_sync("todo", [b"diff"])
    assert ours.frames_to_send() == [encode(Edit(b"diff")), encode(Edit(b"behind"))]


def test_parked_updates_are_kept_back_until_they_fit_in():
    ours = opened()
    ours.receive(encode(Ask(b"v")))
    ours.frames_to_send()
    ours.events()
    ours.documents.answer_sync("todo", [b"whole", b"parked"])
    assert ours.frames_to_send() == [encode(Answer(b"whole"))]
    ours.documents.send_updates("todo", [b"what was missing"])
    assert ours.frames_to_send() == []
    assert ours.events() == [SyncRequested("todo", b"v")]
    ours.documents.answer_sync("todo", [b"whole with parked"])
    assert ours.frames_to_send() == [encode(Edit(b"whole with parked"))]


def test_other_documents_are_none_of_its_business():
    ours = opened()
    ours.documents.send_updates("another", [b"x"])
    ours.documents.send_awareness("another", {1: b"x"})
    ours.documents.withdraw("another")
    assert ours.frames_to_send() == []
    assert ours.state is LinkState.READY


def test_a_document_that_is_taken_back_ends_the_link_without_blame():
    ours = opened()
    ours.documents.withdraw("todo", Code.FAILED, "the disk is full")
    assert ours.state is LinkState.CLOSED
    assert ours.frames_to_send() == [encode(Denied("the disk is full (failed)"))]
    assert ours.denial == ""


def test_what_was_queued_goes_before_the_end():
    ours = opened()
    ours.documents.send_updates("todo", [b"last"])
    ours.close("over")
    assert ours.frames_to_send() == [encode(Edit(b"last"))]
    assert ours.frames_to_send() == []
