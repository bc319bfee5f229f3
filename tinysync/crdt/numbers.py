"""Unsigned numbers in LEB128, as updates have them: seven bits a byte, the lowest first."""

from __future__ import annotations

from typing import Final

TWO_BYTES: Final = 0x80
"""Numbers from here on take more than one byte."""

LONG_NUMBERS: Final[dict[bytes, int]] = {}
"""Numbers that were read lately, as encoded: the same few client ids come over and over."""

LONG_SIZES: Final = (7, 8)
"""How many bytes they have, those of sessions the first until 2027."""

_MOST_LONG_NUMBERS: Final = 1024


def keep_long_number(encoded: bytes, number: int) -> None:
    """Let a number be found quickly, if it is as long as client ids are."""
    if len(encoded) not in LONG_SIZES:
        return
    if len(LONG_NUMBERS) >= _MOST_LONG_NUMBERS:
        LONG_NUMBERS.clear()
    LONG_NUMBERS[encoded] = number


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Read an unsigned LEB128 number; return it and the position behind it."""
    value = data[position]
    if value < TWO_BYTES:
        return value, position + 1
    second = data[position + 1]
    if second < 0x80:
        return value - 0x80 + (second << 7), position + 2
    for size in LONG_SIZES:
        known = LONG_NUMBERS.get(data[position : position + size])
        if known is not None:
            return known, position + size
    begin = position
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            keep_long_number(data[begin:position], value)
            return value, position
        shift += 7


def write_varint(number: int) -> bytes:
    """Return an unsigned LEB128 number."""
    out = bytearray()
    while number > 0x7F:
        out.append(0x80 | number & 0x7F)
        number >>= 7
    out.append(number)
    return bytes(out)
