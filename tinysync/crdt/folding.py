"""Making a few updates of many, without a structure to show."""

from __future__ import annotations

from tinysync.crdt.check import check_state_vector, check_update
from tinysync.crdt.engine import Engine
from tinysync.crdt.ids import new_client_id
from tinysync.crdt.parents import Parents
from tinysync.crdt.pending import Pending


def fold(updates: list[bytes]) -> list[bytes]:
    """Return updates that come to the same as many: one, and those that cannot be applied, as others are missing.

    Raises BadUpdate if one is not of the document's format.
    """
    infos = {update: check_update(update) for update in updates}
    engine = Engine(new_client_id(0))
    pending = Pending()
    ready = pending.take_ready(infos, lambda: check_state_vector(engine.state_vector()))
    left_out = Parents(engine.diff).sort_out(ready)
    engine.apply(ready, {list_id for info in ready.values() for list_id in info.lists})
    return [engine.diff(), *pending.updates, *left_out]
