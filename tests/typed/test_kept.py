"""What is on disk and on other devices: other versions of the app, hand edits, devices."""

import logging
from dataclasses import dataclass, field

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync import JSON, Pickle, SQLite, UsageError, track, tracker
from tinysync.testing import Mesh

from .models import Color, Server, Settings


@dataclass
class Old:
    name: str = "x"
    main: Server = field(default_factory=Server)


def stored(folder):
    return yaml.safe_load((folder / "s.yaml").read_text())


def test_it_is_saved_and_read_again(tmp_path):
    settings = track(Old(), "s", folder=tmp_path)
    settings.main.port = 5
    assert stored(tmp_path) == {"name": "x", "main": {"host": "localhost", "port": 5}}
    tracker(settings).close()
    assert settings == Old(main=Server(port=5))
    again = track(Old(), "s", folder=tmp_path)
    assert again == Old(main=Server(port=5))
    tracker(again).close()


def test_what_a_newer_version_has_stays(tmp_path):
    newer = track({"name": "y", "main": {"host": "a", "tls": {"on": True}}, "new": [1]}, "s", folder=tmp_path)
    tracker(newer).close()
    old = track(Old(), "s", folder=tmp_path)
    old.name = "z"
    old.main = Server("b")
    assert not hasattr(old, "new")
    expected = {"name": "z", "main": {"host": "b", "port": 80, "tls": {"on": True}}, "new": [1]}
    assert tracker(old).root == stored(tmp_path) == expected
    tracker(old).close()
    newer = track({}, "s", folder=tmp_path)
    assert newer == expected
    tracker(newer).close()


def test_what_an_older_version_lacks_has_its_default(tmp_path):
    tracker(track({"name": "y", "servers": [{}]}, "s", folder=tmp_path)).close()
    new = track(Settings(size=(3, 4)), "s", folder=tmp_path)
    assert tracker(new).snapshot() == Settings(name="y", servers=[Server()], size=(3, 4))
    assert new.color is Color.RED
    assert new.servers[0].port == 80
    assert stored(tmp_path) == {"name": "y", "servers": [{}]}
    new.retry.append(3)
    new.main.port = 5
    assert stored(tmp_path)["retry"] == [1, 2, 3]
    assert stored(tmp_path)["main"] == {"host": "localhost", "port": 5}
    tracker(new).close()
    assert new == Settings(name="y", servers=[Server()], size=(3, 4), retry=[1, 2, 3], main=Server(port=5))


@dataclass
class Required:
    host: str
    port: int


def test_a_field_without_a_default_that_is_not_there(tmp_path):
    tracker(track({"a": {"host": "x"}, "host": "h"}, "s", folder=tmp_path)).close()
    view = track(Required("given", 80), "s", folder=tmp_path)
    assert (view.host, view.port) == ("h", 80)
    tracker(view).close()

    @dataclass
    class Holder:
        a: Required | None = None

    holder = track(Holder(), "s", folder=tmp_path)
    with pytest.raises(AttributeError, match=r"\['a'\]\['port'\] is not there, and Required.port has no default"):
        holder.a.port  # noqa: B018
    holder.a.port = 5
    assert holder.a == Required("x", 5)
    tracker(holder).close()


def test_a_stored_value_that_does_not_fit_is_given_as_it_is_and_reported_once(tmp_path, caplog):
    tracker(track({"name": 5, "main": "m", "color": "green", "servers": [7]}, "s", folder=tmp_path)).close()
    view = track(Settings(), "s", folder=tmp_path)
    with caplog.at_level(logging.WARNING, "tinysync"):
        assert (view.name, view.main, view.color) == (5, "m", "green")
        assert view.name == 5
    assert [record.getMessage() for record in caplog.records] == [
        "['name'] of 's' holds 5 (int), but Settings.name is str: it is given as it is",
        "['main'] of 's' holds 'm' (str), but Settings.main is Server: it is given as it is",
        "['color'] of 's' holds 'green' (str), but Settings.color is Color: it is given as it is",
    ]
    assert view.servers == [7]
    assert tracker(view).snapshot().main == "m"
    view.name = "fine"
    tracker(view).close()


def test_a_hand_edit_shows(tmp_path):
    tracker(track(Old(), "s", folder=tmp_path)).close()
    (tmp_path / "s.yaml").write_text("name: hand\nmain: {host: a, port: wrong}\n")
    view = track(Old(), "s", folder=tmp_path)
    assert view == Old("hand", Server("a", "wrong"))
    tracker(view).close()


@pytest.mark.parametrize("persist", [JSON, Pickle])
def test_other_formats(tmp_path, persist):
    view = track(Settings(), "s", folder=tmp_path, persist=persist)
    view.servers.append(Server("a"))
    tracker(view).close()
    view = track(Settings(), "s", folder=tmp_path, persist=persist)
    assert view == Settings(servers=[Server("a")])
    tracker(view).close()


def test_a_database_does_not_keep_one(tmp_path):
    with pytest.raises(UsageError, match="not kept in SQLite"):
        track(Settings(), "s", folder=tmp_path, persist=SQLite)


def test_devices():
    with Mesh() as mesh:
        one, two = mesh.device("one"), mesh.device("two")
        ours, theirs = one.track(Settings(), "s"), two.track(Settings(), "s")
        mesh.partition([one], [two])
        ours.servers.append(Server("a"))
        ours.main.port = 1
        theirs.servers.append(Server("b"))
        theirs.main.host = "h"
        main, servers = ours.main, ours.servers
        mesh.heal()
        mesh.settle()
        assert ours == theirs
        assert main == Server("h", 1)
        assert sorted(servers) == [Server("a"), Server("b")]


texts = st.text("abc", max_size=2)
servers = st.builds(Server, texts, st.integers(0, 9))
values = {
    "name": texts,
    "main": servers,
    "backup": st.none() | servers,
    "servers": st.lists(servers, max_size=3),
    "named": st.dictionaries(texts, servers, max_size=3),
    "retry": st.lists(st.integers(0, 3), max_size=4),
    "tags": st.sets(texts, max_size=3),
    "color": st.sampled_from(Color),
    "colors": st.lists(st.sampled_from(Color), max_size=3),
}
steps = st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(st.just(name), values[name]))


@settings(max_examples=many(25))
@given(st.lists(steps, max_size=6))
def test_any_assignments(tmp_path_factory, assigned):
    folder = tmp_path_factory.mktemp("typed")
    view, plain = track(Settings(), "s", folder=folder), Settings()
    for name, value in assigned:
        setattr(view, name, value)
        setattr(plain, name, value)
        assert view == plain
    tracker(view).close()
    again = track(Settings(), "s", folder=folder)
    assert again == tracker(again).snapshot() == plain
    tracker(again).close()
