"""What the open transaction has done so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.model import Change
from tinysync.tracked.edit import Edit
from tinysync.tracked.journal import Journal

if TYPE_CHECKING:
    from tinysync.model import Origin
    from tinysync.tracked.base import Tracked
    from tinysync.tracker.notify import Noted
    from tinysync.tracker.replica import Replica


class Transaction:
    """A journal, the changes to call back with, and where they come from."""

    __slots__ = ("changes", "edit", "journal", "marks", "origin")

    def __init__(self, *, origin: Origin = "local", keep_key_order: bool = False) -> None:
        self.journal = Journal(keep_key_order=keep_key_order)
        self.edit = Edit(self.journal)
        self.changes: list[Noted] = []
        self.origin = origin
        self.marks: list[tuple[int, int]] = []
        """For each open ``with`` block, how long the journal and the changes were at its beginning."""

    def note(
        self,
        replica: Replica,
        container: Tracked,
        func_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        *,
        mark: int,
    ) -> None:
        """Write down a change for the callbacks; its ops are those of the journal since ``mark``."""
        node = container._node
        path = node.path() if node is not None else []
        change = Change(replica.root, replica.name, path, func_name, args, kwargs or {}, container, self.origin)
        self.changes.append(replica.notifier.note(change, self.journal.ops[mark:]))

    def finish(self) -> list[Noted]:
        """Forget the journal and return the changes; the next transaction of the kind can begin."""
        changes = self.changes
        self.journal.ops = []
        if changes:
            self.changes = []
        return changes

    def begin_block(self) -> None:
        """Remember where a ``with`` block began."""
        self.marks.append((self.journal.mark(), len(self.changes)))

    def end_block(self, *, failed: bool) -> None:
        """Forget a ``with`` block, undoing what was done in it if it failed."""
        mark, changes = self.marks.pop()
        if failed:
            self.journal.rollback(mark)
            del self.changes[changes:]
