"""A digest of all that a document's cells hold, kept up to date at the cost of what changed.

Replicas with the same updates hold the same cells. If their digests differ nevertheless, something went wrong that
no state vector shows: two devices with one client id, say, because somebody copied a folder.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.engine import LIST_ROOT
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.values import Reference, encode, encode_at, encode_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinysync.crdt.engine import Engine
    from tinysync.crdt.sequence import Sequence, Slot

SIZE: Final = 8
"""Bytes of a digest."""


class CellDigest:
    """The exclusive or of the hashes of all cells and lists, each with its place.

    Only what changed since the last time is read again; the first time that is everything.
    """

    def __init__(self, engine: Engine, sequences: Mapping[str, Sequence]) -> None:
        self._engine = engine
        self._sequences = sequences
        self._hashes: dict[tuple[str, str], int] = {}
        self._total = 0
        self._waiting = engine.watch_changes()

    def update(self, budget: int) -> bytes | None:
        """Read up to about ``budget`` cells again; return the digest, or None if there is more to read."""
        with self._engine.reading():
            while self._waiting:
                if budget <= 0:
                    return None
                place = self._waiting.pop()
                budget -= self._take(place)
        return self._total.to_bytes(SIZE)

    def _take(self, place: tuple[str, str]) -> int:
        """Read a place again; return how many cells that were."""
        root, key = place
        cells: list[Any]
        if root == LIST_ROOT:
            sequence = self._sequences.get(key)
            cells = [_cell(slot) for slot in sequence.slots] if sequence is not None else []
        else:
            cell = self._engine.get(root, key)
            cells = [] if cell is ABSENT else [cell]
        new = _hash(root, key, cells) if cells else 0
        self._total ^= self._hashes.pop(place, 0) ^ new
        if new:
            self._hashes[place] = new
        return len(cells) + 1


def _cell(slot: Slot) -> Any:
    if slot.at is not None:
        return encode_at(slot.at)
    return encode_reference(slot.raw) if isinstance(slot.raw, Reference) else encode(slot.raw)


def _hash(root: str, key: str, cells: list[Any]) -> int:
    state = blake2b(f"{root}/{len(key)}/{key}".encode("utf-8", "surrogatepass"), digest_size=SIZE)
    for cell in cells:
        # The engine gives bytes back as a bytearray, and an int as a float.
        natural = float(cell) if type(cell) is int else bytes(cell) if isinstance(cell, bytearray) else cell
        text = repr(natural)
        state.update(f"/{len(text)}/{text}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(state.digest())
