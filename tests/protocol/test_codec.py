from __future__ import annotations

import contextlib
import dataclasses
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysync.errors import ProtocolError
from tinysync.protocol import Limits
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.messages import (
    VERSION,
    Ack,
    Awareness,
    Bye,
    Code,
    Digest,
    Error,
    Hello,
    Open,
    Part,
    Sync1,
    Sync2,
    Taken,
    Update,
    Wrote,
)

LIMITS = Limits()

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=LIMITS.max_document_name)
devices = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=LIMITS.max_device_name)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=LIMITS.max_text)
codes = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
integers = st.integers(0, 2**53 - 1)
updates = st.lists(st.binary(max_size=300), max_size=20)

messages = st.one_of(
    st.builds(Hello, st.just(VERSION), devices, devices, st.dictionaries(codes, integers, max_size=4)),
    st.builds(Open, names, codes, integers, st.just("") | devices),
    st.builds(Sync1, names, st.binary()),
    st.builds(Sync2, names, integers, updates),
    st.builds(Update, names, integers, updates),
    st.builds(Part, names, integers, updates),
    st.builds(Taken, names, integers),
    st.builds(Ack, names, integers),
    st.builds(Awareness, names, st.binary()),
    st.builds(Wrote, names, st.just("") | devices, devices, st.lists(st.integers(0, 2**52 - 1), max_size=20)),
    st.builds(Digest, names, integers, integers, st.binary()),
    st.builds(Error, codes, texts, st.none() | names),
    st.builds(Bye, texts),
)


@given(messages)
def test_a_message_survives_the_wire(message):
    assert decode(encode(message), LIMITS) == message


@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error(frame):
    with contextlib.suppress(ProtocolError):
        decode(frame, LIMITS)


@given(messages, st.data())
def test_a_mutated_frame_is_a_message_or_a_protocol_error(message, data):
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(frame) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                frame[position] = data.draw(st.integers(0, 255))
            case "cut":
                del frame[position : position + data.draw(st.integers(1, 5))]
            case "insert":
                frame[position:position] = data.draw(st.binary(min_size=1, max_size=5))
        if not frame:
            break
    try:
        decoded = decode(bytes(frame), LIMITS)
    except ProtocolError:
        return
    assert decode(encode(decoded), LIMITS) == decoded


SAMPLES = [
    Hello(VERSION, "d1", "laptop", {"max_frame": 1 << 20}),
    Open("todo", "dict", 0, "f01d"),
    Sync1("todo", b"vector"),
    Sync2("todo", 1, [b"a", b"b"]),
    Update("todo", 2, [b"c"]),
    Part("todo", 100, [b"d"]),
    Taken("todo", 1),
    Ack("todo", 2),
    Awareness("todo", b"here"),
    Wrote("todo", "f01d", "laptop", [2**52 - 1, 0]),
    Digest("todo", 3, 4, b"12345678"),
    Error("failed", "the disk is full", "todo"),
    Bye("closing"),
    # Large ones are read in another way.
    Hello(VERSION, "d1", "laptop", {f"{number:064}": number for number in range(30)}),
    Open("t" * 255, "dict", 0, "é" * 100),
    Sync1("todo", bytes(600)),
    Sync2("todo", 1, [b"a"] * 300),
    Update("todo", 2, [b"c", bytes(600)]),
    Part("todo", 100, [bytes(600)]),
    Awareness("todo", bytes(600)),
    Wrote("todo", "", "é" * 100, [2**49 + number for number in range(1000)]),
    Error("failed", "f" * 600, "todo"),
    Bye("c" * 600),
]


def values_of(message):
    return msgpack.unpackb(encode(message))


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: type(m).__name__)
def test_a_missing_or_further_field_is_refused(message):
    values = values_of(message)
    for changed in (values[:-1], [*values, 1], [*values, "x"], [values]):
        with pytest.raises(ProtocolError) as caught:
            decode(msgpack.packb(changed), LIMITS)
        assert caught.value.code == Code.MALFORMED


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize(
    "wrong",
    [True, -1, 2**53, 1.0, [[]], {"x": [1]}, {1: 2}, msgpack.ExtType(5, b"x"), msgpack.Timestamp(0), "", ["x"]],
    ids=repr,
)
def test_a_field_of_another_type_is_refused(message, wrong):
    values = values_of(message)
    allowed = {"text", "reason", "replica"} if wrong == "" else set()
    for position, field in enumerate(dataclasses.fields(message), start=1):
        if field.name in allowed:
            continue
        changed = [*values[:position], wrong, *values[position + 1 :]]
        with pytest.raises(ProtocolError):
            decode(msgpack.packb(changed), LIMITS)


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: type(m).__name__)
def test_every_prefix_of_a_frame_is_refused(message):
    frame = encode(message)
    for size in range(len(frame)):
        with pytest.raises(ProtocolError):
            decode(frame[:size], LIMITS)


def test_names_and_texts_have_a_longest():
    for message in (
        Hello(VERSION, "d" * 101, "laptop", {}),
        Hello(VERSION, "d", "l" * 101, {}),
        Hello(VERSION, "d", "l", {str(i): i for i in range(33)}),
        Open("n" * 256, "dict", 0, ""),
        Bye("x" * 1001),
        Error("c" * 65, "", None),
        Wrote("todo", "d" * 101, "laptop", []),
        Wrote("todo", "d", "l" * 101, []),
    ):
        with pytest.raises(ProtocolError):
            decode(encode(message), LIMITS)


def test_a_frame_tells_the_authors_of_so_many_client_ids_of_sessions():
    most = Limits(max_authors=3)
    assert decode(encode(Wrote("todo", "", "laptop", [1, 2, 3])), most).clients == [1, 2, 3]
    for clients in ([1, 2, 3, 4], [2**52], [1.0], [True], [1, b"2"], [1, None]):
        with pytest.raises(ProtocolError) as caught:
            decode(encode(Wrote("todo", "", "laptop", clients)), most)
        assert caught.value.code == Code.MALFORMED
    for frame in (Wrote("todo", "", "laptop", [1] * 1001), Wrote("todo", "", "laptop", [2**52 + 1] * 100)):
        with pytest.raises(ProtocolError):
            decode(encode(frame), LIMITS)


def test_a_frame_beyond_the_limit_is_not_even_looked_at():
    with pytest.raises(ProtocolError) as caught:
        decode(bytes(1001), Limits(max_frame=1000))
    assert caught.value.code == Code.TOO_LARGE


def test_a_hello_of_another_version_is_told_so_whatever_it_holds():
    for fields in ([1, VERSION + 1, "d", "n", {}, "something new"], [1, VERSION + 1, [[]]], [1, VERSION + 1]):
        with pytest.raises(ProtocolError) as caught:
            decode(msgpack.packb(fields), LIMITS)
        assert caught.value.code == Code.VERSION


@pytest.mark.parametrize(
    "frame",
    [
        b"\x91" * 100_000,
        b"\x94\x05\xa1x\x01" + b"\xdd\xff\xff\xff\xff" * 1000,
        b"\x95\x01\x01\xa1d\xa1n" + b"\xdf\xff\xff\xff\xff",
        b"\x95\x01\x01\xa1d\xa1n" + b"\x81\xa1k" * 10_000,
        b"\x93\x03\xa1x" + b"\xc6\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff" * 1000,
        b"\xdc\x01\xff" * 170,
        b"\xde\x00\xff\xa0" * 127,
    ],
    ids=[
        "nested",
        "arrays in updates",
        "huge map",
        "nested maps",
        "huge bytes",
        "nested huge arrays",
        "small",
        "small maps",
    ],
)
def test_an_announced_size_costs_nothing(frame):
    with pytest.raises(ProtocolError):
        decode(frame, LIMITS)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            decode(frame, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
