"""The bytes of op files: a header, then records that are found whole or not at all.

A file starts with a magic of seven bytes and a version. A record is its payload's length and a crc32 over length
and payload (both 32 bit, little endian), then the payload. The crc covers the length, so that zeros, which a loss
of power can leave where data was to come, are no record.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack

from tinysync.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

OPS_MAGIC: Final = b"tsynOPS"
SNAPSHOT_MAGIC: Final = b"tsynSNP"
BASE_MAGIC: Final = b"tsynBAS"
VERSION: Final = 1
HEADER_SIZE: Final = 8

_FRAME: Final = struct.Struct("<II")
_MAX_PAYLOAD: Final = 1 << 30
_SEARCH_BUDGET: Final = 1 << 28


_NO_META: Final[dict[str, Any]] = {}


class OpRecord(NamedTuple):
    """What one local transaction made, or one remote frame brought, as it lies in an op file.

    ``kind`` is the caller's word for where it came from; ``'snapshot'`` is the storage's own. ``time_ms`` is
    milliseconds since 1970, ``client`` the client id that wrote it, ``updates`` are applied in one go, in order.
    ``meta`` holds plain values that msgpack knows (a tuple comes back as a list).
    """

    kind: str
    time_ms: int
    client: int
    updates: tuple[bytes, ...]
    meta: dict[str, Any] = _NO_META


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file of records holds.

    ``payloads`` are the whole records before the first that is not; ``good_size`` is where they end.
    ``torn`` says that what follows is no more than a record whose writing was cut short; ``damaged`` that
    something else follows.
    """

    payloads: list[bytes]
    good_size: int
    torn: bool
    damaged: bool


def header(magic: bytes) -> bytes:
    """Return the first bytes of a file of this version."""
    return magic + bytes([VERSION])


def frame(payload: bytes) -> bytes:
    """Return a payload as a record."""
    return _head(payload) + payload


def whole_file(magic: bytes, payloads: Iterable[bytes]) -> bytes:
    """Return a file with these records. They may be large: none is copied more than once."""
    parts = [header(magic)]
    for payload in payloads:
        parts += (_head(payload), payload)
    return b"".join(parts)


def _head(payload: bytes) -> bytes:
    if len(payload) > _MAX_PAYLOAD:
        raise StorageError(
            f"A single change of {len(payload):,} bytes is too large to be stored (the limit is"
            f" {_MAX_PAYLOAD:,}); make it in several steps."
        )
    length = len(payload).to_bytes(4, "little")
    return _FRAME.pack(len(payload), zlib.crc32(payload, zlib.crc32(length)))


def scan(data: bytes, magic: bytes, place: object) -> Scan:
    """Find the records of a file; ``place`` names it in errors.

    Raise StorageError if it is not of this kind, or of a version that is not known here.
    """
    expected = header(magic)
    if data[:HEADER_SIZE] != expected:
        begun = data.rstrip(b"\0")
        if len(begun) < HEADER_SIZE and expected.startswith(begun):
            return Scan([], 0, torn=bool(data), damaged=False)
        raise StorageError(_wrong_header(data, magic, place))
    payloads, position = whole_records(data, HEADER_SIZE)
    if position == len(data):
        return Scan(payloads, position, torn=False, damaged=False)
    torn = _is_cut_short(data, position) and not _any_record_after(data, position)
    return Scan(payloads, position, torn=torn, damaged=not torn)


def whole_records(data: bytes, position: int = 0) -> tuple[list[bytes], int]:
    """Return the payloads of the whole records that stand from a position on, and where the last one ends."""
    # As _record_at does it, for very many records.
    payloads: list[bytes] = []
    size, head, crc32, unpack_from = len(data), _FRAME.size, zlib.crc32, _FRAME.unpack_from
    while (start := position + head) <= size:
        length, crc = unpack_from(data, position)
        end = start + length
        if not length or end > size:
            break
        payload = data[start:end]
        if crc32(payload, crc32(data[position : position + 4])) != crc:
            break
        payloads.append(payload)
        position = end
    return payloads, position


def encode_op(record: OpRecord) -> bytes:
    """Return an op record as a payload."""
    return pack([record.kind, record.time_ms, record.client, list(record.updates), record.meta])


def decode_ops(payloads: list[bytes]) -> tuple[list[OpRecord], int]:
    """Return the op records up to the first payload that is none, and the bytes that they take as records."""
    records: list[OpRecord] = []
    size = 0
    for payload in payloads:
        record = decode_op(payload)
        if record is None:
            break
        records.append(record)
        size += _FRAME.size + len(payload)
    return records, size


def decode_op(payload: bytes) -> OpRecord | None:
    """Return the op record in a payload, or None if it is not one."""
    # Not by a match statement: there may be a hundred thousand of them.
    value = unpack(payload)
    if type(value) is not list or len(value) != len(OpRecord._fields):
        return None
    kind, time_ms, client, updates, meta = value
    if type(kind) is not str or type(time_ms) is not int or type(client) is not int:
        return None
    if type(updates) is not list or type(meta) is not dict or not all(type(each) is bytes for each in updates):
        return None
    return OpRecord(kind, time_ms, client, tuple(updates), meta)


def pack(value: Any) -> bytes:
    """Return a plain value as a payload."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack(payload: bytes) -> Any:
    """Return the plain value in a payload, or None if it is not one msgpack value within its own size."""
    size = len(payload)
    try:
        return msgpack.unpackb(
            payload,
            max_str_len=size,
            max_bin_len=size,
            max_array_len=size,
            max_map_len=size,
            max_ext_len=0,
        )
    except (ValueError, msgpack.exceptions.UnpackException):
        return None


def _wrong_header(data: bytes, magic: bytes, place: object) -> str:
    if data.startswith(magic):
        return (
            f"{place} was written by a newer version of tinysync (its format is {data[len(magic)]}, the newest"
            f" known here is {VERSION}); it was left alone. Update tinysync to open it."
        )
    return (
        f"{place} is not a file of tinysync, or was written by a newer version; it was left alone. Update"
        " tinysync, or restore the file from a backup, or move it away if it does not belong there."
    )


def _record_at(data: bytes, position: int) -> bytes | None:
    start = position + _FRAME.size
    if start > len(data):
        return None
    length, crc = _FRAME.unpack_from(data, position)
    end = start + length
    if length == 0 or end > len(data):
        return None
    payload = data[start:end]
    return payload if zlib.crc32(payload, zlib.crc32(data[position : position + 4])) == crc else None


def _is_cut_short(data: bytes, position: int) -> bool:
    """Whether what is left, trailing zeros aside, is less than the record that it announces."""
    written = len(data[position:].rstrip(b"\0"))
    if written < _FRAME.size:
        return True
    length, _crc = _FRAME.unpack_from(data, position)
    return bool(written < _FRAME.size + length)


def _any_record_after(data: bytes, position: int) -> bool:
    """Whether a whole record begins anywhere after a position, as it does when a length was damaged.

    Reading what only looks like a record is limited; beyond that the answer is yes, which keeps everything.
    """
    budget = _SEARCH_BUDGET
    # Every op payload starts with the mark of an array of five.
    found = data.find(b"\x95", position + _FRAME.size + 1)
    while found >= 0:
        begin = found - _FRAME.size
        length, _crc = _FRAME.unpack_from(data, begin)
        if 0 < length <= len(data) - found:
            budget -= length
            if budget < 0 or _record_at(data, begin) is not None:
                return True
        found = data.find(b"\x95", found + 1)
    return False
