"""Callbacks for a part of the structure: which changes concern which pattern."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.tracker.opened import in_memory
from tinysync.errors import UsageError
from tinysync.model import DeviceId

START = {
    "servers": {"a": {"port": 1, "name": "x"}, "b": {"port": {"tcp": 1}}, "c": {}},
    "queue": [{"done": False, "tags": {"x"}}, {"done": True}, 3],
    "users": {"admins": {"root"}},
    "0": {1: "int", "1": "text"},
    "a/b": 1,
    (1, 2): {"x": 0},
}


def hears(pattern, edit, start=START):
    """Tell how often a callback for the pattern is called for an edit; the same must be so on another device."""
    heard = []
    here = in_memory(start)
    there = in_memory(start)
    subscription = here.handle.on(pattern, lambda _: heard.append("here"))
    there.handle.on(pattern, lambda _: heard.append("there"))
    edit(here.root)
    subscription()
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    assert here.root == there.root
    assert sorted(set(heard)) in ([], ["here", "there"]), heard
    return heard.count("here")


def set_port(root):
    root.servers.a.port = 2


def put_into_port(root):
    root.servers.b.port.udp = 2


def replace_server(root):
    root.servers.a = {"port": 5, "name": "x"}


def rename_server(root):
    root.servers.a = {"port": 1, "name": "y"}


def make_server(root):
    root.servers.d = {"port": 7}


def make_portless_server(root):
    root.servers.d = {"name": "d"}


def delete_server(root):
    del root.servers["a"]


def delete_portless_server(root):
    del root.servers["c"]


def delete_all(root):
    del root["servers"]


def clear(root):
    root.clear()


@pytest.mark.parametrize(
    ("pattern", "concerned"),
    [
        (
            "servers/*/port",
            {set_port, put_into_port, replace_server, make_server, delete_server, delete_all, clear},
        ),
        ("servers/a/port", {set_port, replace_server, delete_server, delete_all, clear}),
        ("servers/b/port/tcp", {delete_all, clear}),
        ("servers/c", {delete_portless_server, delete_all, clear}),
        ("servers/d", {make_server, make_portless_server}),
        ("servers/*/name", {rename_server, make_portless_server, delete_server, delete_all, clear}),
        ("servers/*/nothing", set()),
        ("**/udp", {put_into_port}),
        ("**/tcp", {delete_all, clear}),
        ("queue", {clear}),
        ("*/*/tags", {clear}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "edit",
    [set_port, put_into_port, replace_server, rename_server, make_server, make_portless_server, delete_server,
     delete_portless_server, delete_all, clear],
)  # fmt: skip
def test_what_concerns_a_pattern(pattern, concerned, edit):
    assert hears(pattern, edit) == (edit in concerned)


@pytest.mark.parametrize(
    "pattern", ["servers", "servers/**", "servers/*", "**", "*", "", [], ["servers"], "**/**"]
)
def test_what_is_above_hears_of_everything_inside(pattern):
    assert hears(pattern, set_port) == 1
    assert hears(pattern, put_into_port) == 1


@pytest.mark.parametrize(
    ("pattern", "edit", "count"),
    [
        ("0/1", lambda root: root["0"].update({1: "x"}), 1),
        ("0/1", lambda root: root["0"].update({"1": "x"}), 1),
        (["0", 1], lambda root: root["0"].update({"1": "x"}), 0),
        (["0", 1], lambda root: root["0"].update({1: "x"}), 1),
        (["0", "1"], lambda root: root["0"].update({1: "x"}), 0),
        ([0, 1], lambda root: root["0"].update({1: "x"}), 0),
        (("a/b",), lambda root: root.update({"a/b": 2}), 1),
        ("a/b", lambda root: root.update({"a/b": 2}), 0),
        ([(1, 2), "x"], lambda root: root[1, 2].update(x=1), 1),
        ([(1, 2), "*"], lambda root: root[1, 2].update(x=1), 1),
        (["**", "x"], lambda root: root[1, 2].update(x=1), 1),
        ("users/admins", lambda root: root.users.admins.add("x"), 1),
        ("users/admins/x", lambda root: root.users.admins.add("x"), 1),
        ("users/admins/y", lambda root: root.users.admins.add("x"), 0),
        ("users/*/root", lambda root: root.users.admins.discard("root"), 1),
        ("users/*/root", lambda root: root.users.pop("admins"), 1),
        ("users/*/other", lambda root: root.users.pop("admins"), 0),
    ],
)
def test_keys_of_all_kinds(pattern, edit, count):
    assert hears(pattern, edit) == count


@pytest.mark.parametrize(
    ("pattern", "edit", "count"),
    [
        ("queue/0", lambda queue: queue[0].update(done=True), 1),
        ("queue/1", lambda queue: queue[0].update(done=True), 0),
        ("queue/*/done", lambda queue: queue[0].update(done=True), 1),
        ("queue/2", lambda queue: queue.__setitem__(2, 4), 1),
        ("queue/1", lambda queue: queue.__setitem__(2, 4), 0),
        ("queue/*", lambda queue: queue.append(5), 1),
        ("queue/3", lambda queue: queue.append(5), 1),
        ("queue/2", lambda queue: queue.append(5), 0),
        ("queue/*/done", lambda queue: queue.append(5), 0),
        ("queue/*/done", lambda queue: queue.append({"done": True}), 1),
        # What moves up or down has not changed, unless the index itself was asked for.
        ("queue/*/done", lambda queue: queue.insert(0, 5), 0),
        ("queue/0", lambda queue: queue.insert(0, 5), 1),
        ("queue/2", lambda queue: queue.insert(0, 5), 1),
        ("queue/3", lambda queue: queue.insert(0, 5), 1),
        ("queue/4", lambda queue: queue.insert(0, 5), 0),
        ("queue/2/done", lambda queue: queue.insert(0, 5), 1),
        ("queue/3/done", lambda queue: queue.insert(0, 5), 0),
        ("queue/0", lambda queue: queue.insert(1, 5), 0),
        ("queue/2", lambda queue: queue.pop(0), 1),
        ("queue/3", lambda queue: queue.pop(0), 0),
        ("queue/0/tags", lambda queue: queue.pop(0), 1),
        ("queue/1/tags", lambda queue: queue.pop(0), 0),
        ("queue/*/tags", lambda queue: queue.pop(1), 0),
        ("queue/*/tags", lambda queue: queue.pop(0), 1),
        ("queue/*", lambda queue: queue.clear(), 1),
        ("queue/**/x", lambda queue: queue.clear(), 1),
        ("queue/*/done", lambda queue: queue.extend([{"done": 1}, {"done": 2}]), 1),
        ("queue/0", lambda queue: queue.move(1, 2), 0),
        ("queue/1", lambda queue: queue.move(1, 2), 1),
        ("queue/2", lambda queue: queue.move(1, 2), 1),
        ("queue/2/done", lambda queue: queue.move(1, 2), 1),
        ("queue/1/done", lambda queue: queue.move(1, 2), 1),
        ("queue/0/tags", lambda queue: queue.move(0, 2), 1),
        ("queue/2/tags", lambda queue: queue.move(0, 2), 1),
        ("queue/1/tags", lambda queue: queue.move(2, 0), 1),
        ("queue/2/tags", lambda queue: queue.move(2, 0), 0),
        ("queue/-1", lambda queue: queue.append(5), 0),
        ("queue/x", lambda queue: queue.append(5), 0),
        ("queue/1/x", lambda queue: queue.__setitem__(slice(1, 3), [{"x": 1}, {"y": 1}]), 1),
    ],
)
def test_lists(pattern, edit, count):
    assert hears(pattern, lambda root: edit(root.queue)) == count


def test_a_list_as_root():
    assert hears("*/x", lambda root: root.append({"x": 1}), start=[]) == 1
    assert hears("0/x", lambda root: root[0].update(x=2), start=[{"x": 1}]) == 1
    assert hears("1/x", lambda root: root[0].update(x=2), start=[{"x": 1}]) == 0
    assert hears([dt.date(2026, 1, 1)], lambda root: root.add(dt.date(2026, 1, 1)), start={1}) == 1


def test_an_element_that_another_device_takes_away():
    heard = []
    here, there = in_memory({"items": [{"x": 1}, {"y": 1}]}), in_memory({"items": [{"x": 1}, {"y": 1}]})
    there.handle.on("items/*/x", heard.append)
    here.root["items"].reverse()
    here.root["items"].pop()
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    assert there.root["items"] == [{"y": 1}]
    assert [change.func_name for change in (heard[0] if isinstance(heard[0], list) else heard)] == ["__delitem__"]


def test_what_went_from_a_list_that_another_device_moved_and_emptied():
    here, there = in_memory([["x"], [2, 3]]), in_memory([["x"], [2, 3]])
    heard = []
    there.handle.on([1, 1], heard.append)
    here.root.reverse()
    here.root[0].clear()
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    assert there.root == [[], ["x"]]
    assert heard


@pytest.mark.parametrize("pattern", ["/a", "a/", "a//b", "/", 5, None, {"a"}, [["a"]], [{}], b"a"])
def test_what_is_no_pattern(pattern):
    with pytest.raises(UsageError, match="pattern"):
        in_memory({}).handle.on(pattern, print)


def test_what_is_no_callback():
    with pytest.raises(UsageError, match="callback"):
        in_memory({}).handle.on("a", 5)
    with pytest.raises(UsageError, match="callback"):
        in_memory({}).handle.on("a")


def test_a_block_is_one_call_with_what_concerns_the_pattern():
    calls = []
    root = in_memory({"a": 1, "b": {}}, callback=None).root
    root._tracker.on("b/*", calls.append)
    with root:
        root.a = 2
        root.b.x = 1
        root.b.y = 2
    with root:
        root.a = 3
        root.b.x = 5
    with root:
        root.a = 4
    assert [(change.path, change.args) for change in calls[0]] == [(["b"], ("x", 1)), (["b"], ("y", 2))]
    assert (calls[1].path, calls[1].args) == (["b"], ("x", 5))
    assert len(calls) == 2


def test_what_a_failed_block_did_concerns_nobody():
    calls = []
    root = in_memory({"a": {}}).root
    root._tracker.on("a/*", calls.append)
    with pytest.raises(KeyError), root:
        root.a.x = 1
        raise KeyError
    with root:
        with pytest.raises(KeyError), root:
            root.a.x = 1
            raise KeyError
        root.a.y = 2
    (change,) = calls
    assert change.args == ("y", 2)
