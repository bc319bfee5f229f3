from __future__ import annotations

import pytest

from tinysync.errors import ProtocolError
from tinysync.protocol import (
    Acknowledged,
    AwarenessReceived,
    Code,
    DocumentClosed,
    DocumentOpened,
    DocumentRefused,
    HelloReceived,
    Limits,
    LinkState,
    PeerErred,
    PeerLeft,
    Session,
    SyncRequested,
    UpdatesReceived,
)
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.messages import (
    VERSION,
    Ack,
    Awareness,
    Error,
    Hello,
    Open,
    Part,
    Sync1,
    Sync2,
    Taken,
    Update,
)

from .wire import Wire, greet

LIMITS = Limits()


def sent_by(session: Session) -> list:
    return [decode(frame, LIMITS) for frame in session.frames_to_send()]


def opened(limits: Limits = LIMITS, **told: int) -> Session:
    """Return a session with 'todo' open, its first diff sent and acknowledged."""
    session = Session("d0", "laptop", limits)
    greet(session, **told)
    session.documents.offer("todo", "dict", 0)
    session.receive(encode(Open("todo", "dict", 0, "")))
    session.receive(encode(Sync1("todo", b"v0")))
    session.documents.answer_sync("todo", [])
    session.frames_to_send()
    session.receive(encode(Ack("todo", 1)))
    return session


# Greeting


def test_both_sides_introduce_themselves():
    wire = Wire()
    wire.settle()
    assert wire.events == [[HelloReceived("d1", "phone")], [HelloReceived("d0", "laptop")]]


def test_nothing_but_hello_is_sent_before_the_peer_said_hello():
    session = Session("d0", "laptop")
    session.documents.offer("todo", "dict", 0)
    assert [type(m) for m in sent_by(session)] == [Hello]
    assert sent_by(session) == []
    session.receive(encode(Hello(VERSION, "d1", "phone", {})))
    assert sent_by(session) == [Open("todo", "dict", 0, "")]


def test_a_link_to_itself_is_refused():
    session = Session("d0", "laptop")
    with pytest.raises(ProtocolError, match="leads back to the peer") as caught:
        session.receive(encode(Hello(VERSION, "d0", "laptop", {})))
    assert caught.value.code == Code.SAME_DEVICE
    assert sent_by(session)[-1].code == Code.SAME_DEVICE


def test_another_version_is_told_which_side_is_older():
    session = Session("d0", "laptop")
    with pytest.raises(ProtocolError, match=f"version {VERSION + 1} .* version {VERSION}"):
        session.receive(encode(Hello(VERSION + 1, "d1", "phone", {})))


def test_a_peer_that_accepts_next_to_nothing_is_refused():
    session = Session("d0", "laptop")
    with pytest.raises(ProtocolError, match="at least"):
        session.receive(encode(Hello(VERSION, "d1", "phone", {"max_frame": 10})))


def test_limits_that_are_not_known_yet_are_ignored():
    session = Session("d0", "laptop")
    session.receive(encode(Hello(VERSION, "d1", "phone", {"max_colours": 3})))
    assert session.state is LinkState.READY


# Opening and closing documents


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_document_opens_once_both_sides_have_it(order):
    wire = Wire()
    wire.settle()
    wire.ends[order[0]].documents.offer("todo", "dict", 0)
    wire.settle()
    assert not wire.take(0, DocumentOpened) + wire.take(1, DocumentOpened)
    wire.ends[order[1]].documents.offer("todo", "dict", 0)
    wire.settle()
    for end in (0, 1):
        assert wire.take(end, DocumentOpened) == [DocumentOpened("todo", "")]
        assert wire.ends[end].documents.is_open("todo")


@pytest.mark.parametrize(("kind", "epoch", "code"), [("list", 0, Code.KIND), ("dict", 1, Code.EPOCH)])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_document_of_another_kind_or_epoch_is_refused_on_both_sides(kind, epoch, code, at_once):
    wire = Wire()
    wire.settle()
    wire.open("other")
    wire.ends[0].documents.offer("todo", "dict", 0)
    if not at_once:
        wire.settle()
    wire.ends[1].documents.offer("todo", kind, epoch)
    wire.settle()
    for end in (0, 1):
        (refused,) = wire.take(end, DocumentRefused)
        assert (refused.document, refused.code) == ("todo", code)
        assert not wire.ends[end].documents.is_open("todo")
        assert wire.ends[end].documents.is_open("other")
    # Offered again in the same way on both sides, it opens.
    for end in (0, 1):
        wire.ends[end].documents.offer("todo", "list", 1)
    wire.settle()
    assert all(end.documents.is_open("todo") for end in wire.ends)


def test_a_withdrawn_document_closes_and_opens_again():
    wire = Wire()
    wire.open()
    wire.ends[0].documents.withdraw("todo")
    wire.settle()
    (closed,) = wire.take(1, DocumentClosed)
    assert (closed.document, closed.code) == ("todo", Code.WITHDRAWN)
    assert not any(end.documents.is_open("todo") for end in wire.ends)
    wire.take(0)
    wire.ends[0].documents.offer("todo", "dict", 0)
    wire.settle()
    assert wire.take(0, DocumentOpened)
    assert wire.take(1, DocumentOpened)


def test_frames_that_cross_a_withdrawal_are_ignored():
    wire = Wire()
    wire.open()
    documents = {}
    wire.ends[1].documents.send_updates("todo", [b"on its way"])
    wire.ends[1].documents.request_sync("todo", b"")
    wire.send(1)
    wire.ends[0].documents.withdraw("todo")
    wire.ends[0].documents.offer("todo", "dict", 0)
    wire.settle()
    assert wire.take(0, UpdatesReceived) == []
    assert wire.take(0, DocumentOpened)
    wire.ends[1].documents.request_sync("todo", b"")
    wire.ends[0].documents.request_sync("todo", b"")
    documents[(1, "todo")] = [b"on its way"]
    wire.serve(documents)
    assert documents[(0, "todo")] == [b"on its way"]


def test_a_failure_of_one_document_is_told_and_leaves_the_others():
    wire = Wire()
    wire.open("a")
    wire.open("b")
    wire.ends[0].documents.withdraw("a", Code.FAILED, "the disk is full")
    wire.settle()
    assert wire.take(1, DocumentClosed) == [DocumentClosed("a", Code.FAILED, "the disk is full", is_whole=True)]
    assert wire.ends[0].documents.is_open("b")


def test_the_peer_can_refuse_a_document_for_a_reason_of_its_own():
    session = opened()
    events = session.receive(encode(Error("forbidden", "not for you", "todo")))
    assert events == [DocumentRefused("todo", "forbidden", "not for you")]
    assert sent_by(session) == [Error(Code.WITHDRAWN, "closed in return", "todo")]
    assert session.state is LinkState.READY


def test_no_more_documents_are_opened_than_the_peer_takes():
    wire = Wire(Limits(), Limits(max_documents=2))
    for name in ("a", "b", "c"):
        wire.ends[0].documents.offer(name, "dict", 0)
    wire.settle()
    (refused,) = wire.take(0, DocumentRefused)
    assert (refused.document, refused.code) == ("c", Code.TOO_MUCH)
    wire.ends[0].documents.withdraw("a")
    wire.settle()
    wire.ends[0].documents.offer("c", "dict", 0)
    wire.settle()
    assert wire.take(0, DocumentRefused) == []


def test_a_peer_that_opens_too_many_documents_is_refused():
    session = Session("d0", "laptop", Limits(max_documents=2))
    greet(session)
    session.receive(encode(Open("a", "dict", 0, "")))
    session.receive(encode(Open("b", "dict", 0, "")))
    with pytest.raises(ProtocolError) as caught:
        session.receive(encode(Open("c", "dict", 0, "")))
    assert caught.value.code == Code.TOO_MUCH


def test_a_peer_that_sends_without_reading_does_not_fill_the_memory():
    session = opened(Limits(max_documents=10))

    def flap() -> None:
        for _ in range(1000):
            session.receive(encode(Error(Code.WITHDRAWN, "", "todo")))
            session.receive(encode(Open("todo", "dict", 0, "")))

    with pytest.raises(ProtocolError) as caught:
        flap()
    assert caught.value.code == Code.TOO_MUCH


# Updates


def test_updates_of_one_turn_travel_in_one_frame():
    session = opened()
    for update in (b"a", b"b", b"c"):
        session.documents.send_updates("todo", [update])
    assert sent_by(session) == [Update("todo", 2, [b"a", b"b", b"c"])]


def test_updates_before_the_first_diff_are_left_to_it():
    wire = Wire()
    for end in (0, 1):
        wire.ends[end].documents.offer("todo", "dict", 0)
    wire.settle()
    wire.ends[0].documents.send_updates("todo", [b"early"])
    mark = wire.ends[0].documents.given("todo")
    wire.ends[1].documents.request_sync("todo", b"")
    wire.settle()
    assert wire.take(1, UpdatesReceived) == []
    assert not wire.ends[0].documents.is_acknowledged("todo", mark)
    documents = {(0, "todo"): [b"early"]}
    wire.serve(documents)
    assert documents[(1, "todo")] == [b"early"]
    assert wire.ends[0].documents.is_acknowledged("todo", mark)


def test_updates_that_build_on_the_first_diff_wait_for_it():
    session = Session("d0", "laptop")
    greet(session)
    session.documents.offer("todo", "dict", 0)
    session.receive(encode(Open("todo", "dict", 0, "")))
    session.receive(encode(Sync1("todo", b"v0")))
    session.documents.send_updates("todo", [b"later"])
    assert sent_by(session) == [Open("todo", "dict", 0, "")]
    session.documents.answer_sync("todo", [b"diff"])
    assert sent_by(session) == [Sync2("todo", 1, [b"diff"]), Update("todo", 2, [b"later"])]


def test_a_peer_in_step_need_not_wait_for_the_diff_that_it_asked_for():
    session = opened(Limits(window=1000))
    session.documents.send_updates("todo", [bytes(900)])
    session.documents.send_updates("todo", [b"queued"])
    mark = session.documents.given("todo")
    assert [m.seq for m in sent_by(session)] == [2]
    session.receive(encode(Sync1("todo", b"v1")))
    session.receive(encode(Ack("todo", 2)))
    assert sent_by(session) == [Update("todo", 3, [b"queued"])]
    session.documents.answer_sync("todo", [b"diff"])
    assert sent_by(session) == [Sync2("todo", 4, [b"diff"])]
    assert not session.documents.is_acknowledged("todo", mark)
    session.receive(encode(Ack("todo", 3)))
    assert session.documents.is_acknowledged("todo", mark)


def test_acknowledgements_are_joined_and_reported():
    wire = Wire()
    wire.open()
    wire.take(0, Acknowledged)
    for update in (b"a", b"b"):
        wire.ends[0].documents.send_updates("todo", [update])
        wire.settle()
    arrived = wire.take(1, UpdatesReceived)
    assert [(e.seq, e.updates, e.answers) for e in arrived] == [(2, [b"a"], None), (3, [b"b"], None)]
    mark = wire.ends[0].documents.given("todo")
    wire.ends[1].documents.acknowledge("todo", 2)
    wire.ends[1].documents.acknowledge("todo", 3)
    wire.ends[1].documents.acknowledge("todo", 2)
    assert not wire.ends[0].documents.is_acknowledged("todo", mark)
    wire.settle()
    assert wire.take(0, Acknowledged) == [Acknowledged("todo", 3)]
    assert wire.ends[0].documents.is_acknowledged("todo", mark)


def test_what_was_not_received_cannot_be_acknowledged_by_mistake():
    session = opened()
    session.documents.acknowledge("todo", 1)
    assert sent_by(session) == []


def test_a_mark_is_reached_only_when_all_frames_of_a_call_are_acknowledged():
    session = opened(Limits(window=1000))
    session.documents.send_updates("todo", [bytes(600), bytes(600), bytes(600)])
    mark = session.documents.given("todo")
    for seq in (2, 3, 4):
        assert [m.seq for m in sent_by(session)] == [seq]
        assert not session.documents.is_acknowledged("todo", mark)
        session.receive(encode(Ack("todo", seq)))
    assert session.documents.is_acknowledged("todo", mark)


def test_requests_are_answered_one_by_one():
    wire = Wire()
    wire.open()
    documents = wire.ends[0].documents
    assert [documents.request_sync("todo", vector) for vector in (b"1", b"2", b"3")] == [2, 3, 3]
    wire.settle()
    assert wire.take(1, SyncRequested) == [SyncRequested("todo", b"1")]
    wire.ends[1].documents.answer_sync("todo", [b"a"])
    wire.settle()
    assert [e.answers for e in wire.take(0, UpdatesReceived)] == [2]
    assert wire.take(1, SyncRequested) == [SyncRequested("todo", b"3")]
    wire.ends[1].documents.answer_sync("todo", [])
    wire.settle()
    assert [(e.answers, e.updates) for e in wire.take(0, UpdatesReceived)] == [(3, [])]


def test_an_answer_that_nobody_waits_for_any_more_is_not_sent():
    session = opened()
    session.documents.answer_sync("todo", [b"x"])
    session.documents.answer_sync("closed", [b"x"])
    assert sent_by(session) == []


def test_commands_for_a_document_that_is_not_open_do_nothing():
    session = opened()
    session.documents.send_updates("other", [b"x"])
    session.documents.send_awareness("other", {1: b"x"})
    session.documents.acknowledge("other", 1)
    session.documents.withdraw("other")
    assert session.documents.request_sync("other", b"") == 0
    assert session.documents.given("other") == 0
    assert not session.documents.is_acknowledged("other", 0)
    assert sent_by(session) == []


def test_only_the_latest_awareness_is_sent():
    wire = Wire()
    wire.open()
    for entries in ({1: b"here", 2: b"two"}, {1: b"there"}):
        wire.ends[0].documents.send_awareness("todo", entries)
    wire.settle()
    assert wire.take(1, AwarenessReceived) == [AwarenessReceived("todo", b"\x02theretwo")]


# Backpressure


def test_no_more_is_on_its_way_than_the_smaller_window_of_the_two():
    for session in (opened(Limits(window=1000)), opened(window=1000)):
        for _ in range(10):
            session.documents.send_updates("todo", [bytes(300)])
        assert [len(m.updates) for m in sent_by(session)] == [2]
        assert sent_by(session) == []
        session.receive(encode(Ack("todo", 2)))
        assert [len(m.updates) for m in sent_by(session)] == [2]


def test_an_update_larger_than_the_window_goes_alone():
    session = opened(Limits(window=1000))
    session.documents.send_updates("todo", [b"small"])
    session.documents.send_updates("todo", [bytes(5000)])
    session.documents.send_updates("todo", [b"small"])
    assert [len(m.updates[0]) for m in sent_by(session)] == [5]
    assert sent_by(session) == []
    session.receive(encode(Ack("todo", 2)))
    assert [len(m.updates[0]) for m in sent_by(session)] == [5000]
    session.receive(encode(Ack("todo", 3)))
    assert [len(m.updates[0]) for m in sent_by(session)] == [5]


def test_a_slow_peer_is_caught_up_with_a_diff():
    session = opened(Limits(window=1000, max_queued=10_000))
    session.documents.send_updates("todo", [b"first"])
    assert [m.seq for m in sent_by(session)] == [2]
    for _ in range(100):
        session.documents.send_updates("todo", [bytes(1000)])
        assert session.documents._budget.used <= 10_000 + 1064
    mark = session.documents.given("todo")
    assert session.events() == []
    assert sent_by(session) == []
    assert session.receive(encode(Ack("todo", 2))) == [Acknowledged("todo", 2), SyncRequested("todo", b"v0")]
    session.documents.send_updates("todo", [b"last"])
    session.documents.answer_sync("todo", [b"the diff"])
    assert sent_by(session) == [Update("todo", 3, [b"the diff"]), Update("todo", 4, [b"last"])]
    session.receive(encode(Ack("todo", 3)))
    assert session.documents.is_acknowledged("todo", mark)
    assert not session.documents.is_acknowledged("todo", mark + 1)


def test_a_queue_dropped_before_anything_was_sent_is_caught_up_at_once():
    session = opened(Limits(max_queued=1000))
    session.documents.send_updates("todo", [bytes(2000)])
    assert session.events() == [SyncRequested("todo", b"v0")]


def test_the_document_that_queues_most_is_the_one_that_is_dropped():
    session = opened(Limits(max_queued=10_000))
    session.documents.offer("small", "dict", 0)
    session.receive(encode(Open("small", "dict", 0, "")))
    session.receive(encode(Sync1("small", b"")))
    session.documents.answer_sync("small", [])
    session.frames_to_send()
    session.documents.send_updates("todo", [bytes(9500)])
    session.documents.send_updates("small", [bytes(1000)])
    assert [m.document for m in sent_by(session)] == ["small"]
    assert [e.document for e in session.events()] == ["todo"]


def test_a_request_that_comes_while_a_catch_up_is_made_is_answered_after_it():
    session = opened(Limits(max_queued=1000))
    session.documents.send_updates("todo", [bytes(2000)])
    assert session.events() == [SyncRequested("todo", b"v0")]
    assert session.receive(encode(Sync1("todo", b"v1"))) == []
    session.documents.answer_sync("todo", [b"catch up"])
    assert sent_by(session) == [Update("todo", 2, [b"catch up"])]
    assert session.events() == [SyncRequested("todo", b"v1")]
    session.documents.answer_sync("todo", [b"answer"])
    assert sent_by(session) == [Sync2("todo", 3, [b"answer"])]


def test_only_some_diffs_are_made_at_a_time():
    session = Session("d0", "laptop")
    greet(session)
    names = [f"doc {i}" for i in range(20)]
    for name in names:
        session.documents.offer(name, "dict", 0)
        session.receive(encode(Open(name, "dict", 0, "")))
    asked: list[str] = []
    for name in names:
        asked += [e.document for e in session.receive(encode(Sync1(name, b"")))]
    assert asked == names[:8]
    while asked:
        session.documents.answer_sync(asked.pop(0), [])
        session.frames_to_send()
        asked += [e.document for e in session.events()]
        assert len(asked) <= 8
    assert session.documents._lagging == {}


def test_a_long_diff_goes_in_parts_as_the_peer_takes_them():
    session = opened(Limits(window=100_000, max_part=50_000), max_frame=64 << 10)
    session.receive(encode(Sync1("todo", b"")))
    blobs = [bytes([i]) * 20_000 for i in range(10)]
    session.documents.answer_sync("todo", blobs)
    seen: list = []
    while session.has_more:
        seen += sent_by(session)
    assert [(type(m), m.left, len(m.updates)) for m in seen] == [(Part, 160_000, 2), (Part, 120_000, 2)]
    assert session.documents.sending("todo")[1] == 200_000
    for count in range(1, 4):
        session.receive(encode(Taken("todo", count)))
        assert session.has_more
        seen += sent_by(session)
    assert session.documents.sending("todo")[0] > 100_000
    assert seen[-1] == Part("todo", 0, blobs[8:])
    assert [update for m in seen for update in m.updates] == blobs
    assert sent_by(session) == [Sync2("todo", 2, [])]
    assert not session.has_more
    assert session.documents.sending("todo") is None
    session.documents.send_updates("todo", [b"x"])
    assert sent_by(session) == [Update("todo", 3, [b"x"])]


def test_what_is_short_need_not_wait_for_long_diffs_which_take_turns():
    session = opened(Limits(window=1000, max_part=150))
    for name in ("a", "b"):
        session.documents.offer(name, "dict", 0)
        session.receive(encode(Open(name, "dict", 0, "")))
        session.receive(encode(Sync1(name, b"")))
        session.documents.answer_sync(name, [bytes(50)] * 10)
    order = []
    while session.has_more:
        session.documents.send_updates("todo", [b"live"])
        order += [(m.document, type(m)) for m in sent_by(session)]
    bulk = [name for name, kind in order if kind is Part]
    assert bulk[:6] == ["a", "b"] * 3
    assert order.index(("todo", Update)) < order.index(("a", Part))
    # A part for each that was given meanwhile.
    assert sum(kind is Update for _, kind in order) >= len(bulk) // 2


def test_parts_that_were_not_sent_cannot_be_taken():
    session = opened()
    with pytest.raises(ProtocolError, match="took 1 parts"):
        session.receive(encode(Taken("todo", 1)))


def test_an_answer_need_not_wait_for_what_waits_for_it():
    """The peer acknowledges nothing before it has what the updates build on."""
    session = opened(Limits(window=100, max_part=100))
    session.documents.send_updates("todo", [bytes(90)])
    session.receive(encode(Sync1("todo", b"")))
    session.documents.answer_sync("todo", [bytes(90)] * 3)
    told = sent_by(session)
    for count in range(1, 4):
        session.receive(encode(Taken("todo", count)))
        while session.has_more:
            told += sent_by(session)
    assert [type(m) for m in told] == [Update, Part, Part, Part, Sync2]


def test_what_does_not_fit_into_any_frame_closes_only_its_document():
    for give in ("send_updates", "answer_sync"):
        session = opened(max_frame=64 << 10)
        session.documents.offer("small", "dict", 0)
        session.receive(encode(Open("small", "dict", 0, "")))
        if give == "answer_sync":
            session.receive(encode(Sync1("todo", b"")))
        session.frames_to_send()
        session.events()
        getattr(session.documents, give)("todo", [bytes(64 << 10)])
        if give == "send_updates":
            assert sent_by(session) == []
            assert session.events() == [SyncRequested("todo", b"v0")]
            session.documents.answer_sync("todo", [bytes(64 << 10)])
        (message,) = sent_by(session)
        assert (message.code, message.document) == (Code.TOO_LARGE, "todo")
        assert "65,536" in message.text
        assert "Limits(max_frame=...)" in message.text
        assert [(e.document, e.code) for e in session.events()] == [("todo", Code.TOO_LARGE)]
        assert session.documents.is_open("small")


def test_what_does_not_fit_may_have_been_overwritten():
    """Whoever waits in line behind it makes it smaller, or what is asked for in its place is small anyway."""
    session = opened(max_frame=64 << 10)
    session.documents.send_updates("todo", [bytes(64 << 10)])
    session.documents.send_updates("todo", [b"smaller"])
    assert sent_by(session) == []
    (asked,) = session.events()
    session.documents.answer_sync("todo", [b"small"])
    assert asked == SyncRequested("todo", b"v0")
    assert sent_by(session) == [Update("todo", 2, [b"small"])]
    session.receive(encode(Ack("todo", 2)))
    assert session.documents.is_acknowledged("todo", session.documents.given("todo"))


def test_it_is_told_if_something_was_given_since_the_document_was_asked_for_what_does_not_fit():
    for is_outdated in (False, True):
        session = opened(max_frame=64 << 10)
        session.documents.send_updates("todo", [bytes(64 << 10)])
        assert sent_by(session) == []
        session.events()
        if is_outdated:
            session.documents.send_updates("todo", [b"smaller"])
        session.documents.answer_sync("todo", [bytes(64 << 10)])
        (refused,) = session.events()
        assert (refused.code, refused.is_outdated) == (Code.TOO_LARGE, is_outdated)


# Violations


def test_a_violation_is_told_to_the_peer_and_closes_the_session():
    session = opened()
    session.documents.send_updates("todo", [b"never sent"])
    with pytest.raises(ProtocolError) as caught:
        session.receive(b"\x00garbage")
    assert sent_by(session) == [Error(Code.MALFORMED, str(caught.value), None)]
    assert session.state is LinkState.CLOSED
    with pytest.raises(ProtocolError):
        session.receive(encode(Ack("todo", 1)))
    session.documents.send_updates("todo", [b"x"])
    session.fail(Code.BAD_UPDATE, "again")
    session.close("again")
    assert sent_by(session) == []
    assert session.events() == []


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([Hello(VERSION, "d1", "phone", {})], Code.OUT_OF_ORDER),
        ([Update("unknown", 1, [])], Code.NOT_OPEN),
        ([Open("todo", "dict", 0, "")], Code.OUT_OF_ORDER),
        ([Error("withdrawn", "", "unknown")], Code.OUT_OF_ORDER),
        ([Ack("todo", 2)], Code.OUT_OF_ORDER),
        ([Update("todo", 2, [])], Code.OUT_OF_ORDER),
        ([Update("todo", 1, []), Update("todo", 1, [])], Code.OUT_OF_ORDER),
        ([Sync2("todo", 1, [])], Code.OUT_OF_ORDER),
        ([Sync1("todo", b""), Sync1("todo", b"")], Code.OUT_OF_ORDER),
    ],
    ids=repr,
)
def test_what_breaks_the_order_closes_the_link(frames, code):
    session = opened()
    *good, bad = frames
    for message in good:
        session.receive(encode(message))
    with pytest.raises(ProtocolError) as caught:
        session.receive(encode(bad))
    assert caught.value.code == code
    assert sent_by(session)[-1].code == code


def test_a_frame_that_is_too_large_closes_the_link():
    session = opened(Limits(max_frame=100_000))
    with pytest.raises(ProtocolError) as caught:
        session.receive(encode(Update("todo", 1, [bytes(100_000)])))
    assert caught.value.code == Code.TOO_LARGE


def test_a_peer_that_asks_on_and_on_without_acknowledging_is_refused():
    session = opened()

    def ask() -> None:
        for _ in range(100):
            session.receive(encode(Sync1("todo", b"")))
            session.documents.answer_sync("todo", [])
            session.frames_to_send()

    with pytest.raises(ProtocolError) as caught:
        ask()
    assert caught.value.code == Code.TOO_MUCH


def test_the_application_can_fail_the_link():
    wire = Wire()
    wire.open()
    wire.ends[0].fail(Code.BAD_UPDATE, "no update of this format")
    wire.settle()
    assert wire.take(1, PeerErred) == [PeerErred(Code.BAD_UPDATE, "no update of this format")]
    assert [end.state for end in wire.ends] == [LinkState.CLOSED] * 2


def test_a_farewell_comes_after_what_was_queued():
    wire = Wire()
    wire.open()
    wire.ends[0].documents.send_updates("todo", [b"last words"])
    wire.ends[0].close("shutting down")
    wire.settle()
    assert [e.updates for e in wire.take(1, UpdatesReceived)] == [[b"last words"]]
    assert wire.take(1, PeerLeft) == [PeerLeft("shutting down")]
    assert [end.state for end in wire.ends] == [LinkState.CLOSED] * 2


def test_an_awareness_does_not_need_an_answer():
    session = opened()
    assert session.receive(encode(Awareness("todo", b"x"))) == [AwarenessReceived("todo", b"x")]
    assert sent_by(session) == []
