import os
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import DamagedFileWarning, StorageError
from tinysync.storage.atomic import replace_file
from tinysync.storage.merge import apply_edits
from tinysync.storage.names import document_paths
from tinysync.storage.plain import SAFE_YAML
from tinysync.storage.readable import Edited, Missing, ReadableFile, Unreadable, Untouched, Written
from tinysync.storage.yaml_format import YAML


@pytest.fixture
def paths(tmp_path):
    return document_paths("home/lights", tmp_path)


@pytest.fixture(params=["os", "disk"])
def file(request, paths):
    return new_file(paths, request.param)


def new_file(paths, durability="os"):
    return ReadableFile(paths, YAML(), SAFE_YAML, durability)


def edit(paths, text):
    """Write the file by hand, and long enough ago to be no half of a writing."""
    data = text if isinstance(text, bytes) else text.encode()
    paths.readable.parent.mkdir(parents=True, exist_ok=True)
    paths.readable.write_bytes(data)
    os.utime(paths.readable, (time.time() - 10,) * 2)


def status_after_restart(paths):
    return new_file(paths).status()


def test_the_first_write(file, paths):
    assert file.status() == Missing()
    assert file.write({"a": 1}) == Written()
    assert paths.readable.read_text() == "a: 1\n"
    assert file.status() == Untouched()
    assert status_after_restart(paths) == Untouched()


def test_many_writes_and_restarts(paths):
    for n in range(50):
        file = new_file(paths)
        assert file.status() == (Untouched() if n else Missing())
        for m in range(5):
            assert file.write({"a": [n, m]}) == Written()
        assert file.status() == Untouched()
    assert paths.readable.read_text() == "a:\n- 49\n- 4\n"


def test_a_write_of_the_same_leaves_the_file(file, paths):
    file.write({"a": 1})
    before = paths.readable.stat()
    file.write({"a": 1})
    assert paths.readable.stat().st_mtime_ns == before.st_mtime_ns
    assert paths.readable.stat().st_ino == before.st_ino


def test_a_hand_edit_is_told_with_what_was_there_before(file, paths):
    file.write({"a": 1, "b": (1, 2)})
    edit(paths, "a: 2\nb: [1, 2]\n")
    expected = Edited({"a": 1, "b": [1, 2]}, {"a": 2, "b": [1, 2]}, b"a: 2\nb: [1, 2]\n")
    assert file.status() == expected
    assert status_after_restart(paths) == expected


def test_a_hand_edit_is_not_overwritten_until_it_is_merged(file, paths):
    live = {"a": 1, "b": 1}
    file.write(live)
    edit(paths, "a: 2\nb: 1\n")
    live["b"] = 5
    outcome = file.write(live)
    assert isinstance(outcome, Edited)
    assert paths.readable.read_text() == "a: 2\nb: 1\n"
    assert file.write(live) == outcome
    apply_edits(live, outcome.base_value, outcome.file_value)
    assert file.write(live, merged=outcome) == Written()
    assert paths.readable.read_text() == "a: 2\nb: 5\n"
    assert status_after_restart(paths) == Untouched()


def test_a_second_edit_after_the_merged_one_is_told_against_the_first(file, paths):
    file.write({"a": 1})
    edit(paths, "a: 2\n")
    first = file.status()
    edit(paths, "a: 2\nb: 3\n")
    second = file.write({"a": 2}, merged=first)
    assert (second.base_value, second.file_value) == ({"a": 2}, {"a": 2, "b": 3})
    assert file.write({"a": 2, "b": 3}, merged=second) == Written()
    assert file.status() == Untouched()


def test_an_edit_back_to_what_is_known_is_none(file, paths):
    file.write({"a": 1})
    written = paths.readable.read_bytes()
    edit(paths, "a: 2\n")
    assert isinstance(file.status(), Edited)
    edit(paths, written)
    assert file.status() == Untouched()


def test_a_file_without_state_is_an_edit_of_nothing_known(file, paths):
    edit(paths, "a: 1\n")
    assert file.status() == Edited(None, {"a": 1}, b"a: 1\n")
    outcome = file.write({"a": 0})
    assert isinstance(outcome, Edited)
    assert file.write({"a": 1}, merged=outcome) == Written()
    assert file.status() == Untouched()


@pytest.mark.parametrize("nothing", ["", "\n", "null\n", "---\n"])
def test_a_file_without_content_is_never_an_edit(file, paths, nothing):
    file.write({"a": 1})
    edit(paths, nothing)
    assert file.status() == Missing()
    assert file.write({"a": 1}) == Written()
    assert paths.readable.read_text() == "a: 1\n"
    assert file.status() == Untouched()


def test_a_deleted_file_is_written_again(file, paths):
    file.write({"a": 1})
    paths.readable.unlink()
    assert file.status() == Missing()
    assert file.write({"a": 1}) == Written()
    assert paths.readable.read_text() == "a: 1\n"
    paths.readable.unlink()
    paths.readable.parent.rmdir()
    assert file.write({"a": 2}) == Written()


@pytest.mark.parametrize("text", ["a: [1", "a: 1\na: 2\n", "just text", b"\xff\xfe\x00", "a: !!python/name:os 1"])
def test_a_file_that_does_not_parse_is_left_alone(file, paths, text):
    file.write({"a": 1})
    edit(paths, text)
    before = paths.readable.read_bytes()
    status = file.status()
    assert isinstance(status, Unreadable)
    assert str(paths.readable) in str(status.error)
    for value in ({"a": 1}, {"a": 2}, {"a": 2}):
        assert isinstance(file.write(value), Unreadable)
        assert paths.readable.read_bytes() == before
    edit(paths, "a: 3\n")
    assert file.write({"a": 2}).file_value == {"a": 3}


def test_a_file_that_is_just_being_written_is_waited_for(file, paths, monkeypatch):
    file.write({"a": 1})
    parts = iter([b"", b"a: 2\nb: [1", b"a: 2\nb: [1, 2]\n"])

    def sleep(_seconds):
        # In the time that one would wait, the editor goes on, until it is done and time has passed.
        part = next(parts, None)
        if part is None:
            edit(paths, paths.readable.read_bytes())
        else:
            paths.readable.write_bytes(part)

    paths.readable.write_bytes(b"")
    monkeypatch.setattr("tinysync.storage.readable.time.sleep", sleep)
    assert file.status().file_value == {"a": 2, "b": [1, 2]}


def test_an_edit_right_before_the_replacement_is_seen(file, paths, monkeypatch):
    file.write({"a": 1})

    def edit_then_check(path, data, durability, check):
        edit(paths, "a: 7\n")
        monkeypatch.undo()
        return replace_file(path, data, durability, check)

    monkeypatch.setattr("tinysync.storage.readable.replace_file", edit_then_check)
    outcome = file.write({"a": 2})
    assert outcome == Edited({"a": 1}, {"a": 7}, b"a: 7\n")
    assert paths.readable.read_text() == "a: 7\n"


def crash(*_arguments, **_options):
    raise KeyboardInterrupt


def test_a_crash_before_the_replacement(paths, monkeypatch):
    file = new_file(paths)
    file.write({"a": 1})
    monkeypatch.setattr("tinysync.storage.readable.replace_file", crash)
    with pytest.raises(KeyboardInterrupt):
        file.write({"a": 2})
    monkeypatch.undo()
    assert status_after_restart(paths) == Untouched()
    edit(paths, "a: 1\nb: 1\n")
    assert status_after_restart(paths).base_value == {"a": 1}


def test_a_crash_after_the_replacement(paths, monkeypatch):
    file = new_file(paths)
    file.write({"a": [1]})
    monkeypatch.setattr(file, "_note_content", crash)
    with pytest.raises(KeyboardInterrupt):
        file.write({"a": [1, 2]})
    monkeypatch.undo()
    # A hand edit of the file that the crash left is a superset of what was written, and doubles nothing.
    written = paths.readable.read_bytes()
    edit(paths, written + b"- 3\n")
    status = status_after_restart(paths)
    assert status.base_value == {"a": [1]}
    live = {"a": [1, 2]}
    apply_edits(live, status.base_value, status.file_value)
    assert live == {"a": [1, 2, 3]}
    # Left as it was, it is known; and from then on an edit is told against it.
    edit(paths, written)
    assert status_after_restart(paths) == Untouched()
    edit(paths, written + b"- 3\n")
    assert status_after_restart(paths).base_value == {"a": [1, 2]}


def test_every_cut_of_the_base_is_survived(paths):
    file = new_file(paths)
    for n in range(3):
        file.write({"a": n})
    base = paths.state / "base"
    data = base.read_bytes()
    for cut in range(len(data)):
        base.write_bytes(data[:cut])
        status = status_after_restart(paths)
        if isinstance(status, Edited):
            assert status.file_value == {"a": 2}
            assert status.base_value in (None, {"a": 0}, {"a": 1})
        else:
            assert status == Untouched()
        file = new_file(paths)
        merged = status if isinstance(status, Edited) else None
        assert file.write({"a": 2}, merged=merged) == Written()
        assert status_after_restart(paths) == Untouched()


def test_damage_of_the_base_is_told_and_costs_no_more_than_the_base(paths):
    file = new_file(paths)
    file.write({"a": 1})
    base = paths.state / "base"
    data = bytearray(base.read_bytes())
    data[20] ^= 1
    base.write_bytes(bytes(data) + b"and garbage")
    with pytest.warns(DamagedFileWarning, match="base"):
        assert status_after_restart(paths) == Edited(None, {"a": 1}, b"a: 1\n")


def test_a_base_of_a_newer_version_is_an_error(paths):
    file = new_file(paths)
    file.write({"a": 1})
    base = paths.state / "base"
    data = bytearray(base.read_bytes())
    data[7] = 99
    base.write_bytes(data)
    with pytest.raises(StorageError, match="newer version"):
        new_file(paths).status()


def test_the_notes_do_not_grow_without_bound(paths):
    file = new_file(paths)
    sizes = []
    for n in range(400):
        file.write({"text": os.urandom(3000).hex(), "n": n})
        sizes.append((paths.state / "base").stat().st_size)
    assert max(sizes) < 400_000
    assert status_after_restart(paths) == Untouched()


@pytest.mark.parametrize("text", ["# mine\na: 1", "# mine\na: |+\n  1"])
@pytest.mark.parametrize("left", [None, ""])
def test_a_file_that_is_written_again_ends_with_a_newline(file, paths, text, left):
    file.write({"a": 0})
    edit(paths, text)
    edited = file.status()
    assert file.write(edited.file_value, edited) == Written()
    assert paths.readable.read_text() == text
    paths.readable.unlink() if left is None else edit(paths, left)
    assert file.write(edited.file_value) == Written()
    again = paths.readable.read_text()
    assert again.startswith("# mine\na: ")
    assert again.endswith("\n")
    assert file.value() == edited.file_value


def test_a_deleted_state_folder_is_noticed(file, paths):
    file.write({"a": 1})
    if sys.platform == "win32":
        pytest.skip("a file that is open cannot be deleted")
    (paths.state / "base").unlink()
    paths.state.rmdir()
    with pytest.raises(StorageError, match=r"Could not write .*lights\.yaml: No such file"):
        file.write({"a": 2})
    assert paths.readable.read_text() == "a: 1\n"


def test_a_file_where_the_folder_should_be(tmp_path, paths):
    (tmp_path / "home").write_text("in the way")
    file = new_file(paths)
    with pytest.raises(StorageError, match=r"Could not write .*lights\.yaml"):
        file.write({"a": 1})
    with pytest.raises(StorageError, match=r"Could not read .*lights\.yaml"):
        file.status()
    assert (tmp_path / "home").read_text() == "in the way"


def test_a_folder_where_the_file_should_be(paths):
    paths.readable.mkdir(parents=True)
    file = new_file(paths)
    with pytest.raises(StorageError, match=r"lights\.yaml"):
        file.write({"a": 1})
    with pytest.raises(StorageError, match=r"lights\.yaml"):
        file.status()


def test_a_full_disk_leaves_the_file_as_it_was(file, paths):
    resource = pytest.importorskip("resource")
    file.write({"a": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(StorageError, match=r"Could not write .*lights\.yaml: File too large"):
            file.write({"a": "x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert paths.readable.read_text() == "a: 1\n"
    assert file.status() == Untouched()
    assert not list(paths.readable.parent.glob(".*"))
    assert file.write({"a": 2}) == Written()
    assert status_after_restart(paths) == Untouched()


STEPS = st.lists(
    st.sampled_from(["write", "edit", "empty", "break", "delete", "restart", "crash"]) | st.integers(0, 5),
    max_size=15,
)


@settings(max_examples=many(60))
@given(STEPS)
def test_no_edit_is_ever_lost(tmp_path_factory, steps):
    """Whatever happens in between: what was edited in is in the structure in the end, and in the file."""
    paths = document_paths("todo", tmp_path_factory.mktemp("steps"))
    file, live, broken = new_file(paths), {"n": 0}, False

    def settle():
        merged = None
        while isinstance(outcome := file.write(live, merged), Edited):
            apply_edits(live, outcome.base_value, outcome.file_value)
            merged = outcome
        return isinstance(outcome, Unreadable)

    edits = []
    settle()
    for number, step in enumerate(steps):
        if step == "edit":
            text = "" if broken or not paths.readable.exists() else paths.readable.read_text()
            broken = False
            settle_text = text or YAML().dump(live).decode()
            edit(paths, f"{settle_text}edit{number}: 1\n")
            edits.append(f"edit{number}")
        elif step == "empty" and not broken and not settle():
            edit(paths, "")
        elif step == "break" and not broken and not settle():
            edit(paths, "a: [")
            broken = True
        elif step == "delete" and not broken and not settle():
            paths.readable.unlink()
        elif step == "restart":
            file = new_file(paths)
        elif step == "crash" and not broken and not settle():
            live["n"] += 1
            file._base.note(file._base.last, b"what was intended")
            file = new_file(paths)
        else:
            live["n"] = number
            assert settle() == broken
    if not broken:
        assert not settle()
        assert set(edits) <= set(live)
        assert YAML().load(paths.readable.read_bytes(), "") == live
