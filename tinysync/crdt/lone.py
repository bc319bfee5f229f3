"""The commonest update, one entry that was written anew, found by its pattern: an edit takes this way each time.

What is not found here is for the check of all updates, which finds the same where both do.
"""

from __future__ import annotations

import re
from array import array
from typing import Final

from tinysync.crdt.encoding import ANY, HAS_KEY, HAS_LEFT, SIZES, STRING, LoneWrite, UpdateInfo
from tinysync.crdt.ids import MAX_CLIENT
from tinysync.crdt.numbers import TWO_BYTES, read_varint

# Numbers in their shortest form: those of sessions and seeds, and clocks that are far from their limit.
_CLIENT: Final = rb"([\x80-\xff]{6,7}[\x01-\x7f])"
_CLOCK: Final = rb"([\x80-\xff]{0,3}[\x01-\x7f]|\x00)"
_WRITE: Final = re.compile(
    rb"\x01\x01" + _CLIENT + _CLOCK + re.escape(bytes([HAS_LEFT | HAS_KEY | ANY])) + _CLIENT + _CLOCK + rb"\x01"
)
_DELETION: Final = re.compile(rb"\x01" + _CLIENT + rb"\x01" + _CLOCK + rb"\x01|\x00")


def find_lone_write(update: bytes) -> UpdateInfo | None:
    """Return what an update holds if it is nothing but one entry written upon another with a plain value."""
    write = _WRITE.match(update)
    if write is None:
        return None
    content = write.end() - 1
    end = _end_of_value(update, content + 1)
    deletion = _DELETION.fullmatch(update, end) if end else None
    if deletion is None:
        return None
    by, at, left_by, left_at = write.groups()
    deleted = deletion[1]
    if deleted is not None and (deleted, deletion[2]) != (left_by, left_at):
        return None
    client, _ = read_varint(by, 0)
    left_client = client if left_by == by else read_varint(left_by, 0)[0]
    clock, _ = read_varint(at, 0)
    left_clock, _ = read_varint(left_at, 0)
    is_before = left_client != client or left_clock < clock
    if client > MAX_CLIENT or left_client > MAX_CLIENT or not is_before:
        return None
    return UpdateInfo(
        [(client, clock, clock + 1)],
        [array("I", (write.end(2), end))],
        end,
        2 if deleted is None else 3,
        int(left_client == client and left_clock == clock - 1),
        {left_client: left_clock + 1},
        set(),
        set(),
        LoneWrite(client, clock, clock + 1, (left_client, left_clock), content),
    )


def _end_of_value(update: bytes, start: int) -> int:
    """Return where a plain value ends that begins there; 0 if it is another, or none."""
    head = update[start : start + 2]
    if not head:
        return 0
    size = SIZES.get(head[0])
    if size is not None:
        return start + size
    if head[0] != STRING or len(head) == 1 or head[1] >= TWO_BYTES:
        return 0
    end = start + 2 + head[1]
    try:
        update[start + 2 : end].decode()
    except UnicodeDecodeError:
        return 0
    return end
