"""Seeds and encodings are part of the document format: their bytes stay, on every device and in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.document.golden_contents import FOLDER, SEEDS, current
from tests.document.replicas import Replica, same
from tinysync.crdt.seed import seed_document

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["seeds.json", "encodings.json"])
def test_bytes_are_those_of_the_golden_files(name):
    golden = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    written = json.loads(json.dumps(current()[name]))
    for part, expected in golden.items():
        assert written[part] == expected, f"{part!r} in {name} changed: that is another document format"
    assert set(written) == set(golden)


@pytest.mark.parametrize("name", SEEDS)
def test_golden_seeds_still_show_their_content(name):
    content, version = SEEDS[name]
    golden = json.loads((FOLDER / "seeds.json").read_text(encoding="utf-8"))
    replica = Replica(content, version=version, updates=[bytes.fromhex(update) for update in golden[name]])
    assert same(replica.root, content)
    replica.check()


def test_processes_with_other_hash_seeds_write_the_same_bytes():
    outputs = []
    for seed in ("0", "1", "4242"):
        answer = subprocess.run(
            [sys.executable, "-m", "tests.document.golden_contents"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        outputs.append(answer.stdout)
    assert len(set(outputs)) == 1
    assert json.loads(outputs[0]) == json.loads(json.dumps(current()))


def test_the_order_of_keys_and_elements_does_not_matter():
    one = {"a": 1, "b": {"x": 1, 2: [1]}, 3: {1, 2, 3}}
    other = {3: {3, 2, 1}, "b": {2: [1], "x": 1}, "a": 1}
    assert seed_document(one, 0) == seed_document(other, 0)


@pytest.mark.parametrize("other", [{"a": 1.0}, {"a": True}, {"a": "1"}, {"b": 1}, {"a": [1]}, {"a": {1}}, {}])
def test_content_that_differs_in_a_type_is_another_seed(other):
    assert seed_document({"a": 1}, 0) != seed_document(other, 0)


def test_a_version_is_another_seed():
    assert seed_document({"a": 1}, 0) != seed_document({"a": 1}, 1)
