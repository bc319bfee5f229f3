"""Whatever was damaged: the doctor says so without failing, and what it repairs it keeps."""

from __future__ import annotations

import json
import random
import shutil

import pytest
import yaml

from tinysync import track, tracker

from .processes import here

WAYS = ("flip", "cut", "zero", "append", "delete", "empty", "replace")


def damage(data, how, chance):
    """Return the bytes of a file after something happened to it; None: it is gone."""
    at = chance.randrange(len(data)) if data else 0
    match how:
        case "flip":
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :] if data else b"x"
        case "cut":
            return data[:at]
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


@pytest.mark.parametrize("seed", range(24))
def test_damage_is_told_and_what_is_repaired_is_kept(whole, tmp_path, seed):
    chance = random.Random(seed)
    folder = tmp_path / "folder"
    shutil.copytree(whole, folder)
    damaged = {}
    for path in chance.sample(
        [path for path in contents(folder) if path.name != "lock"], chance.choice([1, 1, 2])
    ):
        data = damage(path.read_bytes(), chance.choice(WAYS), chance)
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
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
