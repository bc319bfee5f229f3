"""A typed view is an instance of its dataclass, for all that one does with these."""

import asyncio
import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from tinysync import track, tracker

from .models import Color, Point, Server, Settings, Special, Tree


@pytest.fixture
def view():
    return track(Settings(named={"web": Server("w")}, servers=[Server("a"), Server("b", 8)]), persist=False)


def test_it_is_an_instance_and_equal_to_a_plain_one(view):
    plain = Settings(named={"web": Server("w")}, servers=[Server("a"), Server("b", 8)])
    assert isinstance(view, Settings)
    assert isinstance(view.main, Server)
    assert view == plain
    assert plain == view
    assert repr(view) == repr(plain)
    assert asdict(view) == asdict(plain)
    assert view.servers == plain.servers
    assert plain.servers == view.servers
    assert view.named == plain.named
    assert view.servers[0] < view.servers[1]
    match view:
        case Settings(name=name, main=Server("localhost")):
            assert name == "x"
        case _:
            pytest.fail("does not match")


def test_copies_are_plain_instances(view):
    for made in (
        copy.copy(view),
        copy.deepcopy(view),
        pickle.loads(pickle.dumps(view)),
        tracker(view).snapshot(),
        replace(view),
        view.__subject__,
    ):
        assert type(made) is Settings
        assert made == view
    plain = tracker(view).snapshot()
    assert (type(plain.main), type(plain.servers), type(plain.servers[0])) == (Server, list, Server)
    assert (type(plain.retry), type(plain.named["web"])) == (list, Server)
    view.main.port = 1
    assert plain.main.port == 80


def test_methods_properties_and_class_constants_work(view):
    assert view.main.url == "http://localhost:80"
    view.main.url = "http://example.org:8080"
    assert tracker(view).root["main"] == {"host": "example.org", "port": 8080}


def test_views_are_the_same_as_long_as_somebody_has_them(view):
    assert view.main is view.main
    assert view.servers is view.servers
    assert view.servers[1] is view.servers[1]
    assert tracker(view.main) is tracker(view.servers) is tracker(view)


def test_only_fields_can_be_set_and_nothing_deleted(view):
    with pytest.raises(AttributeError, match="no field 'nme'"):
        view.nme = "x"
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del view.name
    with pytest.raises(TypeError, match="unhashable"):
        hash(view)


def test_a_list_of_instances_is_a_list(view):
    plain = [Server("a"), Server("b", 8)]
    servers = view.servers
    assert isinstance(servers, list)
    for change in (
        lambda it: it.append(Server("c")),
        lambda it: it.insert(0, Server("d")),
        lambda it: it.extend([Server("e"), Server("f")]),
        lambda it: it.sort(key=lambda server: server.host),
        lambda it: it.sort(reverse=True),
        lambda it: it.reverse(),
        lambda it: it.pop(1),
        lambda it: it.remove(Server("a")),
        lambda it: it.__setitem__(slice(0, 2), [Server("g")]),
        lambda it: it.__setitem__(0, Server("h")),
        lambda it: it.__delitem__(-1),
        lambda it: it.__iadd__([Server("i")]),
        lambda it: it.index(Server("h")),
        lambda it: it.count(Server("h")),
        lambda it: Server("h") in it,
        lambda it: [Server("z")] + it,  # noqa: RUF005 - that is what is tested
        lambda it: it + [Server("z")],  # noqa: RUF005
        lambda it: it * 2,
        lambda it: it[0:2],
        lambda it: list(reversed(it)),
        lambda it: it.copy(),
        lambda it: it.clear(),
    ):
        assert change(servers) == change(plain)
        assert servers == plain
        assert len(servers) == len(plain)
        assert repr(servers) == repr(plain)
        assert tracker(view).root["servers"] == [asdict(one) for one in plain]
    view.servers += [Server("j")]
    servers[0].port = 5
    servers.append(Server("k"))
    servers.move(1, 0)
    assert view.servers == [Server("k"), Server("j", 5)]


def test_a_dict_of_instances_is_a_dict(view):
    plain = {"web": Server("w")}
    named = view.named
    assert isinstance(named, dict)
    for change in (
        lambda it: it.__setitem__("a", Server("a")),
        lambda it: it.update({"b": Server("b")}, c=Server("c")),
        lambda it: it.__ior__({"d": Server("d")}),
        lambda it: it.setdefault("a", Server("z")),
        lambda it: it.setdefault("e", Server("z")),
        lambda it: it.get("f"),
        lambda it: it.get("a"),
        lambda it: it.pop("a"),
        lambda it: it.pop("a", None),
        lambda it: it.popitem(),
        lambda it: sorted(it.keys()),
        lambda it: list(it.values()),
        lambda it: list(it.items()),
        lambda it: list(reversed(it)),
        lambda it: "b" in it,
        lambda it: it | {"x": Server()},
        lambda it: {"x": Server()} | it,
        lambda it: it.__delitem__("b"),
        lambda it: it.copy(),
        lambda it: it.clear(),
    ):
        assert change(named) == change(plain)
        assert named == plain
        assert repr(named) == repr(plain)
    with pytest.raises(KeyError):
        named.pop("a")


def test_enum_members_are_stored_by_value(view):
    view.color = Color.BLUE
    view.colors.append(Color.RED)
    assert tracker(view).root["color"] == "blue"
    assert tracker(view).root["colors"] == ["red"]
    assert view.color is Color.BLUE
    assert view.colors == [Color.RED]
    assert tracker(view).snapshot().colors == [Color.RED]


def test_a_transaction_is_all_or_nothing():
    heard = []
    view = track(Settings(), persist=False, callback=heard.append)
    with view:
        view.name = "y"
        view.main.port = 1
    (changes,) = heard
    assert [(change.path, change.func_name, change.args) for change in changes] == [
        ([], "__setitem__", ("name", "y")),
        (["main"], "__setitem__", ("port", 1)),
    ]
    assert changes[0].root is tracker(view).root
    with pytest.raises(ZeroDivisionError), tracker(view):
        view.name = "z"
        raise ZeroDivisionError
    assert view.name == "y"

    async def main():
        async with view:
            view.name = "a"
        async with tracker(view):
            view.name += "b"

    asyncio.run(main())
    assert view.name == "ab"
    tracker(view).undo()
    assert view.name == "a"


def test_kinds_of_dataclasses():
    view = track(Special(start=3), persist=False)
    assert tracker(view).root == {"first": 1, "_hidden": "h", "point": {"x": 0, "y": 0}, "computed": 6}
    view._hidden = "i"
    view.computed = 7
    with pytest.raises(FrozenInstanceError):
        view.point.x = 1
    with pytest.raises(AttributeError):
        view.not_a_field  # noqa: B018 - set by __post_init__, which views do not run
    old = view.point
    view.point = replace(view.point, x=1)
    assert view.point == old == Point(1, 0)
    assert isinstance(dataclasses.fields(view), tuple)
    point = track(Point(3), persist=False)
    tracker(point).root["x"] = 4
    assert point == Point(4)


def test_a_dataclass_that_contains_itself():
    tree = track(Tree("root"), persist=False)
    tree.children.append(Tree("child", [Tree("grandchild")]))
    tree.children[0].children[0].name = "grandson"
    assert tree == Tree("root", [Tree("child", [Tree("grandson")])])
    with pytest.raises(TypeError, match=r"\['children'\]\[0\]\['name'\] must be str, not 5"):
        tree.children[0].name = 5


def test_a_part_that_was_taken_out_goes_on_by_itself():
    view = track(Settings(backup=Server("b")), persist=False)
    backup = view.backup
    view.backup = None
    backup.port = 5
    assert backup == Server("b", 5)
    assert view.backup is None
    tree = track(Tree("root", [Tree("child")]), persist=False)
    child = tree.children[0]
    del tree.children[0]
    child.children = [Tree("grandchild")]
    assert child == Tree("child", [Tree("grandchild")])
