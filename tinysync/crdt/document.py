"""The document behind one tracked structure.

It keeps the live containers and the CRDT document in step: what was edited locally is written into the document,
what comes from other replicas is patched into the live containers, and at any time the live structure is what
the document shows. All methods are called under the lock of the tracker that owns the document.
"""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinysync.crdt.check import check_state_vector, check_update, count_deleted
from tinysync.crdt.clashes import Clash, Clashes, RemovedHere
from tinysync.crdt.deletions import DeletedHere
from tinysync.crdt.digest import CellDigest
from tinysync.crdt.encoding import lone_write
from tinysync.crdt.engine import Applied, Engine, engine_failures
from tinysync.crdt.entries import root_id, root_reference
from tinysync.crdt.ids import SEED_CLIENTS, new_client_id, seed_version
from tinysync.crdt.keys import key_text
from tinysync.crdt.meta import check_meta, check_written_meta
from tinysync.crdt.mirror import Mirror
from tinysync.crdt.moves import Moves
from tinysync.crdt.node import Node, detach_content
from tinysync.crdt.ops import Op, Put
from tinysync.crdt.overtaken import Deleted, Overtaken, Writes
from tinysync.crdt.parents import Parents, SeenEntry
from tinysync.crdt.patching import Patch, Patcher, Touched
from tinysync.crdt.pending import Pending
from tinysync.crdt.prepared import Prepared, lists_of, overrides_of, rows_of, sort_keys, unpack_prepared
from tinysync.crdt.renewal import Renewal
from tinysync.crdt.sequence import Sequence, parse_override_key
from tinysync.crdt.values import encode
from tinysync.crdt.view import is_same, view
from tinysync.crdt.writing import is_simple, write_ops
from tinysync.errors import BadUpdate, EngineFailure
from tinysync.status import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tinysync.crdt.encoding import UpdateInfo
    from tinysync.crdt.parents import Places
    from tinysync.crdt.sequence import Identity, Slot
    from tinysync.model import Kind


@dataclass(slots=True)
class Received:
    """Updates of others that are in the engine but do not show yet; ``Document.show`` makes them show."""

    applied: Applied
    new: bool
    """False if the document already held everything."""
    pending: bool
    """True if an update refers to others that are missing: a diff must be requested."""
    infos: dict[bytes, UpdateInfo]
    """Those that are in the engine, and what they hold."""
    kept: list[bytes]
    """The updates without those that were dropped because too many wait for others: these are to be logged."""
    touched: list[Touched] = field(default_factory=list)
    """The places that others wrote to, once it shows."""
    from_log: bool = False
    """Whether another process of this device had received them."""
    overtaken: Overtaken = field(default_factory=Overtaken)
    clashes: list[Clash] = field(default_factory=list)
    """What was written here and elsewhere at once, once it shows."""


class Document:
    """The nodes, the engine and the exchange of updates of one structure.

    ``make(kind, node)`` returns a new empty live container whose ``_node`` is the node; ``version`` is the
    ``version=`` of the app, for seeds. Create it, then ``load`` it.
    """

    def __init__(self, kind: Kind, make: Callable[[Kind, Node], Any], version: int = 0) -> None:
        self.kind = kind
        self.version = version
        self.root = Node(kind, None, None)
        self._make = make
        self.mirror = Mirror()
        """The containers that show, and what is there of others."""
        self._pending = Pending()
        self._left_out = False
        """Whether an update on disk could not be used."""
        self._renewal = Renewal()
        self.moves = Moves()
        self.own: set[int] = set()
        """The client ids under which this device has written."""
        self.removed_here = RemovedHere()
        self.deleted_here = DeletedHere()
        self._begin_engine(Engine(new_client_id(0)))

    def _begin_engine(self, engine: Engine, places: Places | None = None) -> None:
        self.engine = engine
        self._parents = Parents(engine.diff, places)
        self._parents.own.add(engine.client_id)
        self.writes = Writes(self.own, self._parents, engine)
        self._digest: CellDigest | None = None
        _documents.add(self)

    # --- opening and rebuilding ----------------------------------------------------------------------------

    def load(self, updates: Iterable[bytes], prepared: bytes | None = None) -> None:
        """Fill the document with what a storage holds, under a new client id, and build the live structure.

        What can never have been written by a replica of this format, but got to the disk, is left out.
        ``prepared`` is what ``prepare`` returned when the first of the updates was the whole document: it must be
        certain that it did, of just that update, because then that one is not checked again.
        Raises BadUpdate if bytes are not of this format, KindMismatch if the root is of another kind, and
        EngineFailure.
        """
        with engine_failures("while it read the document"):
            known = unpack_prepared(prepared) if prepared is not None else None
            if known is not None:
                state, *later = updates
                self._load_prepared(state, known, later)
                return
            applied = self._fill(list(updates))
            check_meta(self.engine, self.kind)
            self.root.container = self._make(self.kind, self.root)
            Patcher(self).show_root(applied)

    def _load_prepared(self, state: bytes, known: Prepared, later: list[bytes]) -> None:
        infos = {update: check_update(update) for update in later}
        self._renewal.highest = known.highest_session
        self._renewal.note(infos.values())
        self._begin_engine(Engine(new_client_id(self._renewal.highest), state, known.lists), known.places)
        self.mirror = Mirror(sequences=known.sequences())
        self.mirror.hidden = {identifier: set(texts) for identifier, texts in known.hidden.items()}
        for sequence in self.sequences.values():
            self.moves.note(sequence)
        self.moves.settle(self.sequences, self.engine)
        applied = self._apply(self._take_ready(infos, trusted=True)) if infos else None
        check_meta(self.engine, self.kind)
        self.mirror.nodes = known.build(self.root, self.sequences, self._make)
        if applied is not None:
            patches = Patcher(self).show(applied)
            sort_keys({patch.node for patch in patches if patch.node.kind == "dict"})

    def prepare(self) -> bytes:
        """Return what ``load`` can use again when it gets what ``diff`` returns now; the document is complete."""
        highest = max((client for client in self.clocks() if client < SEED_CLIENTS), default=0)
        hidden = {identifier: sorted(texts) for identifier, texts in self.hidden.items() if texts}
        return Prepared(
            highest,
            self._parents.places(),
            rows_of(self.root, self.sequences),
            hidden,
            {list_id: [] for list_id in self.engine.lists} | lists_of(self.sequences),
            overrides_of(self.sequences),
        ).pack()

    def rebuild(self, updates: Iterable[bytes], failed: list[Op] | None = None) -> None:
        """Replace the document by what a storage holds, under a new client id; the live structure is to be that.

        This is the way back when an update could not be logged: an update that is missing from the log would
        make every later one of its client unusable after a restart. If the live structure turns out to be another
        (the update is in the log nevertheless, or something wrote past the containers' methods), it is built
        anew from the same containers.

        ``failed`` are the ops that were written to the document, all of them, but not logged; then list elements
        keep their slots. None: it is not known what was written.
        """
        with engine_failures("while it read the document again"):
            elements = {} if failed is None else self.mirror.elements_before(failed, self.engine)
            applied = self._fill(list(updates))
            if is_same(self.root.container, self.view()):
                self.mirror.adopt(self.root)
            else:
                elements = {}
                Patcher(self, detach_content(self.root)).show_root(applied)
            with self.engine.reading():
                for node, slots in elements.items():
                    if self.nodes.get(node.id) is node:
                        self.sequence(node.id).keep_slots(self.engine, slots)

    def _fill(self, updates: list[bytes]) -> Applied:
        infos = {update: check_update(update) for update in updates}
        self._renewal.note(infos.values())
        self._begin_engine(Engine(new_client_id(self._renewal.highest)))
        self._renewal.begun()
        self.mirror = Mirror()
        self._pending = Pending()
        ready = self._take_ready(infos, trusted=True)
        applied = self._apply(ready)
        for root in ("c", "p", "d"):
            for entry in applied.cells[root]:
                node, slash, text = entry.partition("/")
                if slash:
                    self.hidden.setdefault(node, set()).add(text)
        self.follow_lists(applied)
        with self.engine.reading():
            reference, layer = root_reference(self.engine.get, self.kind)
        self.root.nonce = reference.nonce
        self.root.id = root_id(reference)
        self.root.seeded = layer == "d"
        return applied

    # --- the mirror ----------------------------------------------------------------------------------------

    @property
    def nodes(self) -> dict[str, Node]:
        """The containers that show, by node id."""
        return self.mirror.nodes

    @property
    def sequences(self) -> dict[str, Sequence]:
        """All lists by node id, also those that do not show."""
        return self.mirror.sequences

    @property
    def hidden(self) -> dict[str, set[str]]:
        """Key texts of the cells of dict and set nodes that do not show."""
        return self.mirror.hidden

    def sequence(self, list_id: str) -> Sequence:
        """Return the mirror of a list."""
        return self.mirror.sequence(list_id)

    def make(self, kind: Kind, node: Node) -> Any:
        """Return a new live container for a node."""
        return self._make(kind, node)

    def follow_lists(self, applied: Applied) -> None:
        """Bring the mirrors of all lists up to what was applied."""
        for list_id, delta in applied.deltas:
            sequence = self.sequence(list_id)
            sequence.apply_delta(delta)
            self.moves.note(sequence)
        for key, cell in applied.cells["o"].items():
            place = parse_override_key(key)
            if place is not None:
                self.sequence(place[0]).apply_override(place[1], cell)

    # --- local edits ---------------------------------------------------------------------------------------

    def commit(self, ops: list[Op]) -> list[bytes]:
        """Write a transaction's journal into the document and return the updates it made.

        Raises EngineFailure if the engine fails, and UsageError if a live list was changed past its methods.
        Whatever is raised, the document must be rebuilt from the storage.
        """
        if self._renewal.is_pending:
            self._renew_if_due()
        engine = self.engine
        engine.begin()
        try:
            first = ops[0]
            if (
                len(ops) == 1
                and type(first) is Put
                and first.node.id
                and not first.node.seeded
                and is_simple(first)
            ):
                # The commonest edit, without the machinery for all others.
                engine.put("c", f"{first.node.id}/{key_text(first.key)}", encode(first.new))
                return engine.commit()
            self.moves.sweep(self.sequences, self.engine, self.clocks)
            write_ops(self, ops)
            return engine.commit()
        except BaseException as error:
            if engine.txn is not None:
                engine.commit()
            if type(error).__name__ == "PanicException":
                raise EngineFailure(f"the CRDT engine failed on a local edit: {error!r}") from error
            raise

    # --- client ids ----------------------------------------------------------------------------------------

    def links_were_down(self) -> None:
        """Take a new client id at the next edit, at most hourly, so that the later session's writes win."""
        self.deleted_here.part()
        self._renewal.parted()

    def _renew_if_due(self) -> None:
        if self._renewal.is_due(self.engine.client_id):
            self.renew_client_id()
        self._renewal.edited()
        self.own.add(self.engine.client_id)

    def was_forked(self) -> None:
        """Take a new client id at the next edit: the process that was forked goes on with the old one."""
        self._renewal.forked()

    def renew_client_id(self) -> None:
        """Go on under a client id that was never used."""
        engine = Engine(new_client_id(max(self._renewal.highest, self.engine.client_id)))
        engine.apply([self.engine.diff()], self.engine.lists)
        self.engine = engine
        self._parents.follow(engine.diff)
        self.writes = Writes(self.own, self._parents, engine)
        self._parents.own.add(engine.client_id)
        self._digest = None
        self._renewal.renewed()

    # --- updates of others ---------------------------------------------------------------------------------

    def receive(self, updates: list[bytes], *, trusted: bool = False) -> Received:
        """Check updates of others and put them into the engine, without showing them yet.

        ``trusted``: another process of this device has let them in, and they are on disk, as in ``load``.
        Raises BadUpdate if one is not of this format, or does not fit this document; then nothing was changed,
        unless it is HalfApplied: then the document must be rebuilt. Raises EngineFailure if the engine panics.
        """
        infos = {update: check_update(update) for update in updates}
        if not trusted:
            for info in infos.values():
                check_written_meta(info, self.kind)
        with engine_failures("on what came from another device"):
            self._check_own_blocks(infos.values())
            self.moves.settle(self.sequences, self.engine)
            parked = self._pending.updates.copy()
            # Who has not written anything cannot have lost it.
            seen: list[SeenEntry] | None = [] if self.own else None
            self._parents.seen = seen
            ready = self._take_ready(infos, trusted=trusted)
            applied = self._apply(ready, note_deleted=seen is not None)
            overtaken = Overtaken() if seen is None else self.writes.overtaken(seen, ready, applied)
            self._parents.seen = None
        self._renewal.note(infos.values())
        still_parked = self._pending.updates
        return Received(
            applied,
            new=applied.events > 0 or not parked.keys() >= still_parked.keys(),
            pending=not ready.keys() >= infos.keys(),
            infos=ready,
            kept=[update for update in updates if update in ready or update in still_parked],
            from_log=trusted,
            overtaken=overtaken,
        )

    def _take_ready(self, arrived: dict[bytes, UpdateInfo], *, trusted: bool = False) -> dict[bytes, UpdateInfo]:
        """Return the updates to apply next; raises BadUpdate if one that arrived does not fit the document.

        Those that were parked, or are ``trusted`` because they are from disk, are left out then: too late to
        refuse them.
        """
        parked = self._pending.updates.copy()
        ready = self._pending.take_ready(arrived, self.clocks, bounded=not trusted)
        try:
            left_out = self._parents.sort_out(ready, refused=() if trusted else arrived)
        except BadUpdate:
            self._pending = Pending(parked)
            raise
        if left_out:
            self._left_out = True
            self._pending.forget_clocks()
        return ready

    def _apply(self, ready: dict[bytes, UpdateInfo], *, note_deleted: bool = False) -> Applied:
        lone = lone_write(ready)
        if lone is not None and lone.name is not None:
            [(update, info)] = ready.items()
            applied = self.engine.apply_to_entry(update, *lone.name)
            lone.is_aware = applied.deleted == [update[info.deletions :]]
            if not lone.is_aware and (not applied.events or (lone.client, lone.clock) in Deleted(applied.deleted)):
                # It was known, or another write is the later one.
                applied.cells[lone.name[0]].clear()
            return applied
        lists = {list_id for info in ready.values() for list_id in info.lists}
        applied = self.engine.apply(ready, lists, note_deleted=note_deleted)
        if lone is not None:
            for name in applied.names():  # there is one at most
                self._parents.note_names({lone.place: name})
        return applied

    def clocks(self) -> dict[int, int]:
        """Return how far the engine has the blocks of each client."""
        return check_state_vector(self.engine.state_vector())

    def _check_own_blocks(self, infos: Iterable[UpdateInfo]) -> None:
        own = self.engine.client_id
        known = [end for info in infos for client, _, end in info.blocks if client == own]
        known += [info.needs[own] for info in infos if own in info.needs]
        if known and max(known) > self.clocks().get(own, 0):
            # Somebody knows more of our id than we do: this folder was rolled back or copied. Or somebody deletes
            # in advance what we are about to write.
            self.renew_client_id()

    def show(self, received: Received) -> list[Patch]:
        """Patch the live containers by what was received; return the patches, in the order they were made."""
        clashes = Clashes(self, received.overtaken, removals=not received.from_log) if self.own else None
        patcher = Patcher(self, clashes=clashes)
        with engine_failures("on what came from another device"):
            patches = patcher.show(received.applied)
            if clashes is not None:
                received.clashes = clashes.found(received.applied)
        received.touched = patcher.touched
        return patches

    def index_of(self, node: Node, identity: Identity) -> int | None:
        """Return where an element of a list that shows is now, or None if it was deleted."""
        sequence = self.sequence(node.id)
        with self.engine.reading():
            sequence.identify(self.engine)
            anchors = sequence.anchors(self.engine)
        return next((index for index, slot in enumerate(anchors) if slot.identity == identity), None)

    def elements(self, node: Node) -> list[Slot]:
        """Return the elements of a list that shows, in their order."""
        with self.engine.reading():
            return self.sequence(node.id).anchors(self.engine)

    # --- reads ---------------------------------------------------------------------------------------------

    def state_vector(self) -> bytes:
        """Return the encoded state vector."""
        return self.engine.state_vector()

    def diff(self, state_vector: bytes = b"\x00") -> list[bytes]:
        """Return the updates that a replica with this state vector lacks; raises BadUpdate if it is none."""
        check_state_vector(state_vector)
        return [self.engine.diff(state_vector), *self._pending.updates]

    def coverage(self) -> Coverage:
        """Return in short what it holds, of what is not parked."""
        vector = self.engine.state_vector()
        deletions = self.engine.diff(vector)
        return Coverage(check_state_vector(vector), count_deleted(deletions))

    def digest(self, budget: int) -> bytes | None:
        """Return a digest of all cells, or None if more than about ``budget`` cells have to be read for it.

        Then what was read is not read again by the next call. Replicas with the same updates have equal digests;
        while an update is parked there is none, and the digest is empty.
        """
        if not self.is_complete():
            return b""
        if self._digest is None:
            self._digest = CellDigest(self.engine, self.sequences)
        return self._digest.update(budget)

    def is_complete(self) -> bool:
        """Tell whether no update is parked or left out; only then may the document be compacted."""
        return not self._pending.updates and not self._left_out

    def seeded_version(self) -> int | None:
        """Return the highest ``version=`` whose defaults the document has seen, or None if it has seen none."""
        return max((seed_version(client) for client in self.clocks() if client >= SEED_CLIENTS), default=None)

    def give_up(self) -> None:
        """Let go of the live structure at once, of a document that nobody needs any more: it is made of cycles."""
        for node in self.nodes.values():
            node.container = None
        self.mirror = Mirror()

    def view(self) -> Any:
        """Return the plain structure that the document shows, computed from the document alone."""
        return view(self.engine, self.kind)


_documents: weakref.WeakSet[Document] = weakref.WeakSet()


def _note_fork() -> None:
    for document in _documents:
        document.was_forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
