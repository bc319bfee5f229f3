"""Clients in Node.js, with the npm packages yjs and y-websocket, are full replicas."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
from decimal import Decimal
from uuid import UUID

import pytest

from tests.devices.device import assert_equal, synced
from tests.peer.devices import DEADLINE, wait_until
from tinysync import tracker

from .node import EXAMPLE

README = EXAMPLE.parents[1] / "README.md"


def is_now(structure, value):
    wait_until(lambda: tracker(structure).snapshot() == value)
    assert_equal(structure)


def test_both_directions(device, node):
    laptop = device(yjs="127.0.0.1:0", device="laptop")
    todo = laptop.track({"tasks": [], "done": {}})
    page = node().open(laptop.peer.yjs_url).synced()
    page.shows({"done": {}, "tasks": []})
    page.write("push", ["tasks"], "buy milk")
    is_now(todo, {"tasks": ["buy milk"], "done": {}})
    todo.done.ann = {"at": 12}
    page.shows({"done": {"ann": {"at": 12}}, "tasks": ["buy milk"]})
    page.write("set", ["done", "ann", "at"], 13)
    page.write("set", ["tasks", 0], "buy oat milk")
    is_now(todo, {"tasks": ["buy oat milk"], "done": {"ann": {"at": 13}}})


def test_edits_made_while_apart(device, node):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"tasks": ["a", "b", "c"], "by": {"x": 1, "y": 2}})
    page = node().open(laptop.peer.yjs_url).synced()
    page.call("offline")
    page.write("set", ["tasks", 1], "B")
    page.write("push", ["tasks"], "d")
    page.write("set", ["by", "x"], 10)
    page.write("set", ["new"], {"nested": [[1], {"deep": None}]})
    todo.tasks.insert(0, "first")
    del todo.tasks[3]
    todo.by.y = 20
    page.call("online")
    is_now(
        todo,
        {
            "tasks": ["first", "a", "B", "d"],
            "by": {"x": 10, "y": 20},
            "new": {"nested": [[1], {"deep": None}]},
        },
    )
    page.shows(
        {"by": {"x": 10, "y": 20}, "new": {"nested": [[1], {"deep": None}]}, "tasks": ["first", "a", "B", "d"]}
    )


VALUES = [
    None, True, False, 0, -1, 2**31, -(2**53), 2**53, 2**64, -(10**30), 0.5, 1.0, -0.0, 1e300, float("inf"), 0.1,
    "", "käse 🧀", "~", b"", b"\0\xff", (), (1, "a", (2.0, None)), frozenset({1, "b"}), dt.date(2026, 5, 1),
    dt.time(12, 30), dt.datetime.fromisoformat("2026-05-01T12:30:00.000005"),
    dt.datetime(2026, 5, 1, tzinfo=dt.UTC), dt.timedelta(days=-1, microseconds=7), Decimal("1.50"), UUID(int=5),
    1 + 2j,
]  # fmt: skip
KEYS = ["", "a/b", "~x", "__proto__", 0, 80, -5, 0.5, -0.25, 2**60, None, (1, "a"), dt.date(2026, 5, 1)]


def exact(value):
    """Tell 1 from 1.0, which JavaScript cannot."""
    return value if type(value) is not float or not value.is_integer() or abs(value) > 2**53 else int(value)


def test_every_value_arrives_in_both_directions(device, node):
    laptop = device(yjs="127.0.0.1:0")
    ours = laptop.track({"python": list(VALUES), "keys": {}})
    page = node().open(laptop.peer.yjs_url).synced()
    arrived = page.value["python"]
    assert [repr(value) for value in arrived] == [
        repr(exact(value) if not isinstance(value, tuple) else (1, "a", (2, None)) if value else ())
        for value in VALUES
    ]
    page.write("set", ["node"], list(VALUES))
    wait_until(lambda: "node" in ours)
    assert list(map(repr, ours.node)) == list(map(repr, VALUES))
    for n, key in enumerate(KEYS):
        page.write("set", ["keys", key], n)
    wait_until(lambda: len(ours["keys"]) == len(KEYS))
    assert tracker(ours).snapshot()["keys"] == {key: n for n, key in enumerate(KEYS)}
    assert list(map(type, sorted(ours["keys"], key=KEYS.index))) == list(map(type, KEYS))
    ours["keys"][80] = {"port": 1}
    wait_until(lambda: page.value["keys"][80] == {"port": 1})
    assert page.value["keys"].keys() == set(KEYS)
    page.write("set", ["keys", 80, "port"], 2)
    wait_until(lambda: ours["keys"][80] == {"port": 2})
    page.write("delete", ["keys", 80])
    wait_until(lambda: 80 not in ours["keys"])
    assert_equal(ours)


def test_lists(device, node):
    laptop = device(yjs="127.0.0.1:0")
    ours = laptop.track({"list": list("abcdef")})
    page = node().open(laptop.peer.yjs_url).synced()
    ours["list"].move(0, 4)
    ours["list"].move(5, 1)
    ours["list"][2] = "B"
    page.shows({"list": list(ours["list"])})
    here = list(ours["list"])
    for call, args in (
        ("move", (0, 3)),
        ("move", (-1, 0)),
        ("move", (2, 2)),
        ("move", (1, 2)),
        ("insert", (2, "x", "y")),
        ("insert", (-1, {"z": [1]})),
        ("set", (3, "assigned")),
        ("delete", (2,)),
        ("delete", (0,)),
        ("move", (4, 1)),
    ):
        if call in ("set", "delete"):
            page.write(call, ["list", args[0]], *args[1:])
        else:
            page.write(call, ["list"], *args)
        match call:
            case "move":
                here.insert(args[1], here.pop(args[0]))
            case "insert":
                here[args[0] : args[0]] = args[1:]
            case "set":
                here[args[0]] = args[1]
            case "delete":
                del here[args[0]]
        is_now(ours, {"list": here})
    page.shows({"list": here})
    ours["list"].sort(key=str)
    page.shows({"list": list(ours["list"])})


def test_sets_and_dicts(device, node):
    laptop = device(yjs="127.0.0.1:0")
    ours = laptop.track({"set": {"a", 1}, "default": 1, "list": [{"a": 1}]})
    page = node().open(laptop.peer.yjs_url).synced()
    page.write("add", ["set"], "b")
    page.write("add", ["set"], 2.5)
    page.write("discard", ["set"], "a")
    page.write("discard", ["set"], "never")
    is_now(ours, {"set": {1, "b", 2.5}, "default": 1, "list": [{"a": 1}]})
    page.write("delete", ["default"])
    is_now(ours, {"set": {1, "b", 2.5}, "list": [{"a": 1}]})
    # A container that is replaced or deleted and comes back is a new one.
    page.write("set", ["set"], 5)
    page.write("set", ["set"], {"x"})
    is_now(ours, {"set": {"x"}, "list": [{"a": 1}]})
    page.write("set", ["d"], {"old": {"inner": 1}})
    page.write("delete", ["d"])
    page.write("set", ["d"], {"new": 1})
    is_now(ours, {"set": {"x"}, "list": [{"a": 1}], "d": {"new": 1}})
    # Assigning a container of the same kind changes what differs.
    inner = ours["list"][0]
    page.write("set", ["list"], [{"a": 2, "b": {3}}, "more"])
    is_now(ours, {"set": {"x"}, "list": [{"a": 2, "b": {3}}, "more"], "d": {"new": 1}})
    assert ours["list"][0] is not inner  # its length has changed
    page.write("set", ["list"], [{"a": 4, "b": {3}}, "less"])
    is_now(ours, {"set": {"x"}, "list": [{"a": 4, "b": {3}}, "less"], "d": {"new": 1}})
    page.write("set", [], {"all": "new"})
    is_now(ours, {"all": "new"})
    page.shows({"all": "new"})


def test_roots_of_other_kinds_and_one_transaction(device, node):
    laptop = device(yjs="127.0.0.1:0")
    tasks, tags = laptop.track(["a"], "my tasks/über"), laptop.track(set(), "tags")
    changes: list = []
    tracker(tasks).on("**", changes.append)
    one = node().open(laptop.peer.yjs_url, "my tasks/über").synced()
    other = node().open(laptop.peer.yjs_url, "tags").synced()
    one.call("all", [["push", [], "b"], ["set", [0], "A"], ["push", [], {"c": []}]])
    other.write("add", [], "x")
    is_now(tasks, ["A", "b", {"c": []}])
    is_now(tags, {"x"})
    assert len(changes) == 1


def test_a_list_that_an_app_starts_with_stays_when_it_is_edited(device, node):
    laptop = device(yjs="127.0.0.1:0")
    old = laptop.track({"list": ["old", {"in": 1}]}, version=1)
    page = node().open(laptop.peer.yjs_url).synced()
    page.write("set", ["list", 1, "in"], 2)
    is_now(old, {"list": ["old", {"in": 2}]})
    phone = device(listen="127.0.0.1:0")
    new = phone.track({"list": ["new"]}, version=2)
    laptop.peer.connect(phone.peer.url)
    synced(old, new)
    is_now(new, {"list": ["old", {"in": 2}]})
    page.shows({"list": ["old", {"in": 2}]})


def test_clients_see_each_other_and_other_devices_in_any_topology(device, node):
    hub = device(listen="127.0.0.1:0", yjs="127.0.0.1:0", device="hub")
    phone = device(connect=[hub.peer.url], yjs="127.0.0.1:0", device="phone")
    between, ours = hub.track({}), phone.track({})
    one, other = node().open(hub.peer.yjs_url).synced(), node().open(phone.peer.yjs_url).synced()
    one.write("set", ["one"], 1)
    other.write("set", ["other"], 2)
    for copy in (one, other):
        copy.shows({"one": 1, "other": 2})
    is_now(between, {"one": 1, "other": 2})
    is_now(ours, {"one": 1, "other": 2})
    one.call("show", {"device": "page", "cursor": 3})
    wait_until(
        lambda: (
            [(p.device, p.state) for p in tracker(ours).presence.others if p.state] == [("page", {"cursor": 3})]
        )
    )
    tracker(ours).presence["at"] = 5
    wait_until(lambda: {"device": "phone", "at": 5} in one.call("present"))
    wait_until(lambda: {"device": "phone", "at": 5} in other.call("present"))
    one.close()
    wait_until(lambda: not any(p.state for p in tracker(ours).presence.others))


def test_who_writes_something_else_is_told_so_and_changes_nothing(device, node):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"a": 1})
    for wrong in ("nested", "foreign"):
        page = node().open(laptop.peer.yjs_url).synced()
        page.call(wrong)
        wait_until(lambda page=page: any("bad-update" in text for text in page.call("denials")))
        page.close()
    is_now(todo, {"a": 1})
    fine = node().open(laptop.peer.yjs_url).synced()
    fine.write("set", ["a"], 2)
    is_now(todo, {"a": 2})


def test_what_cannot_be_held_is_refused_and_changes_nothing(device, node):
    laptop = device(yjs="127.0.0.1:0")
    todo = laptop.track({"list": [1], "set": {1}})
    page = node().open(laptop.peer.yjs_url).synced()
    deep: list = []
    for _ in range(100):
        deep = [deep]
    wrong = [
        ("set", ["x"], ...),
        ("set", ["x"], {"a": [1, ...]}),
        ("set", ["x"], "\ud800"),
        ("set", ["\ud800"], 1),
        ("set", ["x"], deep),
        ("set", [], [1]),
        ("set", ["set", 0], 1),
        ("set", ["list", 1], 1),
        ("set", ["nowhere", "x"], 1),
        ("push", ["set"], 1),
        ("add", ["list"], 1),
        ("add", ["set"], [1]),
        ("add", ["set"], Decimal(1)),
        ("set", [float("nan")], 1),
        ("delete", []),
        ("delete", ["x"]),
        ("move", ["list"], 0, 1),
    ]
    for method, *arguments in wrong:
        with pytest.raises(AssertionError, match="Error"):
            page.write(method, *arguments)
    page.write("set", ["fine"], 1)
    is_now(todo, {"list": [1], "set": {1}, "fine": 1})


def test_nobody_waits_for_clients(device, node):
    laptop = device(listen="127.0.0.1:0", yjs="127.0.0.1:0", device="laptop")
    phone = device(connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track({}), phone.track({})
    node().open(laptop.peer.yjs_url).synced()
    ours.x = 1
    synced(ours, theirs)
    assert laptop.peer.connected_devices() == ["phone"]
    assert [one.name for one in laptop.peer.status().devices] == ["phone"]


def test_a_structure_that_comes_and_goes(device, node):
    laptop = device(yjs="127.0.0.1:0")
    page = node().open(laptop.peer.yjs_url)
    todo = laptop.track({"a": 1})
    page.synced()
    page.shows({"a": 1})
    tracker(todo).close()
    wait_until(lambda: not page.call("isSynced"))
    page.write("set", ["b"], 2)
    again = laptop.track({"b": 3})
    is_now(again, {"a": 1, "b": 2})


def test_the_example_of_the_readme(device, example):
    laptop = device(yjs="127.0.0.1:0")
    board = laptop.track({"tasks": ["buy milk"]}, "board")
    (program,) = re.findall(r"^```js\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert "ws://127.0.0.1:8766" in program
    script = example / "readme.js"
    script.write_text(program.replace("ws://127.0.0.1:8766", laptop.peer.yjs_url))
    # The flag is for Node.js 20, which has the WebSocket of browsers only behind it.
    with subprocess.Popen(["node", "--experimental-websocket", "--no-warnings", script], text=True) as process:
        try:
            is_now(board, {"tasks": ["buy milk", "call Ann"]})
        finally:
            process.kill()


def test_the_script(device, example):
    laptop = device(yjs="127.0.0.1:0", yjs_token="a token nobody guesses")
    todo = laptop.track({"tasks": ["a"]})

    def run(*arguments):
        return subprocess.run(
            ["node", "node.js", laptop.peer.yjs_url, "todo", *arguments],
            cwd=example,
            env={**os.environ, "TINYSYNC_YJS_TOKEN": "a token nobody guesses"},
            timeout=DEADLINE,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.strip()

    run("set", "tasks/0", '{"b": 1}')
    assert run("push", "tasks", "null") == "{ tasks: [ { b: 1 }, null ] }"
    is_now(todo, {"tasks": [{"b": 1}, None]})
    run("delete", "tasks/0/b")
    is_now(todo, {"tasks": [{}, None]})
