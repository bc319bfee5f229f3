"""Conflicts: what was written here and elsewhere at once, kept in a journal, and brought back."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.ops import ABSENT
from tinysync.errors import StructureClosed, UsageError
from tinysync.model import NOTHING, Conflict
from tinysync.storage.conflict_journal import ConflictJournal, JournalEntry
from tinysync.tracked.local import LocalDocument
from tinysync.tracked.plain import kind_of, plain
from tinysync.tracked.sameness import same

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinysync.crdt.clashes import Clash
    from tinysync.crdt.encoding import Id
    from tinysync.crdt.node import Node
    from tinysync.model import Kind, Path
    from tinysync.tracker.authors import Credit
    from tinysync.tracker.replica import Replica

logger = logging.getLogger("tinysync")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST_WAITING: Final = 10_000

WAIT: Final = 5.0
"""Seconds after which nothing is expected any more that belongs to what came in pieces."""


class Conflicts:
    """The conflicts of one structure; used under its lock."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._journal = ConflictJournal()
        self._waiting: list[tuple[JournalEntry, tuple[Id, ...]]] = []
        """Those that count if, once all has arrived, what they are about is still there."""
        self._timer: threading.Timer | None = None
        self._untold: list[JournalEntry] = []

    def open(self, journal: ConflictJournal) -> None:
        """Go on with the journal that an earlier run kept."""
        self._journal = journal
        self._replica.document.deleted_here.restore(journal.take_deleted())

    def close(self) -> None:
        """Keep what is known so far, and give the journal free."""
        if self._timer is not None:
            self._timer.cancel()
        if not isinstance(self._replica._document, LocalDocument):
            self.settle()
            self._journal.keep_deleted(self._replica.document.deleted_here.untold)
        self._journal.close()

    def note(self, clashes: Iterable[Clash], other: Credit) -> None:
        """Keep what clashed with what arrived; that shows, whatever becomes of this.

        ``other`` is for those clashes whose author is not known.
        """
        try:
            self._note(clashes, other)
        except Exception:
            logger.exception("Conflicts of %r with %s are not in the journal", self._replica.name, other.device)

    def _note(self, clashes: Iterable[Clash], other: Credit) -> None:
        found: list[JournalEntry] = []
        waiting = len(self._waiting)
        for clash in clashes:
            entry = self._entry(clash, self._replica.known.authors.of(clash.author) or other)
            if same_values(entry):
                continue
            if clash.needs:
                self._waiting.append((entry, clash.needs))
            else:
                found.append(entry)
        self._keep(found)
        if len(self._waiting) > waiting:
            del self._waiting[:-MOST_WAITING]
            self._wait()

    def _keep(self, found: list[JournalEntry]) -> None:
        if found:
            self._journal.add(found)
            self._untold += found

    def _wait(self) -> None:
        """Look in a while, or, where more has come that is to wait, in a while after that."""
        if self._timer is not None:
            self._timer.cancel()
        put = self._replica.inbox.put
        self._timer = threading.Timer(WAIT, lambda: put(self._look))
        self._timer.name = "tinysync-conflicts"
        self._timer.daemon = True
        self._timer.start()

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for more to come."""
        return not self._waiting

    def settle(self) -> None:
        """Keep those of what waits that are conflicts: nobody has deleted meanwhile what they are about."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            writes = self._replica.document.writes
            self._keep([entry for entry, needs in waiting if writes.alive(needs)])

    def _look(self) -> None:
        if not self._replica.closed:
            self.settle()
            self._replica.receiver.notify([], "remote")

    @property
    def has_untold(self) -> bool:
        """Whether something was found that ``take_untold`` has not returned."""
        return bool(self._untold)

    def take_untold(self) -> list[Conflict]:
        """Return what was found since this was last called."""
        untold, self._untold = self._untold, []
        return [self._conflict(entry) for entry in untold]

    def all(self) -> list[Conflict]:
        """Return what is kept, the newest last."""
        with self._replica.reading():
            _ = self._replica.document  # refused without one
            return [self._conflict(entry) for entry in self._journal.entries()]

    def _entry(self, clash: Clash, other: Credit) -> JournalEntry:
        lost, kept = (NOTHING if value is ABSENT else plain(value) for value in (clash.lost, clash.kept))
        here = self._replica.presence.device
        there = other.device or ""
        devices = (here, there) if clash.mine_lost else (there, here)
        return JournalEntry(
            clash.mark,
            time.time_ns() // 1_000_000,
            [*clash.node.path(), clash.key],
            "move" if clash.moved else "value",
            lost,
            kept,
            *devices,
            clash.mine_lost,
            clash.node.id,
            _kinds(clash.node),
            clash.identity,
            clash.is_part,
            other.via,
        )

    def _conflict(self, entry: JournalEntry) -> Conflict:
        return Conflict(
            list(entry.path),
            entry.kind,
            plain(entry.lost),
            plain(entry.kept),
            entry.lost_device,
            entry.kept_device,
            entry.lost_here,
            (_EPOCH + timedelta(milliseconds=entry.time_ms)).astimezone(),
            partial(restore, self._replica, entry),
            entry.via,
        )


def _kinds(node: Node) -> tuple[Kind, ...]:
    """Return the kinds of the containers from the root to a node."""
    return (*(_kinds(node.parent) if node.parent is not None else ()), node.kind)


def same_values(entry: JournalEntry) -> bool:
    """Tell whether it makes no difference which one was kept."""
    if entry.lost is NOTHING or entry.kept is NOTHING:
        return entry.lost is entry.kept
    return same(entry.lost, entry.kept)


# --- bringing back ------------------------------------------------------------------------------------------


def restore(replica: Replica, entry: JournalEntry) -> None:
    """Write what was lost back."""
    with replica.changing():
        if replica.closed:
            raise StructureClosed(
                f"a conflict of {replica.name!r} cannot be restored: the structure is closed; track it again"
            )
        node = replica.document.nodes.get(entry.node)
        index = None
        if node is not None and entry.element is not None:
            if replica.lock.blocks and replica.transaction.journal.ops:
                raise UsageError(
                    "an element of a list cannot be restored in a transaction that has changed something; do it"
                    " before, or after its end"
                )
            index = replica.document.index_of(node, entry.element)
        with replica:
            container = node.container if node is not None else _container(replica.root, entry)
            if entry.kind == "move":
                _move(container, index, entry)
            elif isinstance(container, list):
                _put_element(container, index, entry)
            elif isinstance(container, set):
                (container.discard if entry.lost is NOTHING else container.add)(entry.path[-1])
            else:
                _put_entry(container, entry)


def _container(root: Any, entry: JournalEntry) -> Any:
    """Return the container that the path leads to, made anew from where it is gone, as far as no list is."""
    container = root
    for depth, (step, kind) in enumerate(zip(entry.path, entry.kinds[1:], strict=False), 1):
        inside: Any = None
        if isinstance(container, dict):
            if step not in container and entry.lost is not NOTHING and "list" not in entry.kinds[depth:]:
                container[step] = {} if kind == "dict" else set()
            inside = container.get(step)
        elif isinstance(container, list) and step < len(container):
            inside = container[step]
        if kind_of(inside) != kind:
            raise _no_place(entry.path[:depth], entry)
        container = inside
    return container


def _no_place(path: Path, entry: JournalEntry) -> UsageError:
    return UsageError(f"{entry.path!r} has no place any more, because of what is at {path!r} now; use its .lost")


def _move(container: Any, index: int | None, entry: JournalEntry) -> None:
    if index is None:
        raise UsageError(f"the element that was moved is not there any more: {entry.path!r}")
    container.move(index, min(entry.lost, len(container) - 1))


def _put_element(container: Any, index: int | None, entry: JournalEntry) -> None:
    if index is None:
        if entry.lost is not NOTHING:
            container.insert(entry.path[-1], entry.lost)
    elif not same(container[index], entry.lost):
        container[index] = entry.lost


def _put_entry(container: Any, entry: JournalEntry) -> None:
    key, lost = entry.path[-1], entry.lost
    if lost is NOTHING:
        container.pop(key, None)
    elif key in container and entry.is_part:
        _add(container, key, lost, entry)
    elif key not in container or not same(container[key], lost):
        container[key] = lost


def _add(container: Any, key: Any, part: Any, entry: JournalEntry) -> None:
    """Bring a part of what was under a key into what is there now."""
    now = container[key]
    if isinstance(part, dict) and isinstance(now, dict):
        for inner, value in part.items():
            if inner in now and isinstance(value, (dict, list, set)):
                _add(now, inner, value, entry)
            elif inner not in now or not same(now[inner], value):
                now[inner] = value
    elif isinstance(part, list) and isinstance(now, list):
        now.extend(part)
    elif isinstance(part, set) and isinstance(now, set):
        now.update(part)
    else:
        container[key] = part
