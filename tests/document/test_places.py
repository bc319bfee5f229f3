"""Updates whose blocks lie where no replica would have put them: the engine would take them, and be broken."""

from __future__ import annotations

import logging

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.document.encoding import TRUE, beside, deletions, element, entry, string, update, values
from tests.document.replicas import Replica, same, settle
from tests.lengths import many
from tinysync.crdt.check import check_update
from tinysync.crdt.document import Received
from tinysync.crdt.engine import Engine
from tinysync.crdt.parents import Parents
from tinysync.errors import BadUpdate, EngineFailure, KindMismatch, StructureClosed
from tinysync.model import DeviceId, Outcome

EVIL = 2**53 - 1
"""A client id that wins over all others."""
START = {"n": 0, "a": [1, 2, 3], "b": [4, 5, 6]}


def deliver(replica, *updates):
    """Have updates delivered, and return what became of them."""
    answers = []
    replica.outbox.shared.deliver(list(updates), DeviceId("evil"), answers.append)
    (answer,) = answers
    if answer.outcome in (Outcome.APPLIED, Outcome.PENDING):
        replica.received += updates
    return answer


def refuses(replica, evil):
    """Have an update delivered that is refused; nothing happens."""
    before, stored = replica.replica.snapshot(), replica.document.diff()
    answer = deliver(replica, evil)
    assert isinstance(answer.error, BadUpdate), answer
    assert same(replica.root, before)
    assert replica.document.diff() == stored
    replica.check()
    return str(answer.error)


def go_on(replica, in_order=lambda structure: structure):
    """The structure can be edited, and be opened again."""
    for part in replica.root.values():
        if isinstance(part, list):
            part.append(1)
            part.move(0, len(part) - 1)
            part[0] = 5
            part.append(2)
    replica.root["n"] = [1]
    replica.check()
    shown = replica.replica.snapshot()
    replica.reopen()
    replica.check()
    assert same(in_order(replica.root), in_order(shown))


def sorted_lists(structure):
    return {key: sorted(item, key=repr) if isinstance(item, list) else item for key, item in structure.items()}


def elements(replica, key):
    """The identities of a list's elements, which had been written by hand or not."""
    document = replica.document
    node = replica.root[key]._node.id
    with document.engine.reading():
        return [document.engine.identity(node, index) for index in range(len(document.sequences[node].slots))]


def written(replica, change):
    """The identity of what a change wrote first."""
    document = replica.document
    before = document.clocks()
    change(replica.root)
    client = document.engine.client_id
    return client, before.get(client, 0)


# --- what a document says about itself --------------------------------------------------------------------

NUMBER = b"\x7c\x3f\x80\x00\x00"
POISON = {
    "a higher format": ("format", values(b"\x7c\x44\x79\xc0\x00")),
    "a format that is no number": ("format", values(string("abc"))),
    "an infinite format": ("format", values(b"\x7c\x7f\x80\x00\x00")),
    "a format written otherwise": ("format", values(b"\x7b\x3f\xf0\0\0\0\0\0\0")),
    "two formats": ("format", values(NUMBER, NUMBER)),
    "bytes": ("format", b"\x03\x01\x01"),
    "another kind": ("kind", values(string("list"))),
    "an unknown kind": ("kind", values(string("tree"))),
    "another epoch": ("epoch", values(NUMBER)),
    "something else": ("color", values(NUMBER)),
}


@pytest.mark.parametrize("what", POISON)
@pytest.mark.parametrize("way", ["as first", "behind it", "before it"])
def test_nobody_changes_what_a_document_says_about_itself(what, way):
    key, content = POISON[what]
    replica = Replica(START)
    seed = next(client for client in replica.document.clocks() if client >= 2**52)
    known = (seed, ["format", "epoch", "kind"].index(key) if key != "color" else 0)
    if way == "as first":
        evil = update(entry(content, root="meta", key=key), client=EVIL)
    else:
        evil = update(beside(content, **{"left" if way == "behind it" else "right": known}), client=EVIL)
    refuses(replica, evil)
    go_on(replica)


def test_the_seeds_of_all_versions_may_say_what_a_document_is():
    one, other = Replica(START, version=1), Replica({"c": {}}, version=2)
    settle(one, other)
    one.reopen()
    assert same(one.root, other.root)


@pytest.mark.parametrize("cell", ["abc", float("inf"), float("nan"), 0.5, b"\x01", None])
@pytest.mark.parametrize("key", ["format", "epoch", "kind"])
def test_a_document_opens_whatever_it_says_about_itself(key, cell):
    """An earlier version let others write it."""
    engine = Engine(EVIL)
    engine.begin()
    engine.put("meta", key, cell)
    replica = Replica(START)
    updates = [*replica.document.diff(), *engine.commit()]
    assert same(Replica(START, updates=updates).root, START)


@pytest.mark.parametrize(
    ("key", "cell", "error"),
    [
        ("format", 999, BadUpdate),
        ("epoch", 7, BadUpdate),
        ("epoch", -1e300, BadUpdate),
        ("kind", "list", KindMismatch),
    ],
)
def test_a_document_of_another_format_epoch_or_kind_does_not_open(key, cell, error):
    engine = Engine(EVIL)
    engine.begin()
    engine.put("meta", key, cell)
    updates = [*Replica(START).document.diff(), *engine.commit()]
    with pytest.raises(error):
        Replica(START, updates=updates)


# --- where blocks lie --------------------------------------------------------------------------------------


def eventful():
    """A replica with blocks of every sort: of others and its own, moved, overridden, replaced and deleted."""
    replica, other = Replica(START), Replica(START)
    replica.root["a"].move(0, 2)
    other.root["b"].move(0, 2)
    other.root["b"][1] = "x"
    other.root["m"] = {"k": 1}
    settle(replica, other)
    del replica.root["b"][0]
    replica.root["m"]["k"] = 2
    replica.root["a"].append(4)
    return replica


def places_of(replica):
    """The (client, clock) of all that a replica holds, always in the same order."""
    own = replica.document.engine.client_id
    clocks = sorted(replica.document.clocks().items(), key=lambda item: (item[0] == own, item[0] < 2**52, item))
    return [None, *((client, clock) for client, end in clocks for clock in range(end))]


COUNT = len(places_of(eventful()))


@given(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1))
@settings(max_examples=many(150))
def test_every_pair_of_neighbours_is_refused_or_does_no_harm(left, right):
    assume(left or right)
    victim = eventful()
    places = places_of(victim)
    answer = deliver(victim, update(beside(TRUE, places[left], places[right]), client=EVIL))
    assert answer.outcome is Outcome.APPLIED or isinstance(answer.error, BadUpdate), answer
    victim.check()
    # If two elements are not in the order that the update says, what came first decides where the new one stands.
    go_on(victim, sorted_lists)


@pytest.fixture(params=["as it is", "reopened", "a new device"])
def replica(request):
    """A replica that has learned in different ways where its blocks lie."""
    replica = eventful()
    if request.param == "reopened":
        replica.reopen()
    elif request.param == "a new device":
        # Knows all from one update, in which deleted blocks have neighbours only.
        replica = Replica({}, updates=replica.document.diff())
    return replica


def test_a_block_between_two_lists(replica):
    a, b = elements(replica, "a"), elements(replica, "b")
    for left, right in ((a[0], b[0]), (b[-1], a[1])):
        assert "different places" in refuses(replica, update(beside(TRUE, left, right), client=EVIL))
    answer = deliver(replica, update(beside(TRUE, a[0], a[1]), client=EVIL))
    assert answer.outcome is Outcome.APPLIED
    go_on(replica)


def test_a_block_between_elements_that_were_deleted(replica):
    a, b = elements(replica, "a"), elements(replica, "b")
    del replica.root["b"][:]
    del replica.root["a"][:]
    refuses(replica, update(beside(TRUE, a[0], b[0]), client=EVIL))
    replica.reopen()
    refuses(replica, update(beside(TRUE, a[0], b[0]), client=EVIL))
    replica = Replica({}, updates=replica.document.diff())
    refuses(replica, update(beside(TRUE, a[0], b[0]), client=EVIL))
    assert deliver(replica, update(beside(TRUE, a[0], a[1]), client=EVIL)).outcome is Outcome.APPLIED
    go_on(replica)


def test_a_block_between_the_program_s_own(replica):
    mine = written(replica, lambda root: root["a"].append(7))
    yours = written(replica, lambda root: root["b"].append(7))
    entries = written(replica, lambda root: root.__setitem__("new", 7))
    for left, right in ((mine, yours), (yours, mine), (mine, entries), (entries, yours), (entries, entries)):
        refuses(replica, update(beside(TRUE, left, right), client=EVIL))
    refuses(replica, update(beside(TRUE, right=entries), client=EVIL))
    assert deliver(replica, update(beside(TRUE, entries), client=EVIL)).outcome is Outcome.APPLIED
    assert replica.root["new"] is True
    go_on(replica)


def test_an_echo_does_not_tell_where_the_program_s_own_blocks_lie(replica):
    mine = written(replica, lambda root: root["a"].append(7))
    yours = written(replica, lambda root: root["b"].append(7))
    b = replica.root["b"]._node.id
    lie = update(element(TRUE, root=f"l:{b}"), client=mine[0], clock=mine[1])
    assert deliver(replica, lie).outcome is Outcome.DUPLICATE
    refuses(replica, update(beside(TRUE, mine, yours), client=EVIL))
    go_on(replica)


def test_a_block_that_begins_in_one_list_and_goes_on_in_another(replica):
    a, b = (replica.root[key]._node.id for key in "ab")
    assert deliver(replica, update(element(TRUE, root=f"l:{a}"), client=EVIL)).outcome is Outcome.APPLIED
    refuses(replica, update(element(values(b"\x78", b"\x78"), root=f"l:{b}"), client=EVIL))
    longer = update(element(values(b"\x78", b"\x78"), root=f"l:{a}"), client=EVIL)
    assert deliver(replica, longer).outcome is Outcome.APPLIED
    go_on(replica)


def test_blocks_that_build_on_one_another_in_a_circle(replica):
    def two(first, second):
        return b"\x02" + update(first, client=EVIL)[1:-1] + update(second, client=EVIL - 1)[1:]

    refuses(replica, two(beside(TRUE, left=(EVIL - 1, 0)), beside(TRUE, left=(EVIL, 0))))
    refuses(replica, update(beside(TRUE, left=(EVIL, 0)), client=EVIL))
    refuses(replica, update(beside(values(b"\x78", b"\x78"), right=(EVIL, 1)), client=EVIL))
    a = replica.root["a"]._node.id
    good = two(beside(TRUE, left=(EVIL - 1, 0)), element(TRUE, root=f"l:{a}"))
    assert deliver(replica, good).outcome is Outcome.APPLIED
    go_on(replica)


def test_one_refused_update_takes_back_what_came_with_it(replica):
    a, b = replica.root["a"]._node.id, elements(replica, "b")
    good = update(element(TRUE, root=f"l:{a}"), client=EVIL)
    bad = update(beside(TRUE, (EVIL, 0), b[0]), client=EVIL - 1)
    before = replica.document.diff()
    assert deliver(replica, good, bad).outcome is Outcome.FAILED
    assert replica.document.diff() == before
    # It is not known either where the first one would lie.
    other = update(element(TRUE, root=f"l:{replica.root['b']._node.id}"), client=EVIL)
    assert deliver(replica, other).outcome is Outcome.APPLIED
    assert deliver(replica, bad).outcome is Outcome.APPLIED
    go_on(replica)


# --- when it is too late to refuse them --------------------------------------------------------------------


def test_a_parked_update_that_turns_out_to_be_wrong_is_left_out(tmp_path, caplog):
    replica = Replica(START, tmp_path)
    a, b = elements(replica, "a"), elements(replica, "b")
    parked = update(beside(TRUE, a[0], b[0]), client=EVIL, clock=1)
    awaited = update(element(TRUE, root=f"l:{replica.root['a']._node.id}"), client=EVIL)
    assert deliver(replica, parked).outcome is Outcome.PENDING
    with caplog.at_level(logging.WARNING):
        assert deliver(replica, awaited).outcome is Outcome.APPLIED
    assert "never have been right" in caplog.text
    replica.check()
    assert not replica.document.is_complete()
    go_on(replica)
    assert not replica.document.is_complete()
    replica.close()


def test_a_document_on_disk_with_a_block_between_two_lists_opens_without_it(tmp_path, caplog):
    """An earlier version took it in."""
    replica = Replica(START, tmp_path)
    a, b = elements(replica, "a"), elements(replica, "b")
    evil = update(beside(TRUE, a[0], b[0]), client=EVIL)
    behind = update(beside(TRUE, (EVIL, 0)), client=EVIL, clock=1)
    replica.replica.disk.append("remote", EVIL, [evil, behind])
    shown = replica.replica.snapshot()
    with caplog.at_level(logging.WARNING):
        replica.reopen()
    assert caplog.text.count("never have been right") == 2
    assert same(replica.root, shown)
    go_on(replica)
    replica.close()


def test_the_places_take_little_memory():
    engine = Engine(5)
    engine.begin()
    for number in range(2000):
        engine.put("c", f"{'node':11}/{number:20}", number)
    (written,) = engine.commit()
    parents = Parents(engine.diff)
    parents.sort_out({written: check_update(written)})
    (runs,) = parents._runs.values()
    assert len(runs.ends) == len(runs.places) == 2000
    assert runs.ends.itemsize + runs.places.itemsize == 12


def broken(replica):
    """Give the engine a block between an element and an entry, as an earlier version did; return what changed."""
    seed = next(client for client in replica.document.clocks() if client >= 2**52)
    evil = update(beside(TRUE, elements(replica, "a")[0], (seed, 0)), client=EVIL)
    return replica.document.engine.apply([evil])


def test_a_broken_engine_closes_its_structure_and_leaves_the_disk_whole(tmp_path, caplog):
    replica = Replica(START, tmp_path)
    broken(replica)
    mine = written(replica, lambda root: root["b"].append(7))
    shown = replica.replica.snapshot()
    with caplog.at_level(logging.ERROR):
        answer = deliver(replica, update(beside(TRUE, mine), client=EVIL - 1))
    assert isinstance(answer.error, EngineFailure)
    assert "is closed" in caplog.text
    with pytest.raises(StructureClosed):
        replica.root["n"] = 1
    reopened = Replica({}, tmp_path)
    assert same(reopened.root, shown)
    go_on(reopened)
    reopened.close()


def test_what_a_broken_engine_makes_of_an_update_is_an_engine_failure():
    replica = eventful()
    applied = broken(replica)
    with pytest.raises(EngineFailure):
        replica.document.show(Received(applied, new=True, pending=False, infos={}, kept=[]))


# --- the program's future ----------------------------------------------------------------------------------


def test_nobody_deletes_what_the_program_has_not_written_yet(replica):
    client, clock = written(replica, lambda root: root.__setitem__("n", 1))
    deliver(replica, b"\x00" + deletions((client, clock + 1, 50)))
    replica.root["n"] = 2
    replica.root["new"] = [1, 2, 3]
    replica.check()
    assert replica.root["n"] == 2
    shown = replica.replica.snapshot()
    replica.reopen()
    assert same(replica.root, shown)


def test_nobody_puts_something_beside_what_the_program_has_not_written_yet(replica):
    client, clock = written(replica, lambda root: root["a"].append(1))
    deliver(replica, update(beside(TRUE, left=(client, clock + 1)), client=EVIL))
    replica.root["a"].append(2)
    replica.check()
    assert replica.root["a"][-1] == 2
