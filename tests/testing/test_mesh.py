"""The simulated mesh that programs test their merges on."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap

import pytest

from tests.tracker.opened import exact
from tinysync import SyncTimeout, UsageError, tracker
from tinysync.testing import Mesh


@pytest.fixture
def mesh():
    with Mesh() as made:
        yield made


def test_devices_agree_after_a_partition(mesh):
    devices = [mesh.device(name) for name in ("laptop", "phone", "tablet")]
    structures = [device.track({"log": [], "tags": {"all"}}, "todo") for device in devices]
    mesh.settle()
    mesh.partition(devices[:1], devices[1:])
    for structure, device in zip(structures, devices, strict=True):
        structure.log.append(device.name)
        structure.by = device.name
    mesh.settle()
    assert structures[0].log == ["laptop"]
    assert sorted(structures[1].log) == ["phone", "tablet"]
    assert exact(structures[1]) == exact(structures[2])
    mesh.heal()
    mesh.settle()
    assert sorted(structures[0].log) == ["laptop", "phone", "tablet"]
    assert len({str(exact(tracker(structure).snapshot())) for structure in structures}) == 1


def test_a_device_that_was_off_comes_back_with_what_it_kept(tmp_path):
    with Mesh(tmp_path) as mesh:
        laptop, phone = mesh.device("laptop"), mesh.device("phone")
        ours, theirs = laptop.track({}, "todo"), phone.track({}, "todo")
        theirs.kept = True
        mesh.settle()
        mesh.partition([laptop], [phone])
        theirs.last = 1
        phone.close()
        with pytest.raises(UsageError, match="'laptop' is switched on already"):
            mesh.device("laptop")
        mesh.heal()
        ours.meanwhile = 2
        theirs = mesh.device("phone").track({}, "todo")
        mesh.settle()
        assert ours == theirs == {"kept": True, "last": 1, "meanwhile": 2}


def test_what_differs_is_named(mesh):
    laptop, phone = mesh.device("laptop"), mesh.device("phone")
    ours = laptop.track({}, "todo")
    phone.track({}, "todo")
    mesh.settle()
    with ours:
        # A transaction keeps the others' changes out.
        phone.trackers[0]._replica.root.x = 1
        with pytest.raises(SyncTimeout, match="'todo' on laptop, phone"):
            mesh.settle(0.05)
    mesh.settle()


def test_a_device_is_in_one_group(mesh):
    laptop = mesh.device("laptop")
    with pytest.raises(UsageError, match="one group"):
        mesh.partition([laptop], [laptop])


def test_random_partitions_converge(mesh):
    chance = random.Random(7)
    devices = [mesh.device(f"device {number}") for number in range(4)]
    structures = [device.track({"list": [], "count": {}}, "shared") for device in devices]
    for _ in range(8):
        chance.shuffle(devices)
        cut = chance.randrange(1, 4)
        mesh.partition(devices[:cut], devices[cut:])
        for _ in range(10):
            structure = chance.choice(structures)
            with structure:
                structure.list.insert(chance.randrange(len(structure.list) + 1), chance.random())
                structure["count"][chance.randrange(5)] = chance.random()
        mesh.heal()
    mesh.settle()
    assert len({str(exact(tracker(structure).snapshot())) for structure in structures}) == 1
    assert len(structures[0].list) == 80


def test_the_fixtures_work_in_a_test_suite_of_somebody_else(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tinysync.testing"]\n')
    (tmp_path / "test_app.py").write_text(
        textwrap.dedent("""
            from pathlib import Path
            from tinysync import track

            def test_both_keep_what_they_added(tinysync_mesh):
                laptop, phone = tinysync_mesh.device("laptop"), tinysync_mesh.device("phone")
                ours, theirs = laptop.track({"tasks": []}, "todo"), phone.track({"tasks": []}, "todo")
                tinysync_mesh.partition([laptop], [phone])
                ours.tasks.append("milk")
                theirs.tasks.append("bread")
                tinysync_mesh.heal()
                tinysync_mesh.settle()
                assert ours == theirs
                assert sorted(ours.tasks) == ["bread", "milk"]

            def test_files(tinysync_folder):
                conf = track({"a": 1}, "conf")
                assert Path("conf.yaml").resolve().parent == tinysync_folder

            def test_files_of_its_own(tinysync_folder):
                assert track({"b": 2}, "conf") == {"b": 2}
        """)
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout
