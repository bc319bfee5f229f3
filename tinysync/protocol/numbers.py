"""Reading the numbers of Yjs encodings, within bounds."""

from __future__ import annotations

_MAX_BYTES = 8


def read_number(data: bytes, position: int, limit: int) -> tuple[int, int]:
    """Return the unsigned LEB128 number at a position, and the position behind it.

    Raises ValueError if the data end before it does, or if it is not below ``limit``.
    """
    value = 0
    for shift in range(0, 7 * _MAX_BYTES, 7):
        if position >= len(data):
            raise ValueError("it ends too early")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= limit:
                raise ValueError(f"the number {value} is not below {limit}")
            return value, position
    raise ValueError("a number runs out of bounds")
