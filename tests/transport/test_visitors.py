"""Who is let in: by origin, by token, and at which addresses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysync.errors import InvalidAddress, UsageError
from tinysync.transport.visitors import Door, TurnedAway, check_visits

TOKEN = "nobody guesses: ü"


@pytest.mark.parametrize(
    "origins",
    [
        [],
        ["http://localhost:8000"],
        ["https://localhost"],
        ["http://127.0.0.1:8000"],
        ["http://127.8.0.1"],
        ["http://[::1]:5173"],
        ["HTTP://LOCALHOST"],
    ],
)
def test_pages_and_programs_of_this_machine(origins):
    assert Door().admit("/todo", origins) == "todo"


@pytest.mark.parametrize(
    "origins",
    [
        ["https://example.org"],
        ["null"],  # a sandboxed frame, or a file; anybody can make a sandboxed frame
        ["file://"],
        [""],
        ["http://localhost.example.org"],
        ["http://127.0.0.1.example.org"],
        ["http://localhost@example.org"],
        ["http://192.168.1.5"],
        ["http://0.0.0.0"],
        ["chrome-extension://localhost"],
        ["http://[::1"],
        ["http://2130706433"],
        ["http://localhost:8000", "https://example.org"],
        ["http://localhost:8000", "http://localhost:8000"],
        ["http://localhost, https://example.org"],
    ],
)
def test_pages_of_others(origins):
    with pytest.raises(TurnedAway, match="not of this machine") as refusal:
        Door().admit("/todo", origins)
    assert refusal.value.status == 403
    # With a token it does not matter where a page is from.
    assert Door(TOKEN).admit("/todo?token=nobody+guesses%3A+%C3%BC", origins) == "todo"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?token",
        "?token=",
        "?token=x",
        "?Token=a",
        "?token=nobody+guesses%3A+%C3%BC&token=x",
        "?token=%ff",
    ],
)
def test_without_the_token(query):
    with pytest.raises(TurnedAway) as refusal:
        Door(TOKEN).admit(f"/todo{query}", ["http://localhost"])
    assert refusal.value.status in {400, 401}
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/todo", "todo"),
        ("/my%20tasks/%C3%BCber", "my tasks/über"),
        ("//x", "/x"),
        ("/a%3Fb?x=1", "a?b"),
        ("/", ""),
    ],
)
def test_the_document_is_in_the_path(target, name):
    assert Door().admit(target, []) == name


@given(st.text())
def test_any_request_is_understood_or_turned_away(target):
    for door in (Door(), Door(TOKEN)):
        with contextlib.suppress(TurnedAway):
            assert isinstance(door.admit(target, []), str)


def test_addresses():
    for place in ("127.0.0.1:0", "ws://localhost:8766", "[::1]:8766"):
        assert str(check_visits(place, None)).startswith("ws://")
    for place in ("0.0.0.0:8766", "192.168.1.5:8766", "[::]:8766"):
        with pytest.raises(InvalidAddress, match="yjs_token="):
            check_visits(place, None)
        assert str(check_visits(place, TOKEN)).startswith("ws://")
    for wrong in ("wss://127.0.0.1:8766", "127.0.0.1", "http://127.0.0.1:1", 8766):
        with pytest.raises(InvalidAddress):
            check_visits(wrong, TOKEN)
    for token in ("", "short", 5, "sixteen letters\n", b"sixteen letters!"):
        with pytest.raises(UsageError, match="yjs_token="):
            check_visits("127.0.0.1:0", token)
