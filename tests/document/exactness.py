"""Equality of values with their types, found without the codec that is under test."""

from __future__ import annotations

import struct
from decimal import Decimal


def identical(one, other):
    """Tell whether two values, or structures of them, are the same to the last bit that Python shows."""
    kind = type(one)
    if isinstance(one, (dict, list, set)):
        kind = next(base for base in (dict, list, set) if isinstance(one, base))
        if not isinstance(other, kind) or len(one) != len(other):
            return False
    elif kind is not type(other):
        return False
    if kind is dict:
        typed = {key: key for key in other}
        return all(k in typed and identical(k, typed[k]) and identical(v, other[k]) for k, v in one.items())
    if kind in (set, frozenset):
        typed = {element: element for element in other}
        return len(one) == len(typed) and all(e in typed and identical(e, typed[e]) for e in one)
    if kind in (list, tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    if kind is float:
        return (one != one and other != other) or struct.pack("d", one) == struct.pack("d", other)
    if kind is complex:
        return identical(one.real, other.real) and identical(one.imag, other.imag)
    if kind is Decimal:
        return one.as_tuple() == other.as_tuple()
    if hasattr(one, "utcoffset"):
        return one == other and one.utcoffset() == other.utcoffset() and one.isoformat() == other.isoformat()
    return one == other
