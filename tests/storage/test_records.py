import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinysync.errors import StorageError
from tinysync.storage.records import (
    HEADER_SIZE,
    OPS_MAGIC,
    OpRecord,
    decode_op,
    encode_op,
    frame,
    header,
    scan,
    unpack,
)

META = st.dictionaries(st.text(max_size=5), st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5))
RECORDS = st.builds(
    OpRecord,
    st.sampled_from(["local", "remote", "seed", "file"]),
    st.integers(0, 2**48),
    st.integers(0, 2**53),
    st.lists(st.binary(max_size=40), max_size=3).map(tuple),
    META,
)


def some_records(count, seed=3):
    source = random.Random(seed)
    return [
        OpRecord(
            "local", 1000 + n, source.getrandbits(53), (source.randbytes(source.randrange(1, 30)),), {"n": n + 1}
        )
        for n in range(count)
    ]


def as_file(records):
    """Return the bytes of an op file, and where each record ends."""
    data, ends = header(OPS_MAGIC), []
    for record in records:
        data += frame(encode_op(record))
        ends.append(len(data))
    return data, ends


def read(data):
    found = scan(data, OPS_MAGIC, "x.ops")
    return [decode_op(payload) for payload in found.payloads], found


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=4))
def test_what_is_written_is_read(records):
    data, _ = as_file(records)
    got, found = read(data)
    assert got == records
    assert (found.good_size, found.torn, found.damaged) == (len(data), False, False)


def test_every_cut_is_torn_and_keeps_every_whole_record():
    records = some_records(12)
    data, ends = as_file(records)
    for cut in range(len(data) + 1):
        got, found = read(data[:cut])
        assert got == records[: sum(end <= cut for end in ends)]
        assert not found.damaged
        assert found.torn == (cut not in (0, HEADER_SIZE, *ends))


@pytest.mark.parametrize("zeros", [1, 8, 64, 4096])
def test_every_cut_filled_with_zeros_is_torn(zeros):
    records = some_records(8)
    data, ends = as_file(records)
    for cut in range(len(data) + 1):
        got, found = read(data[:cut] + bytes(zeros))
        assert got == records[: sum(end <= cut for end in ends)]
        assert found.torn
        assert not found.damaged


def test_no_bit_flip_goes_unnoticed_or_hides_what_stands_before_it():
    records = some_records(6)
    data, ends = as_file(records)
    for bit in range(HEADER_SIZE * 8, len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        hit = sum(end <= bit // 8 for end in ends)
        got, found = read(bytes(flipped))
        assert got == records[:hit]
        assert found.damaged or found.torn
        # With whole records behind it, it is never mistaken for the end of an interrupted write.
        assert found.damaged or hit == len(records) - 1


def test_garbage_at_the_end_is_damage():
    data, _ = as_file(some_records(3))
    _, found = read(data + b"\x01\x00\x00\x00garbage that is no record")
    assert found.damaged


def test_garbage_that_claims_to_be_many_records_is_told_in_bounded_time():
    data, _ = as_file(some_records(3))
    lie = b"".join((900_000).to_bytes(4, "little") + bytes(4) + b"\x95" for _ in range(100_000))
    _, found = read(data + b"\x01\x00\x00\x00" + lie + bytes(range(1, 200)) * 10_000)
    assert found.damaged


@pytest.mark.parametrize("bit", range(HEADER_SIZE * 8))
def test_a_damaged_header_is_refused(bit):
    data, _ = as_file(some_records(2))
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StorageError, match="newer version"):
        scan(bytes(flipped), OPS_MAGIC, "x.ops")


def test_a_newer_version_is_named():
    with pytest.raises(StorageError, match="its format is 2, the newest known here is 1"):
        scan(OPS_MAGIC + b"\x02rest", OPS_MAGIC, "x.ops")


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_payload_makes_decoding_fail_otherwise_than_by_none(payload):
    record = decode_op(payload)
    assert record is None or decode_op(encode_op(record)) == record


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xd4\x05\x00",
        b"\xa1\xff",
        b"\xc0\xc0",
        b"",
    ],
)
def test_msgpack_bombs_and_foreign_types_are_nothing(bomb):
    assert unpack(bomb) is None


def test_a_record_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("tinysync.storage.records._MAX_PAYLOAD", 1000)
    with pytest.raises(StorageError, match="too large to be stored"):
        frame(bytes(1001))
