from __future__ import annotations

import pytest

from tinysync.errors import InvalidAddress
from tinysync.transport.addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8765", "ws://127.0.0.1:8765"),
        ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765"),
        ("ws://127.0.0.1:8765/", "ws://127.0.0.1:8765"),
        ("127.8.9.10:1", "ws://127.8.9.10:1"),
        ("[::1]:8765", "ws://[::1]:8765"),
        ("ws://[::1]:8765", "ws://[::1]:8765"),
        ("localhost:8765", "ws://127.0.0.1:8765"),
        ("LOCALHOST:8765", "ws://127.0.0.1:8765"),
    ],
)
def test_one_address_has_one_form(text, url):
    assert str(parse_address(text)) == url
    assert parse_address(url) == parse_address(text)


def test_port_0_is_for_listening():
    assert parse_address("127.0.0.1:0", listening=True) == Address("127.0.0.1", 0)
    with pytest.raises(InvalidAddress, match="port 0"):
        parse_address("127.0.0.1:0")


@pytest.mark.parametrize(
    "text",
    [
        "192.168.1.2:8765",
        "0.0.0.0:8765",
        "[::]:8765",
        "[fe80::1]:8765",
        "[::ffff:192.168.1.2]:8765",
        "example.com:8765",
        "localhost.example.com:8765",
        "2130706433:8765",
        "127.1:8765",
    ],
)
def test_other_machines_are_refused_and_it_is_said_why(text):
    with pytest.raises(InvalidAddress, match=r"without a key.*Key\.new"):
        parse_address(text, listening=True)


def test_encrypted_links_take_a_key():
    with pytest.raises(InvalidAddress, match=r"Key\.new"):
        parse_address("wss://127.0.0.1:8765")
    with pytest.raises(InvalidAddress, match="encrypted links only"):
        parse_address("ws://127.0.0.1:8765", secure=True)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8765", "wss://127.0.0.1:8765"),
        ("localhost:8765", "wss://127.0.0.1:8765"),
        ("192.168.1.2:8765", "wss://192.168.1.2:8765"),
        ("wss://[fe80::1]:8765", "wss://[fe80::1]:8765"),
        ("raspberrypi.local:8765", "wss://raspberrypi.local:8765"),
        ("NAS_2.example.com:1", "wss://nas_2.example.com:1"),
        ("xn--bcher-kva.example:8765", "wss://xn--bcher-kva.example:8765"),
    ],
)
def test_with_a_key_other_machines_can_be_reached(text, url):
    for listening in (True, False):
        assert str(parse_address(text, secure=True, listening=listening)) == url
        assert parse_address(url, secure=True) == parse_address(text, secure=True)


@pytest.mark.parametrize("text", ["0.0.0.0:8765", "[::]:8765"])
def test_all_addresses_of_this_machine_are_for_listening(text):
    assert str(parse_address(text, secure=True, listening=True)) == f"wss://{text}"
    with pytest.raises(InvalidAddress, match="other device"):
        parse_address(text, secure=True)


@pytest.mark.parametrize(
    "host", ["-x", "x-", "a..b", "b\u00fccher", "1.2.3", "127.1", "2130706433", "x" * 64, "a,b", "a b"]
)
def test_what_is_no_host_is_refused(host):
    with pytest.raises(InvalidAddress, match="no host"):
        parse_address(f"{host}:8765", secure=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8765",
        ":8765",
        "127.0.0.1",
        "ws://127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:http",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "http://127.0.0.1:8765",
        "ws://user:secret@127.0.0.1:8765",
        "ws://127.0.0.1:8765/path",
        "ws://127.0.0.1:8765?query",
        "ws://127.0.0.1:8765#fragment",
        "[::1:8765",
        "[::1%lo]:8765",
        "ws://",
        "127.0.0.1:87\u0665",
        8765,
        None,
        b"127.0.0.1:8765",
    ],
    ids=repr,
)
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(InvalidAddress, match=r"127\.0\.0\.1"):
        parse_address(text)
