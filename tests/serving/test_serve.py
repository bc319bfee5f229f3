"""An always-on peer: what it stores, forwards, and refuses."""

from __future__ import annotations

import logging

import pytest

from tests.devices.conftest import device, pair  # noqa: F401 - fixtures
from tests.devices.device import assert_equal, synced
from tests.peer.devices import Blobs, wait_until
from tinysync import KindMismatch, Peer, UsageError, serve, tracker

STARTS = {"todo": {"tasks": []}, "home/lights": [], "tags": set()}


@pytest.fixture
def server(tmp_path):
    """Starts an always-on peer with its folder."""
    started = []

    def start(**options):
        options = {"listen": "127.0.0.1:0", "device": "server", **options}
        serving = serve(tmp_path / "kept", Peer(**options))
        started.append(serving)
        return serving

    yield start
    for serving in started:
        stop(serving)


def stop(serving):
    serving.close()
    serving.peer.close()


def test_devices_that_never_meet_have_each_others_changes(device, server, tmp_path):  # noqa: F811
    """Neither do they meet the same run of the always-on peer."""
    serving = server()
    laptop = device(tmp_path / "laptop", connect=[serving.peer.url], device="laptop")
    todo, lights, tags = (laptop.track(start, name) for name, start in STARTS.items())
    todo.tasks.append("buy milk")
    lights.append({"kitchen": 80})
    tags.add("home")
    synced(todo, lights, tags)
    laptop.peer.close()
    assert sorted(serving.documents) == sorted(STARTS)
    stop(serving)
    assert sorted(p.name for p in (tmp_path / "kept").rglob("*.yaml")) == ["lights.yaml", "tags.yaml", "todo.yaml"]

    again = server()
    assert again.documents == {}
    phone = device(tmp_path / "phone", connect=[again.peer.url], device="phone")
    theirs = [phone.track(start, name) for name, start in STARTS.items()]
    synced(*theirs)
    assert_equal(todo, theirs[0])
    assert_equal(lights, theirs[1])
    assert_equal(tags, theirs[2])
    assert theirs[1] == [{"kitchen": 80}]


def test_what_is_on_both_sides_of_it_goes_through_at_once(device, server):  # noqa: F811
    serving = server()
    laptop, phone = (device(connect=[serving.peer.url], device=name) for name in ("laptop", "phone"))
    ours, theirs = laptop.track({}), phone.track({})
    synced(ours, theirs)
    ours["x"] = {"y": [1, 2]}
    wait_until(lambda: theirs == {"x": {"y": [1, 2]}})
    synced(ours)
    wait_until(lambda: [one.durable for one in tracker(ours).status().devices] == [True])


def test_what_was_brought_before_it_began_is_kept_too(device, tmp_path):  # noqa: F811
    with Peer(listen="127.0.0.1:0") as peer:
        laptop = device(connect=[peer.url], device="laptop")
        ours = laptop.track({})
        ours["x"] = 1
        wait_until(peer.connected_devices)
        opened = []
        with serve(tmp_path / "kept", peer, opened=opened.append) as serving:
            wait_until(lambda: serving.documents.get("todo") == {"x": 1})
            assert opened == ["todo"]
        assert not peer.closed
        ours["x"] = 2
        with serve(tmp_path / "kept", peer) as serving:
            wait_until(lambda: serving.documents.get("todo") == {"x": 2})


def test_a_hand_edit_there_reaches_the_devices(device, server, tmp_path):  # noqa: F811
    laptop = device(connect=[server().peer.url], device="laptop")
    ours = laptop.track({})
    ours["x"] = 1
    synced(ours)
    file = tmp_path / "kept" / "todo.yaml"
    wait_until(file.exists)
    file.write_text("x: 2\n")
    wait_until(lambda: ours == {"x": 2})


def test_documents_says_which_are_kept(device, server):  # noqa: F811
    serving = server(documents=["home/*", "todo"])
    laptop = device(connect=[serving.peer.url], device="laptop")
    structures = {name: laptop.track({}, name) for name in ("secret", "home/lights", "home/a/b", "todo", "todos")}
    wait_until(lambda: sorted(serving.documents) == ["home/a/b", "home/lights", "todo"])
    structures["todo"]["x"] = 1
    synced(structures["todo"])
    assert sorted(serving.documents) == ["home/a/b", "home/lights", "todo"]


def test_documents_is_for_what_a_peer_offers_too(device, tmp_path):  # noqa: F811
    laptop = device(listen="127.0.0.1:0", documents=["shared/*"])
    with pytest.raises(UsageError, match=r"shares only.*shared/\*.*'diary'"):
        laptop.track({}, "diary")
    laptop.track({}, "shared/list")
    for wrong in ("shared/*", [1], [""]):
        with pytest.raises(UsageError, match="documents="):
            Peer(documents=wrong)
    with pytest.raises(UsageError, match="folder and a Peer"):
        serve(tmp_path, "ws://127.0.0.1:1")


def test_names_that_lead_elsewhere_and_unknown_kinds_are_not_kept(device, server, tmp_path, caplog):  # noqa: F811
    serving = server()
    caplog.set_level(logging.WARNING)
    with Peer(connect=[serving.peer.url]) as stranger:
        for blobs in (Blobs("../elsewhere"), Blobs("/root/x"), Blobs("a:b"), Blobs("unheard of", kind="graph")):
            stranger.share(blobs)
        wait_until(lambda: caplog.text.count("Cannot keep the document") == 4)
    laptop = device(connect=[serving.peer.url], device="laptop")
    synced(laptop.track({}))
    wait_until(lambda: list(serving.documents) == ["todo"])
    assert {path.name for path in tmp_path.iterdir()} == {"kept"}


def test_another_kind_than_before_is_refused(device, server, caplog):  # noqa: F811
    serving = server()
    laptop = device(connect=[serving.peer.url], device="laptop")
    synced(laptop.track({}))
    laptop.peer.close()
    wait_until(lambda: "todo" in serving.documents)
    phone = device(connect=[serving.peer.url], device="phone")
    with pytest.raises(KindMismatch):
        synced(phone.track([]))
