"""The exchange of updates: out of order, twice, after a rollback of the folder, and when the op log fails."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

from tests.document.replicas import Replica, assert_converged, same, settle
from tinysync.crdt.check import check_state_vector
from tinysync.crdt.engine import Engine
from tinysync.crdt.ids import SEED_CLIENTS
from tinysync.errors import BadUpdate, KindMismatch
from tinysync.model import Outcome

ROOT = Path(__file__).parents[2]


def written(replica, *edits):
    """Make edits; return the updates of each."""
    start = len(replica.outbox.published)
    for edit in edits:
        edit(replica.root)
    return replica.outbox.published[start:]


EDITS = [
    lambda root: root.update(x={"y": 1, "l": [1, 2]}),
    lambda root: root.x.l.append({"z": 1}),
    lambda root: root.x.l.move(0, 2),
    lambda root: root.x.l[1].update(z=2),
    lambda root: root.x.l.__delitem__(0),
]


def test_updates_in_any_order_come_to_the_same():
    writer = Replica({})
    updates = written(writer, *EDITS)
    assert len(updates) == len(EDITS)
    for order in permutations(updates):
        reader = Replica({})
        for update in order:
            reader.receive([update])
            reader.check()
        assert reader.document.is_complete()
        assert same(reader.root, writer.root)


def test_a_batch_may_come_in_any_order_and_twice():
    writer = Replica({})
    updates = written(writer, *EDITS)
    rng = random.Random(5)
    for _ in range(50):
        batch = rng.choices(updates, k=7) + updates
        rng.shuffle(batch)
        reader = Replica({})
        assert reader.receive(batch) is Outcome.APPLIED
        assert same(reader.root, writer.root)
        reader.check()
        assert reader.receive(batch) is Outcome.DUPLICATE


def test_what_waits_for_its_predecessors_does_not_show_yet():
    writer, reader = Replica({}), Replica({})
    first, second, third = written(writer, *EDITS[:3])
    assert reader.receive([third]) is Outcome.PENDING
    assert reader.receive([second]) is Outcome.PENDING
    assert not reader.document.is_complete()
    assert reader.receive([third]) is Outcome.PENDING
    assert reader.root == {}
    reader.check()
    assert reader.receive([first]) is Outcome.APPLIED
    assert reader.document.is_complete()
    assert same(reader.root, writer.root)


def test_a_delete_waits_for_what_it_deletes():
    writer = Replica([])
    insert, delete = written(writer, lambda root: root.append(1), lambda root: root.clear())
    reader = Replica([])
    assert reader.receive([delete]) is Outcome.PENDING
    assert reader.receive([insert]) is Outcome.APPLIED
    assert reader.root == []
    assert_converged(reader, writer)


def test_what_is_parked_survives_a_restart_and_is_passed_on():
    writer, middle, last = Replica({}), Replica({}), Replica({})
    first, *rest = written(writer, *EDITS)
    middle.receive(rest)
    middle.reopen()
    assert not middle.document.is_complete()
    last.pull(middle)
    last.receive([first])
    assert same(last.root, writer.root)
    middle.pull(last)
    assert middle.document.is_complete()
    assert_converged(writer, middle, last)


def test_what_is_parked_survives_a_restart_from_disk(tmp_path):
    writer, reader = Replica({}), Replica({}, tmp_path)
    first, *rest = written(writer, *EDITS)
    reader.receive(rest)
    reader.reopen()
    assert not reader.document.is_complete()
    assert reader.receive([first]) is Outcome.APPLIED
    settle(writer, reader)
    assert_converged(writer, reader)
    reader.close()


def test_own_updates_that_come_back_change_nothing():
    one, other = Replica({}), Replica({})
    updates = written(one, *EDITS)
    other.receive(updates)
    client = one.document.engine.client_id
    assert one.receive(updates) is Outcome.DUPLICATE
    assert one.receive(other.document.diff()) is Outcome.DUPLICATE
    assert one.document.engine.client_id == client


def test_two_deletes_of_the_same_are_no_news():
    one, other = Replica([1, 2]), Replica([1, 2])
    (delete,) = written(one, lambda root: root.__delitem__(0))[-1:]
    other.root.pop(0)
    other.receive([delete])
    other.check()
    assert other.root == [2]


# --- client ids -------------------------------------------------------------------------------------------


def sessions(replica):
    clients = check_state_vector(replica.document.state_vector())
    return {client for client in clients if client < SEED_CLIENTS}


def test_a_device_that_was_rolled_back_goes_on_under_a_new_id(tmp_path):
    one, other = Replica({"l": []}, tmp_path / "one"), Replica({"l": []})
    one.root.before = 1
    settle(one, other)
    one.back_up(tmp_path / "backup")
    one.root.l.append("lost here")
    one.root.lost = 2
    settle(one, other)
    one.restore(tmp_path / "backup")
    assert "lost" not in one.root
    one.root.l.append("written after the rollback")
    one.root.after = 3
    settle(one, other)
    assert same(one.root, other.root)
    assert set(one.root.l) == {"lost here", "written after the rollback"}
    assert (one.root.before, one.root.lost, one.root.after) == (1, 2, 3)
    assert_converged(one, other)
    one.close()


def revived(replica):
    """Return the replica as it was, client id and all: what a virtual machine's snapshot brings back."""
    twin = Replica({}, updates=replica.updates())
    engine = Engine(replica.document.engine.client_id)
    engine.apply(twin.document.diff(), list(twin.document.sequences))
    twin.document.engine = engine
    return twin


def test_an_id_that_others_know_more_of_is_given_up():
    one, other = Replica({"l": []}), Replica({"l": []})
    one.root.x = 1
    client = one.document.engine.client_id
    twin = revived(one)
    one.root.l.append("written before the snapshot came back")
    settle(one, other)
    twin.pull(other)
    twin.check()
    assert twin.document.engine.client_id > client
    twin.root.l.append("and after")
    settle(twin, other)
    assert twin.root == {"l": ["written before the snapshot came back", "and after"], "x": 1}
    assert_converged(twin, other)


def test_an_id_whose_blocks_come_with_a_gap_is_given_up_too():
    one = Replica({"l": []})
    one.root.x = 1
    client = one.document.engine.client_id
    twin = revived(one)
    missing, last = written(one, lambda root: root.update(y=2), lambda root: root.update(z=3))
    assert twin.receive([last]) is Outcome.PENDING
    assert twin.document.engine.client_id > client
    twin.root.after = 4
    assert twin.receive([missing]) is Outcome.APPLIED
    settle(one, twin)
    assert twin.root == {"l": [], "x": 1, "y": 2, "z": 3, "after": 4}
    assert_converged(one, twin)


def test_every_session_has_an_id_of_its_own_above_those_it_has_seen(tmp_path):
    one, other = Replica({}, tmp_path), Replica({})
    for number in range(10):
        before = sessions(one)
        replica = (one, other)[number % 2]
        replica.root[f"k{number}"] = number
        settle(one, other)
        (new,) = sessions(one) - before
        assert new > max(before, default=0)
        one.reopen()
        other.reopen()
    one.close()


def test_the_later_session_wins():
    for _ in range(10):
        one, other = Replica({"x": 0}), Replica({"x": 0})
        one.root.x = "earlier session"
        settle(one, other)
        other.root.x = "later session"
        one.root.x = "at the same time"
        settle(one, other)
        assert one.root.x == "later session"


# --- what does not fit ------------------------------------------------------------------------------------


def test_a_document_of_another_kind_is_not_loaded():
    updates = Replica([1]).document.diff()
    with pytest.raises(KindMismatch, match="list"):
        Replica({}, updates=updates)


def test_a_batch_with_a_bad_update_changes_nothing():
    writer, reader = Replica({}), Replica({})
    updates = written(writer, *EDITS)
    before = reader.document.diff()
    with pytest.raises(BadUpdate):
        reader.document.receive([*updates, b"\x01"])
    assert reader.document.diff() == before
    reader.check()
    assert reader.receive(updates) is Outcome.APPLIED
    assert same(reader.root, writer.root)


# --- an op log that fails ---------------------------------------------------------------------------------

FULL_DISK = """
import resource, signal, sys, warnings
from pathlib import Path
from tests.document.replicas import Replica, assert_converged, same, settle
from tinysync.errors import StorageError
from tinysync.model import DeviceId, Outcome

folder = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
warnings.simplefilter("ignore")  # the readable file cannot be written either, which is a warning

def disk_is_full(full):
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    limit = max(sizes) + 20 if full else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

START = {"x": {"y": [1, {"z": 1}]}, "s": {1}, "gone": {"k": [5]}}
one, other = Replica(START, folder), Replica(START)
one.root.x.y[1].z = 2
settle(one, other)

def refused(*edits):
    before = one.replica.snapshot()
    containers = (one.root.x, one.root.x.y, one.root.x.y[1], one.root.gone)
    published = list(one.outbox.published)
    disk_is_full(True)
    for edit in edits:
        try:
            edit(one.root)
        except StorageError:
            pass
        else:
            raise AssertionError("the write did not fail")
        assert same(one.root, before), one.root
        one.check()
    disk_is_full(False)
    assert one.outbox.published == published
    assert containers == (one.root.x, one.root.x.y, one.root.x.y[1], one.root.gone)
    assert all(a is b for a, b in zip(containers, (one.root.x, one.root.x.y, one.root.x.y[1], one.root.gone)))

BIG = "b" * 10_000

def in_a_block(root):
    with root:
        root.a = 1
        del root["gone"]
        root.x.y.reverse()
        root.x.y.append([BIG])
        root.s.clear()

refused(
    lambda root: root.__setitem__("a", BIG),
    lambda root: root.x.y.append({"deep": [BIG]}),
    lambda root: root.update(gone=BIG),
    lambda root: root.setdefault("seeded", [BIG]),
    in_a_block,
    lambda root: root.__setitem__("x", {"y": [BIG]}),
)
one.root.after = 1
one.root.x.y.append({"after": 1})
one.root.gone.k.append(6)
settle(one, other)
assert same(one.root, other.root)

# An update of somebody else that cannot be logged does not show, and comes again later.
other.root.big = BIG
other.root.x.y[1].z = 3
before = one.replica.snapshot()
disk_is_full(True)
answers = []
one.outbox.shared.deliver(other.document.diff(one.document.state_vector()), DeviceId("other"), answers.append)
(answer,) = answers
assert answer.outcome is Outcome.FAILED and isinstance(answer.error, StorageError), answer
assert same(one.root, before)
one.check()
disk_is_full(False)
one.root.between = 1
settle(one, other)
assert same(one.root, other.root)
assert one.root.big == BIG

assert_converged(one, other)
fresh = Replica({}, updates=one.updates())
assert fresh.document.is_complete()
assert same(fresh.root, one.root)
one.close()
print("agreed")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_an_op_log_that_fails_leaves_all_in_agreement(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "agreed\n"
