"""Updates byte by byte, as the engine encodes them, and as it would never do."""

from __future__ import annotations

TRUE = b"\x08\x01\x78"
"""The kind and content of a block that holds True."""


def varint(number):
    out = []
    while number > 0x7F:
        out.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes([*out, number])


def text(string):
    return varint(len(string.encode())) + string.encode()


def values(*encoded):
    """The kind and content of a block with these values."""
    return b"\x08" + varint(len(encoded)) + b"".join(encoded)


def string(content):
    return b"\x77" + text(content)


def entry(content, root="c", key="x/a"):
    """A block in a map."""
    return bytes([0x20 | content[0]]) + b"\x01" + text(root) + text(key) + content[1:]


def element(content, root="l:x"):
    """A block in a list that was empty."""
    return content[:1] + b"\x01" + text(root) + content[1:]


def beside(content, left=None, right=None):
    """A block between two others, each given as (client, clock)."""
    head = content[0] | (0x80 if left else 0) | (0x40 if right else 0)
    places = b"".join(varint(number) for place in (left, right) if place for number in place)
    return bytes([head]) + places + content[1:]


def update(*blocks, client=1, clock=0, deleted=b"\x00"):
    """An update with the blocks of one client."""
    head = b"\x01" + varint(len(blocks)) + varint(client) + varint(clock)
    return head + b"".join(blocks) + deleted


def deletions(*ranges):
    """The end of an update that deletes (client, clock, count)."""
    return varint(len(ranges)) + b"".join(varint(c) + b"\x01" + varint(k) + varint(n) for c, k, n in ranges)
