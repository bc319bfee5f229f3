"""Whatever was damaged: the doctor says so without failing, and what it repairs it keeps."""

from __future__ import annotations

import json
import random
import shutil
import warnings

import pytest
import yaml

from tinysync import Peer, track, tracker

from .processes import here

WAYS = ("flip", "cut", "half", "short", "zero", "zeros", "append", "delete", "empty", "replace", "folder")
BY_CHANCE = {"flip", "cut", "zero", "append", "replace"}
SEEDS = 3


def damage(data, how, chance):
    """Return the bytes of a file after something happened to it; None: it is gone, or a folder is in its place."""
    at = chance.randrange(len(data)) if data else 0
    match how:
        case "flip":
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :] if data else b"x"
        case "cut":
            return data[:at]
        case "half":
            return data[: len(data) // 2]
        case "short":
            return data[:-3]
        case "zeros":
            return bytes(len(data))
        case "zero":
            return data[:at] + bytes(min(20, len(data) - at)) + data[at + 20 :]
        case "append":
            return data + chance.randbytes(chance.randrange(1, 40))
        case "replace":
            return chance.randbytes(50)
        case "empty":
            return b""
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a snapshot, history, and what came later."""
    folder = tmp_path_factory.mktemp("whole")
    structure = track({"a": [1, 2], "b": {"c": "d"}}, "todo", folder=folder)
    for number in range(30):
        structure[f"key{number % 5}"] = number
    tracker(structure).close()
    assert here("compact", folder / "todo.yaml").exit_code == 0
    for number in range(3):
        assert here("set", folder / "todo.yaml", "x", number).exit_code == 0
    return folder


def is_made(folder):
    """Make two devices that were in step, of which the one in a folder has a snapshot, history and more."""
    with Peer(listen="127.0.0.1:0", device="phone") as phone:
        theirs = track({"a": [1, 2]}, "todo", folder=folder.with_name("phone"), sync=phone)
        with Peer(connect=[phone.url], device="laptop") as laptop:
            structure = track({"a": [1, 2]}, "todo", folder=folder, sync=laptop)
            for number in range(10):
                structure[f"key{number % 5}"] = number
            tracker(structure).wait_synced(20)
            theirs["theirs"] = 1
            tracker(theirs).wait_synced(20)
            tracker(structure).close()
        tracker(theirs).close()


@pytest.fixture(scope="module", params=["one", "several", "synced", "compacted", "behind"])
def place(request, tmp_path_factory):
    """A folder with a structure: with one op file, with several, with two snapshots, or an old readable file."""
    folder = tmp_path_factory.mktemp(request.param) / "laptop"
    folder.mkdir()
    if request.param == "synced":
        is_made(folder)
    else:
        structure = track({"a": [1, 2]}, "todo", folder=folder)
        for number in range(10):
            structure[f"key{number % 5}"] = number
        tracker(structure).close()
    old = {path: path.read_bytes() for path in (folder / "todo.yaml", folder / ".tinysync/todo/base")}
    for number in range(0 if request.param == "one" else 3):
        if request.param == "compacted":
            assert here("compact", folder / "todo.yaml").exit_code == 0
        assert here("set", folder / "todo.yaml", "x", number).exit_code == 0
        assert here("set", folder / "todo.yaml", f"y{number}", number).exit_code == 0
    if request.param == "behind":  # as if whoever wrote last was killed before it wrote the readable file
        for path, data in old.items():
            path.write_bytes(data)
    return folder


def struck(path, how, chance):
    """Damage a file; return what it holds now, None if it is no file any more."""
    data = damage(path.read_bytes(), how, chance)
    if data is None:
        path.unlink()
        if how == "folder":
            path.mkdir()
    else:
        path.write_bytes(data)
    return data


def history_of(folder):
    """Return the content and all versions of a structure, as programs see them."""
    structure = track({"a": [1, 2]}, "todo", folder=folder)
    try:
        entries = [(each.version, each.origin, each.paths) for each in tracker(structure).history()]
        states = [tracker(structure).at(version) for version, _, _ in entries]
        return tracker(structure).snapshot(), entries, states
    finally:
        tracker(structure).close()


@pytest.mark.parametrize(
    ("how", "seed"), [(how, seed) for how in WAYS for seed in range(SEEDS if how in BY_CHANCE else 1)]
)
def test_what_is_not_told_does_no_harm(place, tmp_path, how, seed):
    """Each file by itself: either the doctor warns of it, or content and history are the same."""
    chance = random.Random(f"{how} {seed}")
    shutil.copytree(place, tmp_path / "whole")
    expected = history_of(tmp_path / "whole")
    for number, path in enumerate(contents(place)):
        if path.name.endswith("lock") or (path.name == "todo.yaml" and how != "folder"):
            continue  # there is nothing in the one, and people write into the other
        folder = tmp_path / str(number)
        shutil.copytree(place, folder)
        struck(folder / path.relative_to(place), how, chance)
        before = contents(folder)
        told = findings(folder)
        assert contents(folder) == before
        if any(finding["severity"] != "note" for finding in told):
            continue
        if "behind" in place.parent.name and how == "delete" and path == max(place.rglob("*.ops")):
            continue  # nothing says that there was a last change that the readable file does not show either
        with warnings.catch_warnings():
            if told:
                warnings.simplefilter("ignore")
            assert history_of(folder) == expected, (path.name, how)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def findings(*arguments):
    result = here("doctor", "--json", *arguments)
    assert result.exit_code in {0, 3}, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def is_an_edit(path, data):
    """Tell whether a file is a readable one that says something: that is what a person wrote."""
    if path.suffix != ".yaml":
        return False
    try:
        return isinstance(yaml.safe_load(data), dict)
    except (yaml.YAMLError, UnicodeDecodeError):
        return False


@pytest.mark.parametrize("seed", range(60))
def test_damage_is_told_and_what_is_repaired_is_kept(whole, tmp_path, seed):
    chance = random.Random(seed)
    folder = tmp_path / "folder"
    shutil.copytree(whole, folder)
    damaged = {}
    for path in chance.sample(
        [path for path in contents(folder) if path.name != "lock"], chance.choice([1, 1, 2])
    ):
        data = struck(path, chance.choice(WAYS), chance)
        if data is not None:
            damaged[path] = data
    before = contents(folder)
    told = findings(folder)
    assert contents(folder) == before
    findings("--repair", folder)
    left = findings(folder)
    # Nothing that could be repaired is left, and doing it again does nothing.
    assert not any(finding["repairable"] for finding in left), (told, left)
    after = contents(folder)
    findings("--repair", folder)
    assert contents(folder) == after
    # What was damaged is there still, as it was.
    kept = set(after.values())
    for path, data in damaged.items():
        if path.name == "base" and not any(finding["file"] == str(path) for finding in told):
            continue  # of what is noted there the last counts, and a note that was cut short is none
        assert data in kept or not data.strip(b"\0") or is_an_edit(path, data), (path.name, told, left)
    assert here("get", folder / "todo.yaml").exit_code == 0 or any(f["severity"] == "error" for f in left), left
