"""Structures whose entries lie in a database."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import gc
import json
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Collection
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.storage.test_storage_contract import example_storage
from tests.tracker.opened import exact
from tinysync import LazyDict, Peer, Pickle, Shelve, SQLite, Storage, track, tracker
from tinysync.errors import (
    DocumentInUse,
    InvalidValue,
    KindMismatch,
    StorageError,
    StructureClosed,
    UnsupportedValue,
    UsageError,
)
from tinysync.storage.memory_storage import MemoryStorage

DATABASES = pytest.mark.parametrize("persist", [SQLite, Shelve])


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


HOUR = dt.timezone(dt.timedelta(hours=1))


class Opened:
    """Opens a database, and closes it at the end of the block."""

    def __init__(self, persist, default=None, **options):
        self.structure = track(default or {}, "db", persist=persist, **options)

    def __enter__(self):
        return self.structure

    def __exit__(self, *error):
        tracker(self.structure).close()


class Counting(MemoryStorage):
    """Counts what is read and written."""

    def __init__(self):
        super().__init__()
        self.read_names, self.writes = [], []

    def read(self, name):
        self.read_names.append(name)
        return super().read(name)

    def write(self, changes):
        self.writes.append({name: value is not None for name, value in changes.items()})
        super().write(changes)


VALUES = {
    "int": 1, "float": 1.0, "true": True, "none": None, "big": 2**80, "text": "ä\n", "bytes": b"\0\xff",
    "tuple": (1, (2.0, "x")), "frozen": frozenset({1}), "date": dt.date(2020, 1, 2), "decimal": Decimal("1.10"),
    "when": dt.datetime(2020, 1, 2, tzinfo=dt.UTC), "span": dt.timedelta(days=-1, microseconds=5),
    "set": {1, "two", (3,)}, "list": [1, [2, {"k": {3}, 1.5: [], (1, True): -0.0}]], 1: "int key",
    (1, b"x"): {"y": set()}, None: 0, b"b": {}, dt.date(2020, 1, 1): [[]], frozenset({1, "x"}): 1, "~": 1, "": 2,
}  # fmt: skip


@DATABASES
def test_everything_survives_a_reopening_with_its_type(persist):
    with Opened(persist) as db:
        db.update(VALUES)
        assert exact(dict(db)) == exact(VALUES)
    with Opened(persist) as db:
        assert isinstance(db, LazyDict)
        assert not isinstance(db, dict)
        assert list(db) == list(VALUES)
        assert exact(dict(db)) == exact(VALUES)
        assert exact(tracker(db).snapshot()) == exact(VALUES)
        assert all(key in db and exact(db[key]) == exact(value) for key, value in VALUES.items())


@DATABASES
def test_the_given_structure_is_the_beginning_of_a_new_one_only(persist, tmp_path):
    with Opened(persist, {"a": {"x": 1}, 2: [1]}) as db:
        assert dict(db) == {"a": {"x": 1}, 2: [1]}
        db.clear()
    with Opened(persist, {"a": 1}) as db:
        assert not db
    tmp_path.joinpath("db" + persist.suffix).unlink()
    with Opened(persist, {"a": 1}) as db:
        assert dict(db) == {"a": 1}


def test_a_database_alone_is_enough(tmp_path):
    with Opened(SQLite, {"a": 1}):
        pass
    (tmp_path / "other").mkdir()
    (tmp_path / "db.sqlite").rename(tmp_path / "other" / "db.sqlite")
    with Opened(SQLite, {"b": 2}, folder="other") as db:
        assert dict(db) == {"a": 1}


# --- what is loaded, and what is written --------------------------------------------------------------------


def test_only_what_is_touched_is_loaded_and_only_what_changed_is_written():
    storage = Counting()
    with Opened(storage) as db, db:
        for number in range(100):
            db[f"k{number}"] = {"n": number, "l": [1]}
    assert len(storage.writes) == 1
    storage.read_names.clear()
    storage.writes.clear()
    with Opened(storage) as db:
        assert len(db) == 100
        assert "k5" in db
        assert "x" not in db
        assert list(db) == list(db.keys()) == [f"k{number}" for number in range(100)]
        assert bool(db)
        repr(db)
        assert storage.read_names == []
        held = [db[f"k{number}"] for number in range(10)]
        assert [entry.n for entry in held] == list(range(10))
        assert sorted(storage.read_names) == [f"k{number}" for number in range(10)]
        assert db.k5 is held[5]
        held[5].l.append(2)
        db.k5.l.append(3)
        assert storage.writes == [{"k5": True}] * 2
        with db:
            held[1].n = 5
            held[1].l.append(5)
            del db["k2"]
            db.new = {}
            db.new.deep = 1
        assert storage.writes[2:] == [{"k1": True, "k2": False, "new": True}]
        assert len(db) == 100
        with db:
            db.short_lived = 1
            del db["short_lived"]
    assert set(storage.read_names) == {*(f"k{number}" for number in range(10)), "new", "short_lived"}


def test_what_nobody_holds_is_forgotten():
    storage = Counting()
    with Opened(storage) as db:
        with db:
            for number in range(2000):
                db[f"k{number}"] = {"n": [number]}
        inner = db.k7.n
        # So that undo does not hold all of it.
        tracker(db).undo_limit = 0
        for value in db.values():
            assert len(value.n) == 1
        del value
        gc.collect()
        assert list(db._entries._in_use) == ["k7"]
        assert not db._entries._written
        # A part that is held holds its entry.
        inner.append(8)
        assert storage.writes[-1] == {"k7": True}
        assert db.k7.n is inner


def test_a_change_that_is_forgotten_after_it_was_made_is_there():
    with Opened(SQLite, {"a": [1]}) as db:
        for number in range(3):
            db.a.append(number)
            gc.collect()
        with db:
            db.a.append(3)
            gc.collect()
            db.a.append(4)
        gc.collect()
        assert db.a == [1, 0, 1, 2, 3, 4]


# --- the methods of a dict ----------------------------------------------------------------------------------


def test_it_has_the_methods_of_a_dict():
    with Opened(MemoryStorage(), {"a": 1}) as db:
        db |= {"b": [2], 3: "c"}
        db.update(d=4, e={})
        assert db.setdefault("f", [6]) == [6]
        assert db.setdefault("f", [7]) is db.f
        assert db.pop("d") == 4
        assert db.pop("d", None) is None
        db["last"] = [1]
        last = db["last"]
        assert db.popitem() == ("last", [1])
        assert last == [1]
        assert db.pop("a") == 1
        assert list(db.items()) == [("b", [2]), (3, "c"), ("e", {}), ("f", [6])]
        assert next(iter(db.values())) is db.b
        copied = db.copy()
        assert type(copied) is dict
        assert list(copied.items()) == list(db.items())
        assert copied["b"] is db.b
        assert db.fromkeys("ab", 1) == {"a": 1, "b": 1}
        assert db == {"b": [2], 3: "c", "e": {}, "f": [6]}
        assert db != {"b": [2]}
        assert db.get("b") == [2]
        assert db.get("z") is None
        assert db.get("z", 5) == 5
        for missing in (lambda: db["z"], lambda: db.pop("z"), lambda: db.__delitem__("z")):
            with pytest.raises(KeyError):
                missing()
        with pytest.raises(AttributeError):
            getattr(db, "zzz")  # noqa: B009 - it is what is tested
        with pytest.raises(AttributeError, match="write"):
            db.items = 1
        del db.b
        assert "b" not in db
        db.b = {"x": 1}
        held = db.b
        db.b = {"x": 2, "y": 1}
        assert db.b is held
        with pytest.raises(TypeError):
            db.get([])
        with pytest.raises(TypeError):
            db[{}] = 1
        assert copy.deepcopy(db) == pickle.loads(pickle.dumps(db)) == dict(db)
        with pytest.raises(TypeError):
            json.dumps(db)
        db.clear()
        assert len(db) == 0
        with pytest.raises(KeyError):
            db.popitem()
    with pytest.raises(UsageError, match="track"):
        LazyDict()


@pytest.mark.parametrize("make", [SQLite, MemoryStorage, example_storage()])
def test_popitem_removes_the_last_entry(make):
    with Opened(make(), dict.fromkeys(range(2500), 0)) as db:
        assert [db.popitem() for _ in range(3)] == [(2499, 0), (2498, 0), (2497, 0)]
        with db:
            db["new"] = 1
            del db[2496]
            assert db.popitem() == ("new", 1)
            assert db.popitem() == (2495, 0)
        db[5] = 6
        assert db.popitem() == (2494, 0)
        assert list(reversed(db)) == list(reversed(range(2494)))
        with pytest.raises(RuntimeError, match="not popped"), db:
            while db:
                assert db.popitem()[0] == len(db)
            raise RuntimeError("not popped")
        assert len(db) == 2494


class Reading(Counting):
    """Counts the names that are gone through, too."""

    gone_through = 0

    def names(self):
        return Reading.Names(self, super().names())

    class Names(Collection):
        def __init__(self, storage, names):
            self.storage, self.found = storage, names

        def __contains__(self, name):
            return name in self.found

        def __len__(self):
            return len(self.found)

        def __iter__(self):
            return map(self.count, self.found)

        def __reversed__(self):
            return map(self.count, reversed(self.found))

        def count(self, name):
            self.storage.gone_through += 1
            return name


def test_popitem_does_not_go_through_all_names():
    storage = Reading()
    with Opened(storage, dict.fromkeys(range(2500), 0)) as db:
        storage.gone_through = 0
        for number in reversed(range(2400, 2500)):
            assert db.popitem() == (number, 0)
        assert storage.gone_through == 100


def test_equal_keys_are_one_key():
    with Opened(MemoryStorage(), {1: "a"}) as db:
        for equal in (1.0, True, Decimal(1)):
            assert db[equal] == "a"
            assert equal in db
        db[True] = "b"
        db[1.0] = [1]
        assert exact(dict(db)) == exact({1: [1]})
        for refused in (2.0, False, Decimal(3), Decimal("0.5"), dt.datetime(2020, 1, 1, tzinfo=HOUR)):
            with pytest.raises(UnsupportedValue, match="come back"):
                db[refused] = 1
            with pytest.raises(UnsupportedValue):
                db.setdefault(refused, 1)
            with pytest.raises(UnsupportedValue):
                db.update({refused: 1})
        with pytest.raises(InvalidValue):
            db["\ud800"] = 1
        assert object() not in db
        assert list(db) == [1]
        db[0.5] = 1
        assert exact(list(db)) == exact([1, 0.5])
        del db[Decimal("0.5")]
        del db[True]
        assert not db


def test_going_through_it_while_it_grows_is_an_error():
    with Opened(MemoryStorage(), dict.fromkeys("abc", 1)) as db:
        with pytest.raises(RuntimeError, match="changed size"):
            for key in db:
                db[key + key] = 1
        for key in db:
            db[key] = [2]
        with db:
            del db["a"]
            db["new"] = 1
            assert list(db) == ["b", "c", "aa", "new"]
            assert len(db) == 4


# --- transactions, callbacks, errors ------------------------------------------------------------------------


@DATABASES
def test_a_rollback_restores_live_and_disk(persist):
    with Opened(persist, {"a": {"x": [1]}, "b": 2}) as db:
        held = db.a
        with pytest.raises(RuntimeError), db:
            db.a.x.append(2)
            del db["a"]
            db.b = {"new": 1}
            db.c = 3
            assert list(db) == ["b", "c"]
            assert len(db) == 2
            raise RuntimeError
        assert db.a is held
        assert dict(db) == {"a": {"x": [1]}, "b": 2}
        assert len(db) == 2
        held.x.append(3)
        with db:
            db.a.x.append(4)
            with pytest.raises(RuntimeError), db:
                db.b = 5
                db.a.x.clear()
                raise RuntimeError
            db.c = 1
    with Opened(persist) as db:
        assert dict(db) == {"a": {"x": [1, 3, 4]}, "b": 2, "c": 1}


@DATABASES
def test_callbacks_have_paths_that_begin_with_the_key(persist):
    changes = []
    with Opened(persist, {"a": {"l": [1]}}, callback=changes.append) as db:
        db.a.l.append(2)
        db.b = 1
        with db:
            db.b = 2
            del db["a"]
        assert [(c.path, c.func_name, c.args) for c in changes[:2]] == [
            (["a", "l"], "append", (2,)),
            ([], "__setitem__", ("b", 1)),
        ]
        assert [c.func_name for c in changes[2]] == ["__setitem__", "__delitem__"]
        assert changes[1].target is changes[1].root is db
        seen = []
        tracker(db).on("c/*/x", seen.append)
        db.c = {"one": {"x": 1}}
        db.c.one.x = 2
        assert len(seen) == 2


def test_marks_diffs_and_reverting():
    with Opened(SQLite, {"a": {"l": [1]}, "b": 1, "rest": [0]}) as db:
        mark = tracker(db).mark()
        db.a.l.append(2)
        db.b = 5
        db.c = {"x": 1}
        gc.collect()
        assert sorted(tracker(db).changed_paths, key=str) == [["a", "l"], ["b"], ["c"]]
        diff = tracker(db).diff()
        tracker(db).revert(mark)
        assert dict(db) == {"a": {"l": [1]}, "b": 1, "rest": [0]}
        tracker(db).patch(diff)
        assert dict(db) == {"a": {"l": [1, 2]}, "b": 5, "c": {"x": 1}, "rest": [0]}
    with Opened(SQLite) as db:
        assert dict(db) == {"a": {"l": [1, 2]}, "b": 5, "c": {"x": 1}, "rest": [0]}


@DATABASES
def test_undo_and_redo(persist):
    with Opened(persist, {"a": {"x": [1]}, 5: "five"}) as db:
        held = db.a
        db.a.x.append(2)
        with db:
            db.b = {"s": {1}}
            del db["a"]
            db[5] = 6
        gc.collect()
        for _ in range(2):
            assert tracker(db).undo()
            assert dict(db) == {5: "five", "a": {"x": [1, 2]}}
            assert db.a is held
            assert tracker(db).undo()
            assert dict(db) == {5: "five", "a": {"x": [1]}}
            assert tracker(db).redo()
            assert tracker(db).redo()
            assert dict(db) == {5: 6, "b": {"s": {1}}}
        tracker(db).undo()
        held.x.append(3)
    with Opened(persist) as db:
        assert dict(db) == {5: "five", "a": {"x": [1, 2, 3]}}


@DATABASES
def test_what_cannot_be_held_changes_nothing(persist):
    class Stubborn:
        def __reduce__(self):
            raise RuntimeError("not this one")

    with Opened(persist, {"a": [1]}) as db:
        with pytest.raises(UnsupportedValue, match="cannot be"):
            db.b = [Stubborn()]
        with pytest.raises(UnsupportedValue, match="cannot be"), db:
            db.a.append(2)
            db.c = Stubborn()
        assert dict(db) == {"a": [1]}
    with Opened(persist) as db:
        assert dict(db) == {"a": [1]}


def test_a_shelf_holds_any_object():
    with Opened(Shelve, {"half": Fraction(1, 2)}) as db:
        db.deep = [{"third": Fraction(1, 3), "type": int}]
        db.deep[0].more = Fraction(1, 4)
    with Opened(Shelve) as db:
        assert dict(db) == {
            "half": Fraction(1, 2),
            "deep": [{"third": Fraction(1, 3), "type": int, "more": Fraction(1, 4)}],
        }
    with pytest.raises(UnsupportedValue):
        track({"half": Fraction(1, 2)}, "other", persist=SQLite)


def test_a_database_that_is_locked_by_another_program_changes_nothing(tmp_path):
    with Opened(SQLite, {"a": [1]}) as db:
        tracker(db)._replica.disk._storage._connection.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(tmp_path / "db.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            db.a.append(2)
        assert db.a == [1]
        other.execute("ROLLBACK")
        other.close()
        db.a.append(3)
        assert db.a == [1, 3]


def test_an_entry_that_is_damaged_is_an_error(tmp_path):
    with Opened(SQLite, {"a": [1], "b": 1}):
        pass
    with sqlite3.connect(tmp_path / "db.sqlite") as other:
        other.execute("UPDATE entries SET value = x'c1' WHERE name = 'a'")
    other.close()
    with Opened(SQLite) as db:
        with pytest.raises(StorageError, match="'a' of .*db.sqlite cannot be loaded"):
            db["a"]
        assert db.b == 1


@DATABASES
def test_what_is_refused(persist, tmp_path):
    with pytest.raises(UsageError, match="cannot be synced"):
        track({}, "db", persist=persist, sync="ws://127.0.0.1:1")
    with pytest.raises(UsageError, match="version"):
        track({}, "db", persist=persist, version=1)
    with pytest.raises(KindMismatch, match="holds a dict"):
        track([], "db", persist=persist)
    with pytest.raises(UsageError, match="name"):
        track({}, persist=persist)
    assert not list(tmp_path.iterdir())
    with Peer(listen="127.0.0.1:0") as peer, Opened(persist) as db:
        with pytest.raises(UsageError, match="cannot be synced"):
            tracker(db)._replica.sharing.add(peer)
        assert track({}, "db", persist=persist) is db
        with pytest.raises(UsageError, match="is open as db"):
            track({}, "db")
    for other in (Pickle, True, Shelve if persist is SQLite else SQLite):
        with pytest.raises(UsageError, match="second state"):
            track({}, "db", persist=other)
    with Opened(persist):
        pass


def test_a_closed_one_cannot_be_read():
    with Opened(SQLite, {"a": [1], "b": 2}) as db:
        held = db.a
        assert len(db) == 2
    for use in (
        lambda: db["a"],
        lambda: db["b"],
        lambda: db["c"],
        lambda: db.a,
        lambda: db.get("a"),
        lambda: len(db),
        lambda: bool(db),
        lambda: list(db),
        lambda: list(db.items()),
        lambda: next(reversed(db)),
        db.copy,
        lambda: db == {},
        lambda: "a" in db,
        lambda: "b" in db,
        tracker(db).snapshot,
        lambda: setattr(db, "b", 1),
        lambda: held.append(1),
    ):
        with pytest.raises(StructureClosed):
            use()
    assert held == [1]


def test_a_second_process_is_refused_with_the_pid_of_the_first():
    code = (
        "from tinysync import *\ntry: track({}, 'db', persist=SQLite)\nexcept DocumentInUse as error: print(error)"
    )
    with Opened(SQLite):
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert str(os.getpid()) in answer.stdout
        with pytest.raises(DocumentInUse):
            from tests.tracker.opened import open_in  # noqa: PLC0415

            open_in(".", {}, "db", keeper=SQLite())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_leaves_it_alone():
    code = """
import os
from tinysync import *
db = track({'a': [1]}, 'db', persist=SQLite)
child = os.fork()
if not child:
    refused = 0
    for use in (lambda: len(db), lambda: db['a'], lambda: db.update(a=1)):
        try:
            use()
        except StructureClosed:
            refused += 1
    os._exit(refused)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
db.a.append(2)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with Opened(SQLite) as db:
        assert db.a == [1, 2]


def test_threads_change_and_read_it_at_once():
    with Opened(SQLite, {f"k{n}": {"count": 0} for n in range(20)}) as db:
        failed = []

        def work(seed):
            chance = random.Random(seed)
            try:
                for _ in range(100):
                    key = f"k{chance.randrange(20)}"
                    with db:
                        db[key].count += 1
                    assert db[f"k{chance.randrange(20)}"].count >= 0
                    assert len(db) == 20
            except BaseException as error:
                failed.append(error)
                raise

        threads = [threading.Thread(target=work, args=[seed]) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert sum(entry.count for entry in db.values()) == 400
    with Opened(SQLite) as db:
        assert sum(entry.count for entry in db.values()) == 400


# --- any sequence of edits ----------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", 1, (2,)])
CONTENTS = st.recursive(
    st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner),
    max_leaves=4,
)


class LikeADict(RuleBasedStateMachine):
    """A database and a dict, to which the same is done."""

    held = Bundle("held")

    def __init__(self):
        super().__init__()
        self.storage = self.make()
        self.model = {}
        self.before = []
        self.db = track({}, "db", persist=self.storage)

    @rule(key=KEYS, value=CONTENTS)
    def put(self, key, value):
        self.db[key] = value
        self.model[key] = copy.deepcopy(value)

    @rule(key=KEYS)
    def remove(self, key):
        assert (self.db.pop(key, None) is None) == (self.model.pop(key, None) is None)

    @rule(key=KEYS, value=CONTENTS)
    def change_inside(self, key, value):
        for root in (self.db, self.model):
            inside = root.get(key)
            if isinstance(inside, list):
                inside.append(copy.deepcopy(value))
            elif isinstance(inside, dict):
                inside["x"] = copy.deepcopy(value)

    @rule()
    def begin(self):
        if len(self.before) < 3:
            self.db.__enter__()
            self.before.append(copy.deepcopy(self.model))

    @rule(fails=st.booleans())
    def end(self, fails):
        if self.before:
            before = self.before.pop()
            error = RuntimeError() if fails else None
            self.db.__exit__(type(error) if error else None, error, None)
            if fails:
                self.model = before

    @rule()
    def forget(self):
        gc.collect()

    @rule()
    def reopen(self):
        if not self.before:
            tracker(self.db).close()
            self.db = track({}, "db", persist=self.storage)

    @invariant()
    def they_are_equal(self):
        assert len(self.db) == len(self.model)
        assert set(self.db) == set(self.model)
        assert exact(dict(self.db)) == exact(self.model)

    def teardown(self):
        while self.before:
            self.end(fails=False)
        tracker(self.db).close()


@pytest.mark.parametrize("make", [MemoryStorage, SQLite])
def test_any_sequence_of_edits(make, tmp_path_factory, monkeypatch):
    class Machine(LikeADict):
        def __init__(self):
            monkeypatch.chdir(tmp_path_factory.mktemp("db"))
            self.make = make
            super().__init__()

    from hypothesis import settings  # noqa: PLC0415

    from tests.lengths import many  # noqa: PLC0415

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=many(8 if make is SQLite else 15), stateful_step_count=20)
    )


# --- kill -9 ------------------------------------------------------------------------------------------------

WRITER = """
import sys
from tinysync import Shelve, SQLite, track
kind = sys.argv[1]
if kind == "Log":
    from tests.storage.test_storage_contract import example_storage
    kind = example_storage()
else:
    kind = {"SQLite": SQLite, "Shelve": Shelve}[kind]
db = track({"count": 0, "log": []}, "db", persist=kind)
while True:
    with db:
        db.count += 1
        db.log.append(db.count)
        db[f"k{db.count}"] = {"number": db.count, "text": "x" * 1000}
        db.pop(f"k{db.count - 20}", None)
    print(db.count, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("kind", ["SQLite", "Shelve", "Log"])
def test_every_acknowledged_transaction_survives_kill_9(kind):
    chance, acknowledged = random.Random(5), 0
    persist: type[Storage] = {"SQLite": SQLite, "Shelve": Shelve}.get(kind) or example_storage()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, kind], stdout=subprocess.PIPE, text=True, env=environment
        )
        wanted = acknowledged + chance.randrange(1, 40)
        while acknowledged < wanted:
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.stdout.close()
        writer.wait()
        with Opened(persist) as db:
            count = db["count"]
            assert count >= acknowledged
            assert db.log == list(range(1, count + 1))
            assert set(db) == {"count", "log", *(f"k{n}" for n in range(max(1, count - 19), count + 1))}
            assert all(db[f"k{n}"].number == n for n in range(max(1, count - 19), count + 1))
            acknowledged = count


def test_it_joins_and_reverses_as_a_dict_does():
    db = track({}, "db", persist=SQLite)
    db.update({"a": 1, "b": [2]})
    assert list(reversed(db)) == ["b", "a"]
    assert db | {"a": 3} == {"a": 3, "b": [2]}
    assert {"a": 3, "c": 4} | db == {"a": 1, "c": 4, "b": [2]}
    assert type(db | {}) is dict
    assert db | db == dict(db)
    with pytest.raises(TypeError):
        _ = db | [("a", 1)]
    tracker(db).close()


def test_a_deleted_database_acknowledges_nothing(tmp_path):
    db = track({"a": 1}, "db", persist=SQLite)
    file = tracker(db)._replica.disk.path
    file.unlink()
    with pytest.raises(StorageError, match="deleted"):
        db.b = 2
    assert dict(db) == {"a": 1}
    tracker(db).close()


@pytest.mark.parametrize("persist", [SQLite, Shelve, Pickle])
def test_waiting_for_peers_says_that_there_can_be_none(persist):
    with Opened(persist) as db:
        with pytest.raises(UsageError, match="cannot be synced"):
            tracker(db).wait_synced(1)
        with pytest.raises(UsageError, match="cannot be synced"):
            asyncio.run(tracker(db).synced(1))
