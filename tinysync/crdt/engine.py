"""The one small class that touches the CRDT engine's low-level objects.

It keeps the engine's traps out of the way: inserts are spread over small transactions (a transaction is
quadratic in the list elements it inserts), updates come from transaction events, changes are collected only
while a remote update is applied, and a panic, which is a BaseException, becomes EngineFailure.
Everything here runs under the lock of the tracker that owns the document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pycrdt import _pycrdt as yrs

from tinysync.crdt.numbers import read_varint
from tinysync.crdt.ops import ABSENT
from tinysync.errors import BadUpdate, EngineFailure, TinySyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tinysync.crdt.encoding import Name

META: Final = "meta"
MAP_ROOTS: Final = (META, "c", "p", "d", "g", "o")
LIST_PREFIX: Final = "l:"
LIST_ROOT: Final = "l"
"""Stands for the root of a list among the places of cells."""
CELL_ROOTS: Final = ("c", "p", "d", "o")
"""The roots of which somebody wants to know what changed."""

INSERTS_PER_TRANSACTION: Final = 20
UPDATES_PER_TRANSACTION: Final = 20
BYTES_PER_TRANSACTION: Final = 8192
"""Updates of others are applied together up to these: a transaction is quadratic in blocks that it joins, too."""

Delta = list[dict[str, Any]]


@dataclass(slots=True)
class Applied:
    """What a batch of updates changed: raw cells by root and key (ABSENT: removed), and list deltas in order."""

    cells: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in CELL_ROOTS})
    deltas: list[tuple[str, Delta]] = field(default_factory=list)
    events: int = 0
    deleted: list[bytes] = field(default_factory=list)
    """The ranges of elements that the engine deleted, encoded, if they were asked for."""

    def names(self) -> Iterator[Name]:
        """Return the root and key of each cell that changed."""
        return ((root, key) for root, cells in self.cells.items() for key in cells)


class _Observer:
    """What the engine calls back: apart, as nothing that the engine holds on to may hold on to the engine.

    Python cannot see through it, so it would never be collected.
    """

    __slots__ = ("applied", "notes_deleted", "updates")

    def __init__(self) -> None:
        self.updates: list[bytes] = []
        """Those that were written here since the last commit."""
        self.applied: Applied | None = None
        """Where what is applied is noted, while it is."""
        self.notes_deleted = False

    def collect(self, event: Any) -> None:
        if self.applied is None:
            self.updates.append(event.update)
        else:
            self.applied.events += 1
            if self.notes_deleted:
                self.applied.deleted.append(event.delete_set)

    def delta_collector(self, list_id: str) -> Callable[[Any], None]:
        def collect(event: Any) -> None:
            if self.applied is not None:
                self.applied.deltas.append((list_id, event.delta))

        return collect


class HalfApplied(BadUpdate):
    """The engine refused an update, but part of it may be in: the document must be rebuilt."""


class Engine:
    """One engine document and its open transaction.

    ``state`` is an update to begin with, one that such a document gave; ``lists`` names the lists in it. Raises
    HalfApplied if the engine refuses it.
    """

    def __init__(self, client_id: int, state: bytes = b"", lists: Iterable[str] = ()) -> None:
        self.client_id = client_id
        self._doc = yrs.Doc(client_id, None, None)
        self._observer = _Observer()
        self._inserted = 0
        self._arrays: dict[str, Any] = {}
        self._array_subscriptions: list[Any] = []
        self._changes: set[tuple[str, str]] | None = None
        self.txn: Any = self._doc.create_transaction()
        self.maps: dict[str, Any] = {name: self._doc.get_or_insert_map(self.txn, name) for name in MAP_ROOTS}
        if state:
            self._begin_with(state)
        self.end()
        self._subscription = self._doc.observe(self._observer.collect)
        self._watch(lists)

    def _begin_with(self, state: bytes) -> None:
        # Before anything is observed: that doubles what it takes.
        try:
            self._doc.apply_update(self.txn, state)
        except Exception as error:
            raise HalfApplied(f"the engine refused an update: {error}") from error

    def end(self) -> None:
        """Close the transaction."""
        txn, self.txn = self.txn, None
        try:
            txn.commit()
        except SystemError as error:
            # An interrupt that came while the engine called back.
            if error.__cause__ is None:
                raise
            raise error.__cause__ from None
        finally:
            txn.drop()

    # --- local writes --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Open the transaction that local writes go into."""
        self._inserted = 0
        self.txn = self._doc.create_transaction()

    def commit(self) -> list[bytes]:
        """Close the transaction and return the updates written since the last commit."""
        self.end()
        observer = self._observer
        updates, observer.updates = observer.updates, []
        return updates

    def put(self, root: str, key: str, cell: Any) -> None:
        """Write a cell."""
        if self._changes is not None and root in CELL_ROOTS:
            self._changes.add((root, key))
        self.maps[root].insert(self.txn, key, cell)

    def remove(self, root: str, key: str) -> None:
        """Remove a cell if it is there."""
        if self._changes is not None and root in CELL_ROOTS:
            self._changes.add((root, key))
        if self.maps[root].has(self.txn, key):
            self.maps[root].remove(self.txn, key)

    def insert(self, list_id: str, index: int, cell: Any) -> None:
        """Insert a list element at an array position."""
        if self._inserted >= INSERTS_PER_TRANSACTION:
            self.end()
            self.begin()
        self._inserted += 1
        if self._changes is not None:
            self._changes.add((LIST_ROOT, list_id))
        self._array(list_id).insert(self.txn, index, cell)

    def delete(self, list_id: str, index: int, count: int) -> None:
        """Delete list elements at array positions."""
        if self._changes is not None:
            self._changes.add((LIST_ROOT, list_id))
        self._array(list_id).remove_range(self.txn, index, count)

    def integrate(self, update: bytes) -> None:
        """Apply an update of another client in the middle of local writes; it is among what ``commit`` returns.

        The lists that it begins have to be given to ``follow``.
        """
        self.end()
        self.begin()
        self._doc.apply_update(self.txn, update)
        self.end()
        self.begin()
        self._note_all()

    def follow(self, list_id: str) -> None:
        """Have the changes that others make to a list collected, although nothing was written to it here."""
        self._array(list_id)
        if self._changes is not None:
            self._changes.add((LIST_ROOT, list_id))

    @property
    def lists(self) -> list[str]:
        """All lists that it was told of, also where nothing is left of them."""
        return list(self._arrays)

    def watch_changes(self) -> set[tuple[str, str]]:
        """Return a set with the places of all cells, to which those that change are added from now on.

        A place is (root, key), for a list (LIST_ROOT, its id).
        """
        self._changes = set()
        self._note_all()
        return self._changes

    def _note_all(self) -> None:
        if self._changes is not None:
            with self.reading():
                self._changes.update((root, key) for root in CELL_ROOTS for key in self.maps[root].keys(self.txn))
            self._changes.update((LIST_ROOT, list_id) for list_id in self._arrays)

    # --- reads ---------------------------------------------------------------------------------------------

    def reading(self) -> _Reading:
        """Have a transaction for reads; free inside an open one."""
        return _Reading(self)

    def has(self, root: str, key: str) -> bool:
        """Tell whether there is a cell."""
        found: bool = self.maps[root].has(self.txn, key)
        return found

    def get(self, root: str, key: str) -> Any:
        """Return a raw cell or ABSENT."""
        cells = self.maps[root]
        return cells.get(self.txn, key) if cells.has(self.txn, key) else ABSENT

    def keys(self, root: str) -> Iterator[str]:
        """Return the keys of a root that have a cell."""
        keys: Iterator[str] = self.maps[root].keys(self.txn)
        return keys

    def items(self, root: str) -> list[tuple[str, Any]]:
        """Return all raw cells of a root."""
        cells = self.maps[root]
        return [(key, cells.get(self.txn, key)) for key in cells.keys(self.txn)]

    def elements(self, list_id: str) -> list[Any]:
        """Return the raw elements of a list; linear in blocks for each, so only where nothing else knows them."""
        array = self._array(list_id)
        return [array.get(self.txn, index) for index in range(array.len(self.txn))]

    def identity(self, list_id: str, index: int) -> tuple[int, int]:
        """Return the (client, clock) of the element at an array position."""
        sticky = self._array(list_id).sticky_index(self.txn, index, 0)
        encoded: bytes = sticky.encode()
        client, position = read_varint(encoded, 1)
        clock, _ = read_varint(encoded, position)
        return client, clock

    def _array(self, list_id: str) -> Any:
        array = self._arrays.get(list_id)
        if array is None:
            array = self._doc.get_or_insert_array(self.txn, LIST_PREFIX + list_id)
            self._arrays[list_id] = array
            # An update does not say which list it deletes from, so every list is observed all the time.
            self._array_subscriptions.append(array.observe(self._observer.delta_collector(list_id)))
        return array

    # --- exchange ------------------------------------------------------------------------------------------

    def state_vector(self) -> bytes:
        """Return the encoded state vector."""
        with self.reading():
            state: bytes = self._doc.get_state(self.txn)
            return state

    def diff(self, state_vector: bytes = b"\x00") -> bytes:
        """Return one update with all that a replica with this state vector lacks, all deletions included."""
        with self.reading():
            update: bytes = self._doc.get_update(self.txn, state_vector)
            return update

    def apply(
        self, updates: Iterable[bytes], new_lists: Iterable[str] = (), *, note_deleted: bool = False
    ) -> Applied:
        """Apply checked updates, in order, and return what they changed.

        ``new_lists`` names the lists that the updates begin. Raises HalfApplied if the engine refuses one, and
        EngineFailure if it panics.
        """
        self._watch(new_lists)
        applied = Applied()
        subscriptions = [self.maps[name].observe(_cell_collector(applied.cells[name])) for name in CELL_ROOTS]
        try:
            for batch in _batches(updates):
                self._take_in(batch, applied, note_deleted=note_deleted)
        finally:
            for subscription in subscriptions:
                subscription.drop()
            if self._changes is not None:
                self._changes.update(applied.names())
                self._changes.update((LIST_ROOT, list_id) for list_id, _ in applied.deltas)
        return applied

    def apply_to_entry(self, update: bytes, root: str, key: str) -> Applied:
        """Do what ``apply`` does, with an update that can change nothing but one entry.

        So nobody need observe what changes; it may be just what it was, though.
        """
        applied = Applied()
        self._take_in([update], applied, note_deleted=True, entry=(root, key))
        if self._changes is not None:
            self._changes.add((root, key))
        return applied

    def _take_in(
        self, updates: list[bytes], applied: Applied, *, note_deleted: bool, entry: Name | None = None
    ) -> None:
        """Apply updates in a transaction; note what it changes, as far as it is observed, and one entry."""
        observer = self._observer
        observer.notes_deleted, observer.applied = note_deleted, applied
        try:
            self.begin()
            try:
                for update in updates:
                    self._doc.apply_update(self.txn, update)
                if entry is not None:
                    root, key = entry
                    applied.cells[root][key] = self.get(root, key)
            finally:
                self.end()
        except Exception as error:
            raise HalfApplied(f"the engine refused an update: {error}") from error
        except BaseException as error:
            if type(error).__name__ == "PanicException":
                raise EngineFailure(f"the CRDT engine panicked on an update: {error}") from error
            raise
        finally:
            observer.applied = None

    def _watch(self, lists: Iterable[str]) -> None:
        """Have the changes of lists collected, also of those that are still to come."""
        unknown = [list_id for list_id in lists if list_id not in self._arrays]
        if unknown:
            with self.reading():
                for list_id in unknown:
                    self._array(list_id)


class _Reading:
    """The block in which an engine has a transaction, its own or one that is open already."""

    __slots__ = ("_engine", "_has_begun")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._has_begun = False

    def __enter__(self) -> None:
        if self._engine.txn is None:
            self._engine.begin()
            self._has_begun = True

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._has_begun:
            self._engine.end()


def _batches(updates: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Return updates in groups, each for one transaction."""
    batch: list[bytes] = []
    size = 0
    for update in updates:
        size += len(update)
        if batch and (len(batch) >= UPDATES_PER_TRANSACTION or size > BYTES_PER_TRANSACTION):
            yield batch
            batch, size = [], len(update)
        batch.append(update)
    if batch:
        yield batch


class engine_failures:  # noqa: N801 - it is used as a function
    """Context in which a panic, and every error that is not one of ours, becomes EngineFailure."""

    __slots__ = ("doing",)

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Raise EngineFailure instead of what the engine raised."""
        if error is None or isinstance(error, TinySyncError):
            return
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise EngineFailure(f"the CRDT engine failed {self.doing}: {error!r}") from error


def _cell_collector(cells: dict[str, Any]) -> Callable[[Any], None]:
    def collect(event: Any) -> None:
        for key, change in event.keys.items():
            cells[key] = ABSENT if change["action"] == "delete" else change["newValue"]

    return collect
