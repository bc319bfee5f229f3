"""Identifiers of the document format: node ids, session client ids, stamps."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tinysync.model import Kind

EPOCH_2020: Final = 1_577_836_800
"""Unix time of 2020-01-01T00:00:00Z, where the hours of a client id begin."""

RANDOM_BITS: Final = 33
SEED_CLIENTS: Final = 2**52
"""Client ids from here on belong to content-addressed seeds; session ids lie below."""

MAX_CLIENT: Final = 2**53 - 1
MAX_VERSION: Final = 2**12 - 1
HOURS_AHEAD: Final = 24
"""How far a session id may be ahead of the clock in order to be above the ids already seen."""

_LAST_HOUR: Final = (SEED_CLIENTS >> RANDOM_BITS) - HOURS_AHEAD - 2
"""In 2079: what is ahead of it, and borrows an hour, is still below the seeds."""


def digest(*parts: bytes, size: int = 8) -> bytes:
    """Return the blake2b digest of length-prefixed parts, so that no two lists of parts run together."""
    state = hashlib.blake2b(digest_size=size)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def node_id(parent: str, key_text: str, kind: Kind, nonce: int | bytes) -> str:
    """Return the id of the container that a reference shows at a place: no cycle and no sharing is possible."""
    mark = nonce if isinstance(nonce, bytes) else b"%d" % nonce
    raw = digest(parent.encode(), key_text.encode(), kind.encode(), type(nonce).__name__.encode(), mark)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def random_nonce() -> bytes:
    """Return a nonce that no other container has."""
    return secrets.token_bytes(8)


def new_client_id(highest_seen: int) -> int:
    """Return a time-ordered session client id that was never used: hours since 2020 above 33 random bits.

    It is above ``highest_seen`` (the highest session id in the document), so that of two concurrent writes of
    one entry the later session's wins, unless that one is more than a day ahead of this device's clock.
    """
    # A clock that was never set, or set to nonsense, must neither stop a device nor make ids of seeds.
    now = min(max(int(time.time() - EPOCH_2020) // 3600, 0), _LAST_HOUR)
    hour = now
    seen_hour, seen_low = highest_seen >> RANDOM_BITS, highest_seen & (2**RANDOM_BITS - 1)
    lowest = 0
    if now <= seen_hour <= now + HOURS_AHEAD:
        # Leave enough random bits above the highest id; where they run out, borrow from the next hour.
        hour, lowest = (seen_hour, seen_low + 1) if seen_low < 2**RANDOM_BITS - 2**30 else (seen_hour + 1, 0)
    return (hour << RANDOM_BITS) + lowest + secrets.randbelow(2**RANDOM_BITS - lowest)


def seed_client_id(version: int, content_digest: bytes) -> int:
    """Return the client id under which a seed is written: a newer version's is higher, equal content is equal."""
    return SEED_CLIENTS + (version << 40) + int.from_bytes(content_digest[:5], "big")


def seed_version(client: int) -> int:
    """Return the ``version=`` that a seed's client id carries."""
    return (client - SEED_CLIENTS) >> 40
