"""Who wrote a document, and who brought it: what callbacks, the history and conflicts tell of it."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tinysync.crdt.ids import SEED_CLIENTS
from tinysync.crdt.ops import ABSENT
from tinysync.model import DeviceId
from tinysync.storage.devices_file import MAX_AUTHORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tinysync.crdt.document import Received
    from tinysync.model import Author

_SLACK: Final = 1.25
"""There may be so many times as many as are kept in the file before the earliest ones are forgotten."""

REMOVALS: Final = frozenset({"__delitem__", "discard", "clear"})
"""The changes that may be made by who only deletes: a deletion does not say whose it is."""


class Credit(NamedTuple):
    """The device to name for something: the one that wrote it, or, if that is not known, ``via`` which it came."""

    device: DeviceId | None
    via: bool = False

    @property
    def meta(self) -> dict[str, Any]:
        """What a record of the op log says of it."""
        return {"device" if self.via else "author": self.device}


class Credits(NamedTuple):
    """Those for what a delivery writes, and for what it deletes."""

    written: Credit
    removed: Credit


class _Known(NamedTuple):
    author: Author
    credits: Credits


class Authors:
    """The author of each client id of one document, as far as that is known; used from any thread.

    What is said first of a client id counts, and of this device's own ones only what it says itself. ``noted`` is
    what was known before.
    """

    def __init__(self, noted: Mapping[int, Author] | None = None) -> None:
        self.count = 0
        """How many client ids were learned so far, those that were forgotten since among them."""
        self.learned = 0
        """How many of them other devices have told of."""
        self.told_own = 0
        """How many client ids of this device are known here."""
        self._lock = threading.Lock()
        self._known: dict[int, _Known] = {}
        """In the order in which they were learned."""
        self._own: set[int] = set()
        self._earliest = 0
        """What is earlier is not kept."""
        for client, author in (noted or {}).items():
            self._add(client, _known(author))
        self._forget_earliest()

    def _add(self, client: int, known: _Known) -> None:
        self._known[client] = known
        self.count += 1

    def _forget_earliest(self) -> None:
        own = self._own
        if len(self._known) - len(own) > MAX_AUTHORS * _SLACK:
            self._earliest = sorted(self._known.keys() - own)[-MAX_AUTHORS]
            kept = {one: known for one, known in self._known.items() if one >= self._earliest or one in own}
            self._known = kept

    def note_own(self, clients: Iterable[int], author: Author) -> None:
        """Note under which client ids this device writes."""
        with self._lock:
            known = _known(author)
            own = set(clients)
            for client in sorted(own - self._own):
                self._known.pop(client, None)
                self._add(client, known)
            self._own |= own
            self.told_own = len(self._own)
            self._forget_earliest()

    def learn(self, author: Author, clients: Iterable[int]) -> tuple[int, int]:
        """Take in what another device says of client ids; return the count before and after."""
        with self._lock:
            before = self.count
            known = _known(author)
            for client in clients:
                if client not in self._known and client not in self._own and client >= self._earliest:
                    self._add(client, known)
            self._forget_earliest()
            self.learned += self.count - before
            return before, self.count

    def after(self, count: int) -> tuple[int, dict[Author, list[int]]]:
        """Return the count, and all authors of client ids that were learned since it was ``count``."""
        with self._lock:
            found: dict[Author, list[int]] = {}
            for client, known in islice(self._known.items(), max(0, len(self._known) - self.count + count), None):
                found.setdefault(known.author, []).append(client)
            return self.count, found

    def others(self) -> dict[int, Author]:
        """Return the authors of client ids that are not this device's."""
        with self._lock:
            return {client: known.author for client, known in self._known.items() if client not in self._own}

    # --- what is told --------------------------------------------------------------------------------------

    def of(self, client: int | None) -> Credit | None:
        """Return the credit for what was written under a client id, None if its author is not known."""
        known = None if client is None else self._known.get(client)
        return None if known is None else known.credits.written

    def credits(self, received: Received, by: DeviceId, *, is_diff: bool = False) -> Credits:
        """Return the credits for updates that a device brought.

        ``is_diff``: not as they were made. Then they delete everything that is deleted, whoever did it.
        """
        infos = received.infos
        if len(infos) == 1 and not is_diff:
            [info] = infos.values()
            if len(info.blocks) == 1:
                known = self._known.get(info.blocks[0][0])
                return _unknown(by) if known is None else known.credits
        clients = {client for info in infos.values() for client, _, _ in info.blocks if client < SEED_CLIENTS}
        written = {self.of(client) for client in clients}
        author = written.pop() if len(written) == 1 else None
        if author is None:
            return _unknown(by)
        are_told = not _removes(received) if is_diff else all(info.blocks for info in infos.values())
        return Credits(author, author if are_told else Credit(by, via=True))


def _known(author: Author) -> _Known:
    credit = Credit(DeviceId(author.name))
    return _Known(author, Credits(credit, credit))


def _unknown(by: DeviceId) -> Credits:
    credit = Credit(by, via=True)
    return Credits(credit, credit)


def _removes(received: Received) -> bool:
    """Tell whether something is gone with what was received that nothing takes the place of."""
    applied = received.applied
    return any(cell is ABSENT for cells in applied.cells.values() for cell in cells.values()) or any(
        "delete" in step for _, delta in applied.deltas for step in delta
    )


def credit_of(meta: Mapping[str, Any]) -> Credit | None:
    """Return whom a record of the op log names, None if nobody: this device wrote it."""
    for key in ("author", "device"):
        if isinstance(name := meta.get(key), str):
            return Credit(DeviceId(name), via=key == "device")
    return None
