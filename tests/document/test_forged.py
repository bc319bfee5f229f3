"""Updates that are well-formed but that no replica of ours would write: they break nothing."""

from __future__ import annotations

import base64
from decimal import Decimal

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.document.edits import edits
from tests.document.replicas import Replica, same
from tests.lengths import many
from tinysync.crdt.check import check_update
from tinysync.crdt.engine import Engine
from tinysync.crdt.keys import key_text
from tinysync.crdt.values import (
    KINDS,
    TOMBSTONE_CELL,
    At,
    Ext,
    Reference,
    encode_at,
    encode_reference,
    pack,
)

START = {"a": {"b": 1, "c": [1, {"a": [2]}, [3]]}, "b": [1, 2, 3], "c": {1, "x"}, "x": {}, 1: {}, (1, 2): [1]}


def _ext(code, *parts):
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb(list(parts))))


ODD_KEYS = [pack(key) for key in (1, 1.0, "a", (1, 2), float("nan"), Decimal("sNaN"), (1, float("nan")))] + [
    pack(Decimal("1e5000")), TOMBSTONE_CELL, b"\xd6\xff\0\0\0\0",
    encode_reference(Reference("dict", 0)), encode_at(At((5, 0), (1, 1))),
]  # fmt: skip
REFERENCES = [
    encode_reference(Reference(kind, nonce)) for kind in KINDS for nonce in (0, 1, 2**53, b"", b"12345678")
]
ODD_VALUES = [
    True, None, "x", "", 1, 0, -1, 2.5, float("nan"), float("inf"), 2**53, TOMBSTONE_CELL, *ODD_KEYS, *REFERENCES,
    pack(2**80), pack(frozenset({1, "a"})), msgpack.packb("s"), b"\xd6\xff\0\0\0\0",
    encode_at(At((2**53, 2**31), (2**63, 2**60))), _ext(Ext.AT, -1, -1, -1, -1), _ext(Ext.AT, "7", "1", 1.5, True),
    *(_ext(Ext.KEYED, key, value) for key in ODD_KEYS for value in (pack(1), TOMBSTONE_CELL, *REFERENCES[::4])),
]  # fmt: skip
ODD_TEXTS = ["a", "b", "", "/", "a/b", "~", "~~", "~!!", "~AQ", "~kA", "~gB", "~w", key_text(1)] + [
    "~" + base64.urlsafe_b64encode(packed).decode().rstrip("=")
    for packed in (
        *ODD_KEYS, msgpack.packb([1]), msgpack.packb({}),
        _ext(Ext.CANONICAL), _ext(Ext.CANONICAL, 1), _ext(Ext.CANONICAL, "ratio", "1", "0"),
        _ext(Ext.CANONICAL, "ratio", "1", "2"), _ext(Ext.CANONICAL, "odd", 1, 2, 3),
        _ext(Ext.CANONICAL, "datetime", 10**9, 0, 0), _ext(Ext.CANONICAL, "datetime", -(10**5), 0, 0),
    )
]  # fmt: skip
ODD_PLACES = ["5:0", "99999999999999999999:1", "a:b", "1:2", "", "\u0661:1", f"{2**53 - 1}:{2**31}"]

numbers = st.integers(0, 50)
values = st.sampled_from(ODD_VALUES)
forgeries = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("cccpdg"), numbers, st.sampled_from(ODD_TEXTS), values),
    st.tuples(st.just("remove"), st.sampled_from("cpdg"), numbers, st.sampled_from(ODD_TEXTS)),
    st.tuples(st.just("override"), numbers, st.integers(0, 5) | st.sampled_from(ODD_PLACES), values),
    st.tuples(st.just("insert"), numbers, numbers, values),
    st.tuples(st.just("move"), numbers, numbers, numbers, st.sampled_from([-5, 0, 10**12, 2**63])),
    st.tuples(st.just("delete"), numbers, numbers),
)


class Forger:
    """A replica's raw engine, which writes what it likes."""

    def __init__(self, victim):
        self.victim = victim
        self.engine = Engine(2**40)

    def forge(self, acts):
        """Write, and return the updates."""
        document = self.victim.document
        self.engine.apply(document.diff(self.engine.state_vector()), list(document.sequences))
        self.engine.begin()
        for act, *arguments in acts:
            getattr(self, "_" + act)(*arguments)
        return self.engine.commit()

    def _node(self, number):
        ids = [*self.victim.document.nodes, "", "nowhere"]
        return ids[number % len(ids)]

    def _list(self, number):
        lists = [*self.victim.document.sequences, self._node(number)]
        return lists[number % len(lists)]

    def _identity(self, list_id, number):
        count = self.engine._array(list_id).len(self.engine.txn)
        return self.engine.identity(list_id, number % count) if count else (5, 0)

    def _put(self, root, number, text, value):
        self.engine.put(root, f"{self._node(number)}/{text}", value)

    def _remove(self, root, number, text):
        self.engine.remove(root, f"{self._node(number)}/{text}")

    def _override(self, number, place, value):
        list_id = self._list(number)
        if isinstance(place, int):
            place = "{}:{}".format(*self._identity(list_id, place))
        self.engine.put("o", f"{list_id}/{place}", value)

    def _insert(self, number, index, value):
        list_id = self._list(number)
        self.engine.insert(list_id, index % (self.engine._array(list_id).len(self.engine.txn) + 1), value)

    def _move(self, number, element, index, stamp):
        list_id = self._list(number)
        self._insert(number, index, encode_at(At(self._identity(list_id, element), (stamp, element))))

    def _delete(self, number, index):
        list_id = self._list(number)
        count = self.engine._array(list_id).len(self.engine.txn)
        if count:
            self.engine.delete(list_id, index % count, 1)


def shares_a_node(document):
    """Tell whether a list holds one reference twice, which takes a forger: they are random.

    Both elements show one node then, but are two containers while the structure is open.
    """
    with document.engine.reading():
        for sequence in list(document.sequences.values()):
            shown = [sequence.value(slot, document.engine) for slot in sequence.slots if slot.at is None]
            references = [value for value in shown if isinstance(value, Reference)]
            if len(references) != len(set(references)):
                return True
    return False


def check(replica):
    if not shares_a_node(replica.document):
        replica.check()


@settings(max_examples=many(300))
@given(st.lists(st.tuples(st.lists(forgeries, min_size=1, max_size=8), st.lists(edits, max_size=3)), max_size=6))
def test_forged_cells_do_no_harm(rounds):
    victim = Replica(START)
    forger = Forger(victim)
    for acts, own in rounds:
        updates = forger.forge(acts)
        for update in updates:
            check_update(update)
        victim.receive(updates)
        check(victim)
        for edit in own:
            edit.on(victim.root)
            check(victim)
    for update in victim.document.diff():
        check_update(update)
    before = victim.replica.snapshot()
    victim.reopen()
    check(victim)
    assert same(victim.root, before) or shares_a_node(victim.document)
