"""Keys that are equal but not the same: 1, 1.0 and True are one key of a dict, and one element of a set."""

from __future__ import annotations

from typing import Any


class _Probe:
    """Looks itself up in a dict or set, and remembers which key it met there."""

    __slots__ = ("key", "met")

    def __init__(self, key: Any) -> None:
        self.key = key
        self.met = key

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        if self.key == other:
            self.met = other
            return True
        return False


def stored_key(container: Any, key: Any) -> Any:
    """Return the key or element, as it is stored, that is equal to a key; the key itself if there is none."""
    if type(key) is str:
        return key
    if not isinstance(container, (dict, set)):
        return container._entries.stored_key(key)
    probe = _Probe(frozenset(key) if isinstance(key, set) else key)
    return probe.met if probe in container else key
