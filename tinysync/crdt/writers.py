"""Which client wrote what a batch has brought to show, to tell whose write it was that clashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.crdt.encoding import DELETED
from tinysync.crdt.ids import SEED_CLIENTS
from tinysync.crdt.overtaken import Deleted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tinysync.crdt.clashes import Clash
    from tinysync.crdt.encoding import Name
    from tinysync.crdt.engine import Applied
    from tinysync.crdt.overtaken import Overtaken, Writes


def note_authors(
    clashes: Iterable[Clash], overtaken: Overtaken, applied: Applied, own: Collection[int], writes: Writes
) -> None:
    """Note the client ids of the others in clashes, where it is known in which entries they wrote.

    Who removes a container from a dict writes its generation instead. A deletion does not say whose it is.
    """
    unknown = [clash for clash in clashes if clash.author is None and clash.written]
    if not unknown:
        return
    deleted = Deleted(applied.deleted)
    clients = {
        one.place: one.client
        for one in overtaken.seen
        if one.client not in own
        and one.client < SEED_CLIENTS
        and one.kind != DELETED
        and (one.client, one.clock) not in deleted
    }

    def at(names: Iterable[Name]) -> set[int]:
        places = map(writes.place, names)
        return {clients[place] for place in places if place in clients}

    for clash in unknown:
        found = at(clash.written) or at(("g", key) for _, key in clash.written)
        clash.author = found.pop() if len(found) == 1 else None
