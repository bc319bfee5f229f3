"""The page of examples/browser in headless Chromium."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.devices.device import assert_equal
from tests.peer.devices import wait_until
from tinysync import tracker

from .node import EXAMPLE, Driven, install

TOOLS = Path(__file__).parent / "browser"
CONNECT = """new Promise(r => {
    const socket = new WebSocket('%s/todo')
    socket.onopen = () => r('in')
    socket.onclose = () => r('out')
})"""


@pytest.fixture(scope="module")
def browser(base, tmp_path_factory):
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("chromium is not installed")
    driven = Driven(TOOLS / "drive.mjs", install(base, TOOLS), executable, tmp_path_factory.mktemp("profile"))
    yield driven
    driven.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture(scope="module")
def site(base):
    """The port of a web server on this machine with the page, built."""
    folder = install(base, EXAMPLE, build=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


class Page:
    def __init__(self, browser: Driven, site: int, url: str, **fields: str) -> None:
        fields = {"server": url, "name": "todo", **fields}
        self._browser = browser
        self._page = browser.call("open", f"http://localhost:{site}/#{urlencode(fields)}")
        self.reaches("in step")

    def do(self, method, *arguments):
        return self._browser.call(method, self._page, *arguments)

    def reaches(self, status):
        wait_until(lambda: self.do("text", "#status") == status)

    def field(self, *path):
        return f"input[data-path='{json.dumps(path, separators=(',', ':'))}']"

    def shows(self, *path, value):
        wait_until(lambda: self.do("values", self.field(*path)) == [json.dumps(value)])

    def write(self, *path, value):
        self.do("fill", self.field(*path), json.dumps(value))
        self.do("press", self.field(*path), "Enter")


def is_now(structure, value):
    wait_until(lambda: tracker(structure).snapshot() == value)
    assert_equal(structure)


def test_it_shows_and_edits_a_structure(device, browser, site):
    laptop = device(yjs="127.0.0.1:0", device="laptop")
    todo = laptop.track({"tasks": ["buy milk", {"done": False}], "tags": {"home"}, "<b>x</b>": 1.5})
    page = Page(browser, site, laptop.peer.yjs_url)
    page.shows("tasks", 0, value="buy milk")
    page.shows("<b>x</b>", value=1.5)
    page.write("tasks", 0, value="buy oat milk")
    page.write("tasks", 1, "done", value=True)
    is_now(todo, {"tasks": ["buy oat milk", {"done": True}], "tags": {"home"}, "<b>x</b>": 1.5})
    todo.tasks.append("call Ann")
    todo.tasks[0] = "buy bread"
    page.shows("tasks", 2, value="call Ann")
    page.shows("tasks", 0, value="buy bread")
    page.do("fill", page.field("tasks", "new value"), "from the page")
    page.do("click", f"li:has(> span > {page.field('tasks', 'new value')}) > span > button")
    page.do("click", f"li:has(> {page.field('<b>x</b>')}) > button")
    is_now(todo, {"tasks": ["buy bread", {"done": True}, "call Ann", "from the page"], "tags": {"home"}})
    tracker(todo).presence["at"] = "desk"
    wait_until(lambda: "laptop" in page.do("text", "#present"))
    assert [one.device for one in tracker(todo).presence.others] == ["a browser"]
    assert browser.call("complaints") == []


def test_edits_made_while_apart_and_two_pages(device, browser, site):
    laptop = device(yjs="127.0.0.1:0", yjs_token="a token nobody guesses")
    todo = laptop.track({"a": 1, "b": 2, "list": ["x"]})
    page, other = (Page(browser, site, laptop.peer.yjs_url, token="a token nobody guesses") for _ in range(2))
    page.do("check", "#offline", True)
    page.reaches("offline")
    page.write("a", value=10)
    page.write("list", 0, value="X")
    page.shows("a", value=10)
    todo.b = 20
    todo["list"].insert(0, "first")
    other.shows("list", 0, value="first")
    assert other.do("values", other.field("a")) == ["1"]
    page.do("check", "#offline", False)
    is_now(todo, {"a": 10, "b": 20, "list": ["first", "X"]})
    for one in (page, other):
        one.shows("a", value=10)
        one.shows("b", value=20)
        one.shows("list", 1, value="X")


def test_a_page_from_elsewhere_does_not_reach_a_peer_of_this_machine(device, browser, site):
    laptop = device(yjs="127.0.0.1:0", listen="127.0.0.1:0")
    laptop.track({})
    connect = CONNECT % laptop.peer.yjs_url
    ours = browser.call("open", f"http://localhost:{site}/page.css")
    theirs = browser.call("open", f"http://evil.test:{site}/page.css")
    assert browser.call("run", ours, connect) == "in"
    assert browser.call("run", theirs, connect) == "out"
    # Nor does it by a name of its own for this machine, or from a frame that has no origin.
    assert browser.call("run", theirs, connect.replace("127.0.0.1", "evil.test")) == "out"
    for page in (ours, theirs):
        framed = f"""new Promise(r => {{
            const frame = document.createElement('iframe')
            frame.sandbox = 'allow-scripts'
            frame.srcdoc = `<script>${{{json.dumps(connect)}}}.then(x => parent.postMessage(x, '*'))</script>`
            onmessage = ({{ data }}) => r(data)
            document.documentElement.append(frame)
        }})"""
        assert browser.call("run", page, framed) == "out"
        # The address for devices is for no page at all.
        assert browser.call("run", page, CONNECT % laptop.peer.url) == "out"
