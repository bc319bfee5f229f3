"""Going on after a change of a structure failed that is nowhere but in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.tracked.adopt import copy_in
from tinysync.tracked.journal import Journal
from tinysync.tracked.plain import plain
from tinysync.tracked.reconcile import reconcile

if TYPE_CHECKING:
    from tinysync.crdt.document import Document


def rebuild_from_itself(document: Document) -> list[bytes]:
    """Make a document whole into which some of a change was written, and return all of it, for the peers.

    What was written stays, as every later write would build on it, and is taken back by new edits: so the document
    is what the live structure is. Raises BadUpdate or EngineFailure.
    """
    content = copy_in(plain(document.root.container))
    document.rebuild(document.diff())
    journal = Journal(keep_key_order=False)
    reconcile(journal, document.root.container, content)
    if journal.ops:
        document.commit(journal.ops)
    return document.diff()
