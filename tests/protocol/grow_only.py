"""The smallest document that can be synced: a set of blobs, which only grows."""

from __future__ import annotations

import hashlib

_SIZE = 8


def digest(blob: bytes) -> bytes:
    return hashlib.blake2b(blob, digest_size=_SIZE).digest()


class GrowOnly:
    """A set of blobs. Its state vector is the sorted list of their digests."""

    def __init__(self) -> None:
        self.blobs: dict[bytes, bytes] = {}

    def add(self, blob: bytes) -> bool:
        """Add a blob; return whether it was new."""
        name = digest(blob)
        new = name not in self.blobs
        self.blobs[name] = blob
        return new

    def state_vector(self) -> bytes:
        return b"".join(sorted(self.blobs))

    def diff(self, state_vector: bytes) -> list[bytes]:
        known = {state_vector[i : i + _SIZE] for i in range(0, len(state_vector), _SIZE)}
        return [blob for name, blob in self.blobs.items() if name not in known]
