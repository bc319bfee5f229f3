"""Every pair of state and message or step: what the tables allow is done, everything else is a typed error."""

from __future__ import annotations

import itertools

import pytest

from tinysync.errors import ProtocolError
from tinysync.protocol import Code, LinkState, Session, session
from tinysync.protocol.channel import TRANSITIONS, Channel, ChannelState, Step
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.limits import Limits
from tinysync.protocol.messages import (
    VERSION,
    Ack,
    Awareness,
    Bye,
    Digest,
    Error,
    Hello,
    Message,
    Open,
    Part,
    Sync1,
    Sync2,
    Taken,
    Update,
    Wrote,
)

from .wire import greet

DOCUMENT = "todo"
MESSAGES: dict[type[Message], Message] = {
    Hello: Hello(VERSION, "raw", "raw peer", {}),
    Open: Open("other", "dict", 0, ""),
    Sync1: Sync1(DOCUMENT, b""),
    Sync2: Sync2(DOCUMENT, 1, [b"x"]),
    Update: Update(DOCUMENT, 1, [b"x"]),
    Part: Part(DOCUMENT, 5, [b"x"]),
    Taken: Taken(DOCUMENT, 0),
    Ack: Ack(DOCUMENT, 0),
    Awareness: Awareness(DOCUMENT, b""),
    Digest: Digest(DOCUMENT, 0, 0, b""),
    Wrote: Wrote(DOCUMENT, "", "raw", [1]),
    Error: Error("failed", "", None),
    Bye: Bye(""),
}


def at(state: LinkState) -> Session:
    """Return a session in a state, with a document open and asked for where that is possible."""
    made = Session("d0", "laptop")
    made.frames_to_send()
    if state is not LinkState.GREETING:
        made.documents.offer(DOCUMENT, "dict", 0)
        greet(made)
        made.receive(encode(Open(DOCUMENT, "dict", 0, "")))
        made.documents.request_sync(DOCUMENT, b"")
        made.frames_to_send()
    if state is LinkState.CLOSED:
        made.close("done")
        made.frames_to_send()
    assert made.state is state
    return made


def test_the_tables_are_complete():
    assert set(session.TRANSITIONS) == set(LinkState)
    assert set(TRANSITIONS) == set(ChannelState)
    assert set(MESSAGES) == set(Message.__args__)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", LinkState, ids=lambda state: state.name)
def test_a_message_is_taken_where_the_table_says_so(state, kind):
    subject = at(state)
    frame = encode(MESSAGES[kind])
    if kind not in session.TRANSITIONS[state]:
        with pytest.raises(ProtocolError) as caught:
            subject.receive(frame)
        assert caught.value.code == Code.OUT_OF_ORDER
        assert subject.state is LinkState.CLOSED
        last = [decode(f, Limits()) for f in subject.frames_to_send()]
        expected = [] if state is LinkState.CLOSED else [Error(Code.OUT_OF_ORDER, str(caught.value), None)]
        assert last == expected
        return
    subject.receive(frame)
    closes = kind in (Error, Bye)
    assert subject.state is (LinkState.CLOSED if closes else LinkState.READY)


@pytest.mark.parametrize(("state", "step"), list(itertools.product(ChannelState, Step)), ids=lambda x: x.name)
def test_a_step_is_taken_where_the_table_says_so(state, step):
    channel = Channel(DOCUMENT)
    channel.state = state
    if step in TRANSITIONS[state]:
        assert channel.step(step) is TRANSITIONS[state][step] is channel.state
        return
    with pytest.raises(ProtocolError) as caught:
        channel.step(step)
    assert caught.value.code == Code.OUT_OF_ORDER
    assert channel.state is state


@pytest.mark.parametrize(
    "kind", [Sync1, Sync2, Update, Part, Taken, Ack, Awareness, Digest], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("state", ChannelState, ids=lambda state: state.name)
def test_messages_for_a_document_need_it_to_be_open(state, kind):
    subject = Session("d0", "laptop")
    greet(subject)
    if state in (ChannelState.OFFERED, ChannelState.OPEN, ChannelState.CLOSING):
        subject.documents.offer(DOCUMENT, "dict", 0)
    if state in (ChannelState.INVITED, ChannelState.OPEN, ChannelState.CLOSING):
        subject.receive(encode(Open(DOCUMENT, "dict", 0, "")))
        subject.documents.request_sync(DOCUMENT, b"")
    if state is ChannelState.CLOSING:
        subject.documents.withdraw(DOCUMENT)
    subject.events()
    frame = encode(MESSAGES[kind])
    match state:
        case ChannelState.OPEN:
            subject.receive(frame)
        case ChannelState.CLOSING:
            assert subject.receive(frame) == []
        case _:
            with pytest.raises(ProtocolError) as caught:
                subject.receive(frame)
            assert caught.value.code == Code.NOT_OPEN
