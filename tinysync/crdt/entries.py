"""What an entry of a dict or set node shows: its chosen cell, else its pinned, else its default cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.ids import node_id
from tinysync.crdt.keys import key_text, text_key
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.values import (
    SCALAR_TYPES,
    TOMBSTONE,
    Keyed,
    Reference,
    decode,
    encode,
    encode_keyed,
)
from tinysync.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tinysync.model import Kind

LAYERS: Final = ("c", "p", "d")
"""Chosen, pinned and default cells, in the order in which they win."""

ROOT_ENTRY: Final = "/"
"""The entry that shows the root, as if the root were the value of a key."""

Lookup = "Callable[[str, str], Any]"
"""Gives the raw cell of a root and an entry, or ABSENT."""


def shown_value(lookup: Callable[[str, str], Any], entry: str) -> tuple[Any, str]:
    """Return the decoded value that an entry shows (ABSENT: nothing) and the layer it is from."""
    for layer in LAYERS:
        cell = lookup(layer, entry)
        if cell is not ABSENT:
            value = decode(cell)
            return (ABSENT if value is TOMBSTONE else value), layer
    return ABSENT, ""


def dict_entry(value: Any, text: str) -> tuple[Any, Any]:
    """Return the key and the value (scalar or Reference) of a dict's entry; (None, ABSENT) if not valid."""
    if isinstance(value, Keyed):
        key, value = value
        if not _is_key(key, text):
            return None, ABSENT
    else:
        key = text_key(text)
        if key is None:
            return None, ABSENT
    if type(value) in SCALAR_TYPES or isinstance(value, Reference):
        return key, value
    return None, ABSENT


def set_entry(value: Any, text: str) -> Any:
    """Return the element of a set's entry, or ABSENT if it is not valid."""
    element = text_key(text)
    if element is not None:
        return ABSENT if value is ABSENT else element
    return value if _is_key(value, text) else ABSENT


def _is_key(value: Any, text: str) -> bool:
    """Tell whether a value from a cell is the key that a key text stands for."""
    try:
        return type(value) in SCALAR_TYPES and key_text(value) == text
    except UsageError:
        # No replica of ours writes such a key: a NaN, say.
        return False


def dict_cell(key: Any, cell: Any) -> Any:
    """Return the cell of a dict's entry: a key that is not a str is kept in it as it was typed."""
    return cell if type(key) is str else encode_keyed(key, cell)


def set_cell(element: Any) -> Any:
    """Return the cell of a set's element."""
    return True if type(element) is str else encode(element)


def root_reference(lookup: Callable[[str, str], Any], kind: Kind) -> tuple[Reference, str]:
    """Return what shows as the root, and the layer it is from ('': the root that was created empty)."""
    for layer in ("p", "d"):
        cell = lookup(layer, ROOT_ENTRY) if kind == "list" else ABSENT
        if cell is not ABSENT:
            value = decode(cell)
            if isinstance(value, Reference) and value.kind == kind:
                return value, layer
    return Reference(kind, 0), ""


def root_id(reference: Reference) -> str:
    """Return the node id of the root."""
    return node_id("", "", reference.kind, reference.nonce)


def in_order(texts: Collection[str]) -> list[str]:
    """Return key texts in the order of a reopened container: str keys first, in their order."""
    ordered = sorted(texts)
    others = [text for text in ordered if text_key(text) is None]
    return [text for text in ordered if text_key(text) is not None] + others if others else ordered


def text_order(text: str) -> tuple[bool, str]:
    """Sort key of key texts: that of ``in_order``."""
    return text_key(text) is None, text
