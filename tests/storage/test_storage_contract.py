"""What every storage promises, the documented example among them, on one and the same suite."""

import sqlite3
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.docs.documents import ROOT, fenced_examples, run_examples
from tests.lengths import many
from tinysync import Shelve, SQLite, Storage
from tinysync.errors import StorageError
from tinysync.storage.memory_storage import MemoryStorage


@cache
def example_storage():
    """Return the class that docs/storages.md shows how to write."""
    names = {}
    for line, block, terminal in fenced_examples((ROOT / "docs/storages.md").read_text(encoding="utf-8")):
        if terminal == "storage":
            run_examples(block, "docs/storages.md", names, line)
    return names["Log"]


class Opener:
    """Makes storages of one and the same place."""

    def __init__(self, kind, folder):
        self.path = folder / "db"
        self.kind = example_storage() if kind == "example" else kind
        self._kept = self.kind() if kind is MemoryStorage else None

    def new(self):
        return self._kept or self.kind()

    def opened(self, durability="os"):
        storage = self.new()
        storage.open(self.path, durability)
        return storage


KINDS = [SQLite, Shelve, MemoryStorage, "example"]


@pytest.fixture(params=KINDS, ids=str)
def place(request, tmp_path):
    return Opener(request.param, tmp_path)


def content(storage):
    return {name: storage.read(name) for name in storage.names()}


def test_the_interface_is_small():
    assert len(Storage.__abstractmethods__) <= 5


def test_a_new_one_is_empty(place):
    storage = place.opened()
    assert isinstance(storage, Storage)
    assert storage.suffix.startswith(".")
    assert list(storage.names()) == []
    assert len(storage.names()) == 0
    assert "a" not in storage.names()
    assert storage.read("a") is None
    storage.write({})
    storage.write({"a": None})
    assert content(storage) == {}
    storage.close()


@pytest.mark.parametrize("durability", ["os", "disk"])
def test_what_was_written_is_there_after_reopening(place, durability):
    storage = place.opened(durability)
    storage.write({"b": b"1", "a": b"", "ü\0~\n\u2028👍": b"\0\xff\n", "x" * 5000: b"x" * 100_000})
    storage.write({"b": b"2", "gone": b"3"})
    storage.write({"gone": None, "c": b"4", "never": None})
    expected = {"b": b"2", "a": b"", "ü\0~\n\u2028👍": b"\0\xff\n", "x" * 5000: b"x" * 100_000, "c": b"4"}
    assert content(storage) == expected
    storage.close()
    storage = place.opened(durability)
    assert content(storage) == expected
    assert list(storage.names()) == list(expected)
    assert len(storage.names()) == 5
    assert all(name in storage.names() for name in expected)
    assert "gone" not in storage.names()
    assert storage.read("gone") is None
    storage.close()


def test_names_can_be_gone_through_while_others_write(place):
    storage = place.opened()
    storage.write({f"{number}": b"" for number in range(5000)})
    seen = []
    for number, name in enumerate(storage.names()):
        seen.append(name)
        if number % 500 == 0:
            storage.write({name: b"again", f"new{number}": b"1", f"{4999 - number}": None})
    assert len(seen) == len(set(seen))
    assert {str(number) for number in range(5000) if number % 500} - set(seen) <= {
        f"{4999 - n}" for n in range(5000)
    }
    storage.close()


def test_closing_twice_and_opening_again_is_fine(place):
    storage = place.new()
    storage.close()
    storage.open(place.path, "os")
    with pytest.raises(StorageError, match="open already"):
        storage.open(place.path, "os")
    storage.write({"a": b"1"})
    storage.close()
    storage.close()
    for use in (lambda: len(storage.names()), lambda: storage.read("a"), lambda: storage.write({"a": b"2"})):
        with pytest.raises(StorageError, match="not open"):
            use()
    storage.open(place.path, "os")
    assert content(storage) == {"a": b"1"}
    storage.close()


@pytest.mark.parametrize("rubbish", [b"rubbish, and no database at all\n" * 40, b"{\n"])
def test_what_is_no_such_file_is_left_alone(place, rubbish):
    if place.kind is MemoryStorage:
        pytest.skip("there is no file")
    place.path.write_bytes(rubbish)
    with pytest.raises((StorageError, OSError), match="db"):
        place.opened()
    assert place.path.read_bytes() == rubbish


def test_the_database_of_another_program_is_left_alone(tmp_path):
    for one, other in [(SQLite, Shelve), (Shelve, SQLite)]:
        place = Opener(one, tmp_path)
        storage = place.opened()
        storage.write({"a": b"1"})
        storage.close()
        with pytest.raises(StorageError, match="another program"):
            Opener(other, tmp_path).opened()
        storage = place.opened()
        assert content(storage) == {"a": b"1"}
        storage.close()
        place.path.unlink()


@pytest.mark.parametrize("kind", [SQLite, Shelve])
def test_what_a_process_leaves_that_is_killed_at_the_first_opening_is_a_new_one(kind, tmp_path):
    place = Opener(kind, tmp_path)
    left = sqlite3.connect(place.path)
    left.execute("PRAGMA journal_mode = WAL")
    left.close()
    before = place.path.read_bytes()
    assert before
    storage = place.opened()
    storage.write({"a": b"1"})
    storage.close()
    # Nothing is written by opening it.
    before = place.path.read_bytes()
    place.opened().close()
    assert place.path.read_bytes() == before


def test_a_database_of_a_newer_version_is_left_alone(tmp_path):
    place = Opener(SQLite, tmp_path)
    storage = place.opened()
    storage._connection.execute("PRAGMA user_version = 9")
    storage.close()
    with pytest.raises(StorageError, match="newer version"):
        place.opened()


NAMES = st.sampled_from("abcdef") | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=many(25))
@given(
    steps=st.lists(st.dictionaries(NAMES, st.none() | st.binary(max_size=5), max_size=5) | st.none(), max_size=8)
)
def test_it_agrees_with_a_dict(kind, tmp_path_factory, steps):
    place = Opener(kind, tmp_path_factory.mktemp("db"))
    storage, expected = place.opened(), {}
    for changes in steps:
        if changes is None:
            storage.close()
            storage = place.opened()
        else:
            storage.write(changes)
            for name, value in changes.items():
                expected.pop(name, None) if value is None else expected.update({name: value})
        assert content(storage) == expected
        assert len(storage.names()) == len(expected)
    storage.close()


def test_a_shelf_is_one_of_the_standard_library(tmp_path):
    pytest.importorskip("dbm.sqlite3", reason="Python 3.13 reads and writes the same files")
    import pickle  # noqa: PLC0415
    import shelve  # noqa: PLC0415

    storage = Opener(Shelve, tmp_path).opened()
    storage.write({"ä": pickle.dumps([1])})
    storage.close()
    with shelve.open(tmp_path / "db") as shelf:
        assert dict(shelf) == {"ä": [1]}
        shelf["b"] = {2}
    storage = Opener(Shelve, tmp_path).opened()
    assert pickle.loads(storage.read("b")) == {2}
    storage.close()


@pytest.mark.parametrize("kind", [SQLite, Shelve])
@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_written_to_a_file_that_was_deleted(kind, replaced, tmp_path):
    path = tmp_path / "db"
    storage = kind()
    storage.open(path, "os")
    storage.write({"a": b"1"})
    path.rename(tmp_path / "elsewhere")
    if replaced:
        path.touch()
    with pytest.raises(StorageError, match="deleted or replaced while it was in use"):
        storage.write({"b": b"2"})
    path.unlink(missing_ok=True)
    (tmp_path / "elsewhere").rename(path)
    storage.write({"c": b"3"})
    assert content(storage) == {"a": b"1", "c": b"3"}
    storage.close()
