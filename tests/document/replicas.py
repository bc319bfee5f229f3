"""Replicas of one structure, on disk or in memory, that exchange their updates by hand."""

from __future__ import annotations

import shutil

from tinysync.crdt.check import check_state_vector
from tinysync.crdt.node import node_of
from tinysync.crdt.values import encode
from tinysync.model import DeviceId, Outcome
from tinysync.status import Reached
from tinysync.storage.names import document_paths
from tinysync.tracker import Replica as OpenReplica
from tinysync.tracker import open_replica

NAME = "conf"
ALL_CELLS = 1_000_000


def same(one, other):
    """Tell whether two structures are equal, types included, those of keys and elements too."""
    if isinstance(one, dict):
        if not isinstance(other, dict) or len(one) != len(other):
            return False
        typed = {key: key for key in other}
        return all(
            key in typed and same(key, typed[key]) and same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set):
        typed = {element: element for element in other} if isinstance(other, set) else {}
        return len(one) == len(typed) and all(e in typed and same(e, typed[e]) for e in one)
    return type(one) is type(other) and encode(one) == encode(other)


class Outbox:
    """Stands where a peer's links would: collects what a structure publishes, and delivers to it."""

    def __init__(self):
        self.shared = None
        self.published = []
        self.device = "outbox"
        self.closed = False

    def share(self, document):
        self.shared = document

    def unshare(self, name, coverage=None):
        self.shared = None

    def publish(self, name, updates):
        self.published += updates

    def wait_synced(self, name, timeout=None):
        """Nothing is ever on its way."""

    def publish_presence(self, name, entries, source=None):
        """There are no links."""

    def reached(self, name, here, known):
        return Reached()

    def watch_status(self, listener):
        """The status never changes."""

    unwatch_status = watch_status

    def tell_status(self):
        """Nobody watches it."""

    def close(self):
        """There are no links."""


class Replica:
    """One device; with a folder its structure is on disk."""

    def __init__(self, structure, folder=None, version=0, updates=None):
        """Start with a structure, with what is in the folder, or as a device that holds updates already."""
        self.folder = folder
        self.version = version
        self.structure = structure
        self.received = []
        self.prepared = None
        if updates is None:
            self._open(self._opened())
        else:
            self._open(self._loaded(updates))
        self.started = self.document.diff()

    def _opened(self):
        paths = document_paths(NAME, self.folder) if self.folder else None
        return open_replica(self.structure, NAME, paths=paths, version=self.version)

    def _loaded(self, updates):
        replica = OpenReplica(self.replica.kind if hasattr(self, "replica") else _kind(self.structure), name=NAME)
        if self.prepared is None:
            replica.document.load(updates)
        else:
            state, prepared, included = self.prepared
            replica.document.load([state, *(one for one in updates if one not in included)], prepared)
            plain = OpenReplica(replica.kind, name=NAME)
            plain.document.load(updates)
            assert mirror(replica.document) == mirror(plain.document)
        self.received = list(updates)
        return replica

    def prepare(self):
        """Let the next restart of a device in memory build on what is prepared now."""
        if self.document.is_complete():
            (state,) = self.document.diff()
            self.prepared = state, self.document.prepare(), set(self.updates())

    def _open(self, replica):
        self.replica = replica
        self.outbox = Outbox()
        replica.sharing.add(self.outbox)

    @property
    def root(self):
        return self.replica.root

    @property
    def document(self):
        return self.replica.document

    def updates(self):
        """Return every update that this device knows, as it would be in a log."""
        if self.folder is not None:
            return self.replica.disk.reread()
        return [*self.started, *self.received, *self.outbox.published]

    def receive(self, updates):
        """Take in updates; return what became of them."""
        answers = []
        self.outbox.shared.deliver(list(updates), DeviceId("other"), answers.append)
        (answer,) = answers
        assert answer.outcome is not Outcome.FAILED, answer.error
        if answer.outcome is not Outcome.DUPLICATE:
            self.received += updates
        return answer.outcome

    def pull(self, other):
        """Take in what another device has and this one lacks."""
        return self.receive(other.document.diff(self.document.state_vector()))

    def reopen(self):
        """Restart: from disk, or from all updates."""
        updates = self.updates()
        self.replica.close()
        if self.folder is not None:
            self._open(self._opened())
        else:
            self._open(self._loaded(updates))
            self.started = []

    def back_up(self, folder):
        """Copy the closed folder elsewhere, and go on."""
        self.replica.close()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        self._open(self._opened())

    def restore(self, folder):
        """Go back to a copy of the folder, as if nothing had happened since."""
        self.replica.close()
        shutil.rmtree(self.folder)
        shutil.copytree(folder, self.folder)
        self._open(self._opened())

    def check(self):
        """The live structure is what the document shows, and the nodes know their place."""
        view = self.document.view()
        assert same(self.root, view), f"live {self.root!r} is not what the document shows: {view!r}"

    def close(self):
        self.replica.close()


def mirror(document):
    """Return all that a document keeps beside the engine, in a form that can be compared."""
    nodes = {
        identifier: (
            node.kind, repr(node.path()), repr(node.key), node.nonce, node.absent or set(),
            node.attached, _content(node),
        )
        for identifier, node in document.nodes.items()
    }  # fmt: skip
    lists = {
        each.list_id: (
            [(repr(slot.raw), slot.at) for slot in each.slots],
            each.ats,
            repr(sorted(each.overrides.items(), key=repr)),
        )
        for each in document.sequences.values()
        if each.slots or each.overrides
    }
    with document.engine.reading():
        # Texts are kept there of cells that are gone, too.
        hidden = {
            f"{identifier}/{text}"
            for identifier, texts in document.hidden.items()
            for text in texts
            if any(document.engine.has(layer, f"{identifier}/{text}") for layer in "cpd")
        }
    return nodes, lists, hidden, check_state_vector(document.state_vector()), document.digest(ALL_CELLS)


def _content(node):
    """Return what a container itself holds."""
    if node.kind == "set":
        return sorted(map(repr, node.container))
    items = node.container.items() if node.kind == "dict" else enumerate(node.container)
    return [(repr(step), child.id if (child := node_of(value)) else repr(value)) for step, value in items]


def _kind(structure):
    return type(structure).__name__


def settle(*replicas, complete=True):
    """Exchange everything, to and fro; then nothing is parked any more."""
    for _ in range(2):
        for one in replicas:
            for other in replicas:
                if one is not other:
                    one.pull(other)
    for replica in replicas:
        assert replica.document.is_complete() or not complete
        replica.check()


def assert_converged(*replicas):
    """All show the same, and show it again after reopening."""
    first = replicas[0]
    for replica in replicas:
        assert same(replica.root, first.root), f"{replica.root!r} is not {first.root!r}"
    followed = [replica.document.digest(ALL_CELLS) for replica in replicas]
    for replica in replicas:
        replica.document._digest = None
    anew = [replica.document.digest(ALL_CELLS) for replica in replicas]
    assert followed == anew
    assert len({digest for digest in anew if digest}) <= 1
    for replica in replicas:
        before = replica.replica.snapshot()
        replica.reopen()
        assert same(replica.root, before), f"reopened as {replica.root!r}, was {before!r}"
        replica.check()
