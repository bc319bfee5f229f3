"""What once hurt the engine or a parser, done to a structure; each case runs in a process of its own.

Bounded memory, no core dump, and an end after a while: what gets through may do anything to the process.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import faulthandler
import math
import os
import random
import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from tests.document.encoding import element as _element
from tests.document.encoding import entry as _entry
from tests.document.encoding import text as _text
from tests.document.encoding import update as _update
from tests.document.encoding import varint as _varint
from tests.document.replicas import NAME, Replica, same, settle
from tests.document.test_check import GOOD, HOSTILE, damage
from tinysync.crdt.check import check_state_vector, check_update
from tinysync.crdt.values import unpack
from tinysync.errors import BadUpdate, ProtocolError, TinySyncError, UnreadableFile, UsageError
from tinysync.protocol.codec import decode
from tinysync.protocol.limits import Limits
from tinysync.storage.records import OPS_MAGIC, OpRecord, decode_op, encode_op, frame, header
from tinysync.storage.yaml_load import load_yaml

try:
    import resource
except ImportError:  # on Windows
    resource = None

SECONDS = 60
MEMORY = 4 << 30
START = {"a": {"b": 1}, "l": [1, [2], {"x": 3}]}


def guard():
    faulthandler.enable()
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def grown():
    """How many MB of memory the process has taken at most."""
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def refused(replica, *updates):
    """Each update is refused, changes nothing, and work goes on with others."""
    before = replica.document.diff()
    for update in updates:
        try:
            replica.document.receive([update])
        except BadUpdate:
            continue
        raise AssertionError(f"{update[:40].hex()}... of {len(update)} bytes was let in")
    assert replica.document.diff() == before
    works(replica)


def works(replica):
    """Own edits and those of others still come through."""
    other = Replica(START)
    number = len(replica.root)
    replica.root[f"own {number}"] = number
    other.root[f"other {number}"] = [number]
    settle(replica, other)
    assert same(replica.root, other.root)


def raises(error, job, *arguments):
    try:
        job(*arguments)
    except error:
        return
    raise AssertionError(f"{job} took {str(arguments)[:80]}")


# --- the engine -------------------------------------------------------------------------------------------


def a_clock_that_wraps():
    """27 bytes after which a plain read crashes: the second block's clock is beyond 32 bits."""
    replica = Replica(START)
    wraps = bytes.fromhex("01020dffffffff0f2701016d036e6577012801016d0162017d0100")
    in_a_root_of_ours = _update(
        _entry(b"\x08\x01\x7d\x01"), _entry(b"\x08\x01\x7d\x01", key="x/b"), clock=2**32 - 1
    )
    refused(replica, wraps, in_a_root_of_ours)
    for number in range(20):
        replica.root[str(number)] = {"junk": "y" * number}
        replica.check()


def values_without_end():
    """60 KB of nested values that run out of the stack: lists, maps, JSON, types, cells of our own encoding."""
    replica = Replica(START)
    for depth in (200, 1_000, 10_000, 100_000, 1_000_000):
        refused(
            replica,
            _update(_element(b"\x08\x01" + b"\x75\x01" * depth + b"\x7e")),
            _update(_element(b"\x08\x01" + b"\x76\x01\x01k" * depth + b"\x7e")),
            _update(_element(b"\x05" + _text("[" * depth + "]" * depth))),
            _update(*_types(min(depth, 100_000))),
            *(
                _update(_entry(b"\x03" + _varint(len(cell)) + cell))
                for cell in (
                    b"\x91" * depth + b"\xc0",
                    b"\x81\xa1k" * depth + b"\xc0",
                    _extension_in_extension(depth),
                )
            ),
        )
        deep = [1]
        for _ in range(depth):
            deep = [deep]
        raises(UsageError, replica.root.__setitem__, "deep", deep)
        while isinstance(deep, list):
            deep = deep[0]


def _types(count):
    yield b"\x07\x01\x01a\x00"
    for number in range(count - 1):
        yield b"\x07\x00\x01" + _varint(number) + b"\x00"


def _extension_in_extension(depth):
    """A tuple in a tuple in a tuple, as our cells write it."""
    cell = b"\xc0"
    for _ in range(min(depth, 2_000)):
        cell = b"\xc9" + (len(cell) + 1).to_bytes(4, "big") + b"\x07\x91" + cell
    return cell


def a_document_that_takes_nothing_more():
    """Few bytes after which no update is taken any more: whatever passes the check spoils nothing."""
    rng = random.Random(3)
    short = [update for update in [*GOOD.values(), *HOSTILE.values()] if len(update) <= 30]
    passed = 0
    for _ in range(8_000):
        update = damage(rng.choice(short) or b"\x00", rng)[:15]
        try:
            check_update(update)
        except BadUpdate:
            continue
        passed += 1
        replica = Replica({})
        with suppress(BadUpdate):
            replica.document.show(replica.document.receive([update]))
        for client in (500, 501, 502):
            replica.document.show(replica.document.receive([_update(_entry(b"\x08\x01\x7e"), client=client)]))
        replica.check()
        replica.root["own"] = 1
        replica.check()
    assert passed > 100, passed


def content_of_an_update_that_failed():
    """24 bytes that raise, and of which a part is in nevertheless."""
    replica = Replica(START)
    refused(replica, bytes.fromhex("010262000501016101310700620000020101000205010204"))
    replica.reopen()
    assert same(replica.root["a"], START["a"])


def a_panic_in_an_event_loop():
    """12 bytes at which the engine panics, past ``except Exception``, which ends all tasks of a group."""
    panics = [
        bytes.fromhex("01010d002801016d01610000"),
        _update(b"\x28\x01" + _text("c") + _text("x/a") + b"\x00"),
    ]
    replica = Replica(START)
    finished = []

    async def receive():
        for update in panics:
            try:
                replica.document.receive([update])
            except Exception:  # noqa: BLE001 - what a handler catches
                finished.append("refused")

    async def work():
        for _ in range(3):
            await asyncio.sleep(0)
        finished.append("worked on")

    async def both():
        async with asyncio.TaskGroup() as group:
            group.create_task(receive())
            group.create_task(work())

    asyncio.run(both())
    assert sorted(finished) == ["refused", "refused", "worked on"]
    works(replica)


def a_root_of_another_kind():
    """A text that is read as a list is read for ever; any update of a root must be of the root's kind."""
    replica = Replica(START)
    text = b"\x04" + _text("\U0001f600")
    roots = ["c", "p", "d", "g", "o", "meta", "l:x", "t:x", "x", ""]
    for root in roots:
        refused(replica, _update(_element(text, root=root)), _update(_entry(text, root=root)))
        if not root.startswith("l:"):
            refused(replica, _update(_element(b"\x08\x01\x7e", root=root)))
        if root not in roots[:6]:
            refused(replica, _update(_entry(b"\x08\x01\x7e", root=root)))


def memory_of_what_is_only_announced():
    """512 MB for a state vector of 6 bytes, and counts without content everywhere else."""
    replica = Replica(START)
    works(replica)
    before = grown()
    head = b"\x01\x01\x01\x00"
    for exponent in (20, 24, 26, 28, 30, 31, 32, 40, 52, 63, 70):
        count = _varint(2**exponent - 1)
        for state_vector in (count, count + b"\x01\x01", b"\x01" + count, b"\x01\x01" + count * 2):
            raises(BadUpdate, check_state_vector, state_vector)
            raises(BadUpdate, replica.document.diff, state_vector)
        refused(
            replica,
            count + b"\x01\x01\x00",
            b"\x01" + count + b"\x01\x00",
            b"\x00" + count + b"\x01\x01",
            b"\x00\x01\x01" + count + b"\x01",
            *(
                head + block
                for block in (
                    b"\x00" + count,
                    b"\x02\x01\x01a" + count,
                    b"\x03\x01\x01a" + count,
                    b"\x04\x01\x01a" + count + b"x",
                    b"\x08\x01\x01a" + count,
                    b"\x08\x01\x01a\x01\x74" + count,
                    b"\x08\x01\x01a\x01\x75" + count,
                    b"\x08\x01\x01a\x01\x76" + count,
                    b"\x08\x01\x03l:x" + count,
                    b"\x08\x01\x03l:x\x01\x77" + count,
                )
            ),
        )
    assert grown() - before < 100


def memory_of_updates_with_many_parts():
    """A byte each, a kilobyte of memory each, or the square of them: never more than they are worth."""
    replica = Replica({"l": [0]})
    root = f"l:{replica.root['l']._node.id}"
    joined = [
        _element(b"\x08\x01\x78", root=root),
        *(b"\x88\x02" + _varint(n) + b"\x01\x78" for n in range(29_999)),
    ]
    one_by_one = [
        _update(b"\x88\x02" + _varint(n - 1) + b"\x01\x78", client=2, clock=n) for n in range(30_000, 45_000)
    ]
    entries = [_entry(b"\x08\x01\x78", key=f"{n:x}") for n in range(30_000)]
    base = grown()
    for updates in (
        [_update(_element(b"\x08" + _varint(400_000) + b"\x78" * 400_000, root=root))],
        [_update(*joined, client=2)],
        one_by_one,
        [_update(*entries, client=3)],
    ):
        for portion in replica.outbox.shared.portions([updates], []):
            replica.receive(portion)
    assert len(replica.root["l"]) == 1 + 400_000 + 45_000
    assert grown() - base < 250, grown() - base
    replica.check()


def ids_that_two_devices_use():
    """A copied folder and a restored backup: both write on under the id that the other one has, too."""
    with tempfile.TemporaryDirectory() as folder:
        here, copy, backup = (Path(folder) / name for name in ("here", "copy", "backup"))
        one = Replica(START, here)
        one.root["shared"] = "s"
        one.close()
        shutil.copytree(here, copy)
        one, other = Replica(START, here), Replica(START, copy)
        for number in range(3):
            one.root[f"one {number}"] = "A"
        other.root["other"] = "B"
        settle(one, other)
        assert same(one.root, other.root)
        assert one.root["other"] == "B"
        assert other.root["one 2"] == "A"

        one.back_up(backup)
        one.root["after the backup"] = 1
        settle(one, other)
        one.restore(backup)
        one.root["after restoring"] = 2
        settle(one, other)
        assert one.root["after the backup"] == 1
        assert other.root["after restoring"] == 2
        assert same(one.root, other.root)
        for replica in (one, other):
            replica.close()


def an_id_in_a_forked_process():
    """The child would go on under the same id; what is on disk is the parent's anyway."""
    if not hasattr(os, "fork"):
        return
    replica = Replica(START)
    replica.root["before"] = 1
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = replica.document.state_vector()
            replica.root["child"] = [1, 2]
            (update,) = replica.document.diff(before)
            os.write(writer, update)
        finally:
            os._exit(0)
    os.close(writer)
    replica.root["parent"] = {"x": 1}
    update = os.read(reader, 1 << 16)
    assert os.waitpid(child, 0)[1] == 0
    replica.receive([update])
    assert replica.root["child"] == [1, 2]
    assert replica.root["parent"] == {"x": 1}
    works(replica)


def updates_before_their_predecessors():
    """They are parked without an event, and the engine leaves them out of what it gives away."""
    source = Replica({})
    updates = []
    for number in range(3):
        before = source.document.state_vector()
        source.root[f"k{number}"] = number
        updates += source.document.diff(before)
    with tempfile.TemporaryDirectory() as folder:
        replica = Replica({}, Path(folder))
        replica.receive([updates[2]])
        assert replica.root == {}
        replica.reopen()
        (relayed,) = [Replica({})]
        relayed.receive(replica.document.diff())
        for one in (replica, relayed):
            one.receive([updates[1]])
            one.receive([updates[0]])
            assert one.root == source.root
            assert one.document.is_complete()
        replica.close()


def equal_content_in_two_places():
    """Defaults that are equal have the same bytes in the same place only."""
    one, other = Replica({}), Replica({})
    for replica, keys in ((one, "ab"), (other, "ba")):
        for key in keys:
            replica.root.setdefault(key, [1, 3])
    settle(one, other)
    assert one.root == other.root == {"a": [1, 3], "b": [1, 3]}
    one.root["a"].append(5)
    del other.root["b"]
    other.root.setdefault("b", [1, 3])
    settle(one, other)
    assert one.root == other.root == {"a": [1, 3, 5], "b": [1, 3]}


def values_that_the_engine_takes_wrongly():
    """What makes it panic, changes on the way, or is dropped in the middle: refused whole, or kept as it is."""
    cyclic = []
    cyclic.append(cyclic)
    kept = [
        2**53 - 1, 2**53, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 1.0, -0.0, math.inf, 5e-324, 2.0**53, 1e22, True,
        None, "", "a\0b", "\U0001f600", "\u2028\ufeff", b"\x00\xff", b"", (1.5, 2), frozenset((1,)),
        Decimal("1.1"), 1j, dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.date(2026, 1, 2), {1: "x"}, {None: "x"},
        {(1, 2): "x"}, {"": "x"}, {}, [], [1, [2, {"a": 3}]], {1}, ["ok", {1}, "after"], "x" * 10**6,
    ]  # fmt: skip
    not_kept = [
        "\ud800",
        {"\ud800": "x"},
        object(),
        len,
        {"ok": [1, object()], "after": 1},
        ["ok", object()],
        cyclic,
    ]
    one, other = Replica({}), Replica({})
    for number, value in enumerate(kept):
        one.root[f"kept {number}"] = value
    settle(one, other)
    for number, value in enumerate(kept):
        for replica in (one, other):
            assert same(replica.root[f"kept {number}"], value), value
    before = one.document.diff()
    for value in not_kept:
        raises(UsageError, one.root.__setitem__, "x", value)
    assert one.document.diff() == before
    works(one)


# --- files and frames -------------------------------------------------------------------------------------


def op_files_with_hostile_updates():
    """A record that is whole, in a file that is whole, with bytes that would hurt."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a clock that wraps", "a thousand nested lists", "a huge gap", "a nested type"):
            replica = Replica(START, Path(folder) / "x")
            replica.root["kept"] = name
            replica.close()
            operations = Path(folder) / "x" / ".tinysync" / NAME / "9999.ops"
            record = OpRecord("remote", 1, 7, (HOSTILE[name],))
            operations.write_bytes(header(OPS_MAGIC) + frame(encode_op(record)))
            raises(TinySyncError, Replica, START, Path(folder) / "x")
            operations.unlink()
            replica = Replica(START, Path(folder) / "x")
            assert replica.root["kept"] == name
            replica.close()


def op_files_with_damage():
    """Every cut, and a flipped bit here and there: what stands before it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        replica = Replica({}, whole)
        for number in range(5):
            replica.root[str(number)] = number
        replica.close()
        (file,) = (whole / ".tinysync" / NAME).glob("*.ops")
        content = file.read_bytes()
        rng = random.Random(5)
        places = rng.sample(range(9, len(content)), 40)
        damaged = [content[:place] for place in places[:20]] + [content + bytes(n) for n in (8, 64, 4096)]
        damaged += [_flipped(content, place) for place in places[20:]]
        for number, data in enumerate(damaged):
            copy = Path(folder) / str(number)
            shutil.copytree(whole, copy)
            next((copy / ".tinysync" / NAME).glob("*.ops")).write_bytes(data)
            (copy / f"{NAME}.yaml").unlink()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                replica = Replica({}, copy)
            assert list(replica.root.items()) == [(str(n), n) for n in range(len(replica.root))]
            works(replica)
            replica.close()


def _flipped(content, place):
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def _bombs():
    for depth in (500, 1_000, 1_100, 100_000):
        yield b"\x91" * depth + b"\xc0"
    yield b"\x81\xa1k" * 100_000 + b"\xc0"
    for head in (b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"):
        yield head + b"\xff\xff\xff\xff"
        yield head + b"\x10\x00\x00\x00"
    yield b"\xdd\x00\x0f\x42\x40" * 1_000
    yield b"\xdd\x00\x4c\x4b\x40" + b"\x80" * 5_000_000
    yield from (
        b"\x81\x01\x02",
        b"\x82\xa1a\x01\xa1a\x02",
        b"\xa1\xff",
        b"\xc0\xc0",
        b"\xd4\x05\x00",
        b"",
        b"\xc1",
    )
    yield from (b"\xd6\xff\x00\x00\x00\x00", b"\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01")


def bombs_in_frames_and_cells():
    """Nesting, announced sizes, foreign types: in frames, in what a frame holds, in cells, in op records."""
    replica = Replica(START)
    before = grown()
    for bomb in _bombs():
        raises(ProtocolError, decode, bomb, Limits())
        for number in range(10):
            raises(ProtocolError, decode, b"\x94" + bytes([number]) + bomb, Limits())
        assert decode_op(bomb) is None
        if bomb[1:2] == b"\xff" and len(bomb) == 6:
            continue  # a time, which shows nowhere
        raises(BadUpdate, unpack, bomb)
        size = _varint(len(bomb))
        refused(replica, _update(_entry(b"\x03" + size + bomb)), _update(_element(b"\x08\x01\x74" + size + bomb)))
    assert grown() - before < 600  # the list of five million maps is really there, in an op record's size


def bombs_in_files_of_people():
    """Aliases that multiply, nesting, recursion, objects, numbers without end."""
    laughs = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
    merges = "a0: &a0 {k: x}\n" + "".join(
        f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}], k{i}: 1}}\n" for i in range(1, 21)
    )
    before = grown()
    for text in (
        laughs, merges, "[" * 1_000 + "]" * 1_000, "[" * 1_000_000, "- " * 200_000 + "x", "{a: " * 100_000,
        "&a [*a]", "&a {? *a : 1}", "!!python/object/apply:os.system [id]", "{a: 1, a: 2}", "9" * 1_000_000,
        "a: \0", "\ud800",
    ):  # fmt: skip
        raises(UnreadableFile, load_yaml, text.encode("utf-8", "surrogatepass"), "conf.yaml")
    assert grown() - before < 500
    many = "".join(f"key{i}: v\n" for i in range(20_000)) + "".join(f"k{i}: &a{i} v\n" for i in range(5_000))
    assert len(load_yaml(many.encode(), "conf.yaml")) == 25_000


CASES = [
    a_clock_that_wraps,
    values_without_end,
    a_document_that_takes_nothing_more,
    content_of_an_update_that_failed,
    a_panic_in_an_event_loop,
    a_root_of_another_kind,
    memory_of_what_is_only_announced,
    memory_of_updates_with_many_parts,
    ids_that_two_devices_use,
    an_id_in_a_forked_process,
    updates_before_their_predecessors,
    equal_content_in_two_places,
    values_that_the_engine_takes_wrongly,
    op_files_with_hostile_updates,
    op_files_with_damage,
    bombs_in_frames_and_cells,
    bombs_in_files_of_people,
]


def main(name):
    (case,) = [case for case in CASES if case.__name__ == name]
    guard()
    case()
    print("survived")


if __name__ == "__main__":
    main(sys.argv[1])
