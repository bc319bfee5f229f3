"""The structural check takes all that our engine writes, and nothing that could hurt it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.document.edits import edits
from tests.document.encoding import element, entry, text, update, varint
from tests.document.replicas import Replica, settle
from tinysync.crdt.check import check_state_vector, check_update
from tinysync.crdt.encoding import MAX_CLOCK
from tinysync.crdt.ids import MAX_CLIENT
from tinysync.errors import BadUpdate

ROOT = Path(__file__).parents[2]
START = {"a": {"b": 1, "c": [1, {"a": [2]}, [3]]}, "b": [1, 2, 3], "c": {1, "x"}}


@given(st.lists(edits, max_size=12))
def test_all_that_the_engine_writes_passes(done):
    one, other = Replica(START), Replica({"d": [1]}, version=1)
    for number, edit in enumerate(done):
        edit.on((one, other)[number % 2].root)
    settle(one, other)
    for replica in (one, other):
        for written in replica.updates():
            check_update(written)
        (whole,) = replica.document.diff()
        clocks = check_state_vector(replica.document.state_vector())
        reached = {}
        for client, start, end in check_update(whole).blocks:
            assert start == reached.get(client, 0)
            reached[client] = end
        assert reached == clocks


ANY_ONE = b"\x08\x01\x7d\x01"
NESTED_LIST = b"\x08\x01" + b"\x75\x01" * 1000 + b"\x7e"
NESTED_MAP = b"\x08\x01" + b"\x76\x01\x01k" * 1000 + b"\x7e"

GOOD = {
    "an entry": update(entry(ANY_ONE)),
    "an element": update(element(ANY_ONE)),
    "an element with origins": update(b"\xc8\x05\x00\x05\x01\x01\x7e", clock=3),
    "deleted elements": update(element(b"\x01\x05")),
    "deletions": update(entry(ANY_ONE), deleted=b"\x01\x07\x02\x00\x01\x05\x02"),
    "nothing": b"\x00\x00",
    "the highest client": update(entry(ANY_ONE), client=MAX_CLIENT),
}
HOSTILE = {
    # Each of these hurts an engine that is not guarded: memory, a panic, a hang, a crash.
    "a clock that wraps": bytes.fromhex("01020dffffffff0f2701016d036e6577012801016d0162017d0100"),
    "a clock over the bound": update(entry(ANY_ONE), clock=MAX_CLOCK),
    "a client over the bound": update(entry(ANY_ONE), client=MAX_CLIENT + 1),
    "a thousand nested lists": update(element(NESTED_LIST)),
    "a thousand nested maps": update(element(NESTED_MAP)),
    "nested json": update(element(b"\x05" + text("[" * 1000 + "]" * 1000))),
    "a json list": update(element(b"\x02\x01" + text("1"))),
    "a string": update(element(b"\x04" + text("x"))),
    "a string in a text": update(element(b"\x04" + text("\U0001f600"), root="t:x")),
    "a text format": update(element(b"\x06" + text("b") + text("1"))),
    "a nested type": update(entry(b"\x07\x01")),
    "a sub-document": update(element(b"\x09" + text("guid") + b"\x7e")),
    "a move": update(element(b"\x0b\x00\x01\x00\x01\x00")),
    "an unknown kind": update(element(b"\x1f")),
    "a block inside a block": update(b"\x28\x00\x01\x00" + text("k") + ANY_ONE[1:]),
    "another root": update(entry(ANY_ONE, root="zz")),
    "an entry in a list": update(entry(ANY_ONE, root="l:x")),
    "an element in a map": update(element(ANY_ONE, root="c")),
    "garbage": update(b"\x00\x05"),
    "a gap": update(element(b"\x01\x05"), b"\x0a\x02", element(b"\x01\x01")),
    "an empty any": update(element(b"\x08\x00")),
    "an empty deletion": update(element(b"\x01\x00")),
    "no blocks of a client": b"\x01\x00\x01\x00\x00",
    "a client twice": b"\x02" + update(entry(ANY_ONE))[1:-1] * 2 + b"\x00",
    "a huge count of clients": varint(2**31) + b"\x01\x01\x00",
    "a huge count of blocks": b"\x01" + varint(2**31) + b"\x01\x00",
    "a huge any": update(element(b"\x08" + varint(2**31))),
    "a huge string": update(element(b"\x08\x01\x77" + varint(2**31) + b"x")),
    "a huge buffer": update(element(b"\x08\x01\x74" + varint(2**31))),
    "a huge binary": update(element(b"\x03" + varint(2**31))),
    "a huge deletion": update(element(b"\x01" + varint(2**31))),
    "a huge gap": update(b"\x0a" + varint(2**31)),
    "two blocks that overflow together": update(*[element(b"\x01" + varint(2**31 - 2))] * 2),
    "huge deletions": b"\x00" + varint(2**31) + b"\x01\x01",
    "huge deleted ranges": b"\x00\x01\x01" + varint(2**31) + b"\x01",
    "a deleted range over the bound": b"\x00\x01\x01\x01" + varint(2**31 - 1) + b"\x01",
    "an empty deleted range": b"\x00\x01\x01\x01\x00\x00",
    "text that is not UTF-8": update(element(b"\x08\x01\x77\x02\xff\xfe")),
    "a root that is not UTF-8": update(b"\x28\x01\x01\xff\x01k\x01\x7e"),
    "a surrogate": update(element(b"\x08\x01\x77\x03\xed\xa0\x80")),
    "undefined": update(element(b"\x08\x01\x7f")),
    "a buffer that is no cell": update(element(b"\x08\x01\x74\x02\xc1\xc1")),
    "a binary that is no cell": update(entry(b"\x03\x02\xc1\xc1")),
    "a cell that is an array": update(entry(b"\x03\x02\x91\x01")),
    "a cell that is a map": update(element(b"\x08\x01\x74\x01\x80")),
    "an array in a tuple": update(entry(b"\x03\x04" + msgpack.packb(msgpack.ExtType(2, b"\x91\x90")))),
    "an endless number": update(element(b"\x08\x01\x7d" + b"\xff" * 20)),
    "a long form of a number": b"\x81\x00\x01\x01\x00\x00\x01\x00",
    "a long form of zero": b"\x80\x00\x00",
    "an endless varint": b"\xff" * 30,
    "trailing bytes": update(entry(ANY_ONE)) + b"\x00",
    "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_well_formed_update_passes(name):
    check_update(GOOD[name])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_update_is_refused(name):
    with pytest.raises(BadUpdate):
        check_update(HOSTILE[name])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_update_changes_nothing_in_a_structure(name):
    replica = Replica(START)
    before = replica.document.diff()
    with pytest.raises(BadUpdate):
        replica.document.receive([*GOOD.values(), HOSTILE[name]])
    assert replica.document.diff() == before
    replica.check()
    replica.root.a.b = 2
    replica.check()


@pytest.mark.parametrize("name", GOOD)
def test_every_cut_of_an_update_is_refused(name):
    update = GOOD[name]
    for size in range(len(update)):
        with pytest.raises(BadUpdate):
            check_update(update[:size])


@pytest.mark.parametrize(
    "state_vector",
    [
        b"", b"\x01", b"\x01\x01", b"\x00\x00", b"\x02\x01\x01\x01\x02", b"\xff" * 10, varint(2**28),
        varint(2**31 - 1) + b"\x01\x01", b"\x01\x01" + varint(2**31), b"\x01" + varint(2**53) + b"\x01",
        b"\x81\x00\x01\x01",
    ],
)  # fmt: skip
def test_a_hostile_state_vector_is_refused(state_vector):
    with pytest.raises(BadUpdate):
        check_state_vector(state_vector)
    with pytest.raises(BadUpdate):
        Replica({}).document.diff(state_vector)


def test_what_an_update_needs():
    info = check_update(update(b"\xc8\x05\x03\x06\x01\x01\x7e", clock=3, deleted=b"\x01\x07\x01\x02\x05"))
    assert info.blocks == [(1, 3, 4)]
    assert info.needs == {5: 4, 6: 2, 7: 7}
    assert info.first_missing({1: 3, 5: 4, 6: 2, 7: 7}) is None
    assert info.first_missing({1: 2, 5: 4, 6: 2, 7: 7}) == (1, 3)
    assert info.first_missing({1: 3, 5: 3, 6: 2, 7: 7}) == (5, 4)


# --- damage -----------------------------------------------------------------------------------------------


def samples():
    """Return updates of every sort that our engine writes."""
    one, other = Replica(START), Replica({"d": [1]}, version=1)
    one.root.a.c.move(0, 2)
    one.root.b[1] = (1, 2.0)
    one.root[1.0] = {"x": b"\x00", "y": [2**80, {"z": None}]}
    other.root.d.extend(["x", {"y": 1}, 2.5])
    settle(one, other)
    del other.root.a.c[0]
    del one.root["c"]
    one.root.b.clear()
    settle(one, other)
    return [*one.updates(), *other.updates(), *one.document.diff(), *other.document.diff(b"\x00")]


def damage(update, rng):
    """Return a copy of an update with a few bytes changed, added or gone."""
    damaged = bytearray(update)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(damaged))
        match rng.randrange(5):
            case 0 | 1:
                damaged[place] = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                damaged[place] ^= 1 << rng.randrange(8)
            case 3:
                damaged.insert(place, rng.randrange(256))
            case 4 if len(damaged) > 1:
                del damaged[place]
    return bytes(damaged)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_with_bad_update_only(data):
    for check in (check_update, check_state_vector):
        _accepts(check, data)


@given(st.integers(0, 2**32))
def test_damaged_updates_are_refused_with_bad_update_only(seed):
    rng = random.Random(seed)
    for sample in samples():
        _accepts(check_update, damage(sample, rng))


def _accepts(check, data):
    try:
        check(data)
    except BadUpdate:
        return False
    return True


APPLY = """
import random, sys, warnings
from tests.document.replicas import Replica
from tests.document.test_check import _accepts, check_update, damage, samples
from tinysync.errors import BadUpdate
from tests.document.test_forged import check
from tinysync.crdt.engine import HalfApplied
warnings.simplefilter("error")
rng = random.Random(int(sys.argv[1]))
originals = samples()
applied = 0
while applied < int(sys.argv[2]):
    victim = Replica({"a": 1})
    victim.document.show(victim.document.receive(originals[: rng.randrange(len(originals))]))
    for _ in range(5):
        update = damage(rng.choice(originals), rng)
        if not _accepts(check_update, update):
            continue
        try:
            received = victim.document.receive([update])
        except HalfApplied:
            break
        except BadUpdate:
            continue
        victim.document.show(received)
        check(victim)
        victim.root["own"] = applied
        check(victim)
        applied += 1
    else:
        victim.reopen()
        check(victim)
print("survived")
"""


def test_damaged_updates_that_pass_do_no_harm_to_the_engine():
    """In a process of its own: if the check let something through, it might not survive."""
    answer = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", APPLY, "7", "400"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "survived\n"
