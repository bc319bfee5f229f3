"""Containers as bytes, for databases: the same types as in documents, nothing that could execute.

A tree is msgpack: dicts are maps, lists are arrays, sets an extension type; scalars and keys are packed as in the
cells of documents (see :mod:`tinysync.crdt.values`).
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from tinysync.crdt.values import MAX_DEPTH, packable, scalar_from_ext
from tinysync.errors import BadUpdate, InvalidValue

SET: Final = 32
"""The msgpack extension type of a set; documents have no such cell."""


def encode_tree(value: Any) -> bytes:
    """Return the bytes of a scalar, or of a dict, list or set with all that is in it.

    Raises UnsupportedValue or InvalidValue for what documents cannot hold either.
    """
    return _packed(_tree(value, 0))


def decode_tree(data: bytes) -> Any:
    """Return the plain value that bytes from ``encode_tree`` stand for; raises BadUpdate if they are none."""
    try:
        return msgpack.unpackb(data, ext_hook=_from_ext, strict_map_key=False, use_list=True)
    except BadUpdate:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise BadUpdate(f"bytes that are no value of this format: {error}") from error


def _from_ext(code: int, data: bytes) -> Any:
    return set(decode_tree(data)) if code == SET else scalar_from_ext(code, data)


def _tree(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise InvalidValue(f"containers are nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {packable(key): _tree(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_tree(item, depth + 1) for item in value]
    if isinstance(value, set):
        return msgpack.ExtType(SET, _packed([packable(element) for element in value]))
    return packable(value)


def _packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed
