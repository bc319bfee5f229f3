"""Peers with a key: who is linked, who is not, and what they say."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.group.members import GROUP, OTHER_GROUP, context, shown_by
from tinysync import InvalidAddress, InvalidKey, SyncTimeout, UsageError, pair
from tinysync.transport.backoff import LONGEST

from .devices import DEADLINE, Blobs, wait_until


@pytest.fixture
def grouped(peers, tmp_path):
    """Makes peers of a group, each with a folder of its own for its key."""

    def make(name, *documents, key=GROUP, **options):
        return peers(*documents, device=name, key=key, identity=tmp_path / name, **options)

    return make


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "tinysync" and r.levelno == logging.WARNING]


def test_devices_with_the_same_key_are_the_same(grouped, tmp_path):
    here, there = Blobs("todo"), Blobs("todo")
    laptop = grouped("laptop", here, listen="127.0.0.1:0")
    phone = grouped("phone", there, connect=[laptop.url], key=GROUP.text())
    assert laptop.url.startswith("wss://127.0.0.1:")
    assert laptop.fingerprint != phone.fingerprint
    phone.publish("todo", there.add(b"from the phone"))
    phone.wait_synced("todo", DEADLINE)
    laptop.publish("todo", here.add(b"from the laptop"))
    there.wait_for(b"from the laptop")
    assert here.contents == there.contents
    phone.close()
    tablet = grouped("phone", there, connect=[laptop.url], key=GROUP.save(tmp_path / "key"))
    assert tablet.fingerprint == phone.fingerprint
    tablet.wait_synced("todo", DEADLINE)


def test_a_link_that_was_cut_comes_back(grouped, cables):
    here, there = Blobs("todo"), Blobs("todo")
    laptop = grouped("laptop", here, listen="127.0.0.1:0")
    cable = cables(laptop.url)
    phone = grouped("phone", there, connect=[cable.url.replace("ws://", "wss://")])
    phone.wait_synced("todo", DEADLINE)
    cable.cut()
    wait_until(lambda: not phone.connected_devices())
    here.add(b"while apart")
    cable.plug_in()
    there.wait_for(b"while apart")


def test_another_group_is_named_as_the_reason_and_others_are_synced(grouped, caplog):
    ours, theirs = Blobs("todo"), Blobs("todo")
    theirs.add(b"a secret")
    friend = grouped("friend", Blobs("todo"), listen="127.0.0.1:0")
    stranger = grouped("stranger", theirs, listen="127.0.0.1:0", key=OTHER_GROUP)
    phone = grouped("phone", ours, connect=[stranger.url, friend.url])
    wait_until(lambda: "another group" in phone._links.unreached.get(stranger.url, ""))
    wait_until(lambda: any(each.opened["todo"].has_all for each in tuple(phone._connections) if each.opened))
    with pytest.raises(SyncTimeout, match="another group") as caught:
        phone.wait_synced("todo", 0.5)
    assert f"{stranger.url} (not connected)" in str(caught.value)
    assert friend.url not in str(caught.value)
    phone.publish("todo", ours.add(b"to friends"))
    wait_until(lambda: friend._documents["todo"].contents == {b"to friends"})
    assert theirs.contents == {b"a secret"}
    assert b"a secret" not in ours.contents
    said = warnings(caplog)
    assert any(f"to {stranger.url}" in text and "another group" in text for text in said)
    assert any("from 127.0.0.1" in text and "another group" in text for text in said)


def test_a_stranger_who_is_replaced_by_a_friend_is_found(grouped):
    ours, theirs = Blobs("todo"), Blobs("todo")
    stranger = grouped("stranger", listen="127.0.0.1:0", key=OTHER_GROUP)
    phone = grouped("phone", ours, connect=[stranger.url])
    wait_until(lambda: phone._links.unreached)
    place = stranger.url
    stranger.close()
    theirs.add(b"here at last")
    grouped("friend", theirs, listen=place)
    phone.wait_synced("todo", DEADLINE + LONGEST)
    assert ours.contents == {b"here at last"}
    assert not phone._links.unreached


def test_one_without_a_key(grouped, peers):
    laptop = grouped("laptop", Blobs("todo"), listen="127.0.0.1:0")
    phone = peers(Blobs("todo"), device="phone", connect=[laptop.url.replace("wss://", "ws://")])
    with pytest.raises(SyncTimeout, match="wants a key, it seems"):
        phone.wait_synced("todo", 0.5)


def test_pairing_takes_effect_on_running_peers(grouped, tmp_path):
    """Both have a list, and nobody is on it at first."""
    here, there = Blobs("todo"), Blobs("todo")
    lists = tmp_path / "laptop's", tmp_path / "phone's"
    laptop = grouped("laptop", here, listen="127.0.0.1:0", allow=lists[0])
    phone = grouped("phone", there, connect=[laptop.url], allow=lists[1])
    with pytest.raises(SyncTimeout, match=f"pair.*{laptop.fingerprint}"):
        phone.wait_synced("todo", 0.5)
    pair(laptop.fingerprint, "laptop", lists[1])
    wait_until(lambda: f"pair {phone.fingerprint}" in "".join(phone._links.unreached.values()))
    pair(phone.fingerprint, "phone", lists[0])
    phone.wait_synced("todo", DEADLINE)
    assert laptop.connected_devices() == ["phone"]


@pytest.mark.parametrize("how", ["removed", "deleted", "damaged"])
def test_who_is_taken_off_the_list_is_unlinked(grouped, tmp_path, how):
    here, there = Blobs("todo"), Blobs("todo")
    allowed = tmp_path / "allowed"
    laptop = grouped("laptop", here, listen="127.0.0.1:0", allow=allowed)
    phone = grouped("phone", there, connect=[laptop.url])
    pair(phone.fingerprint, "phone", allowed)
    phone.wait_synced("todo", DEADLINE)
    pair(laptop.fingerprint, "itself", allowed)
    if how == "removed":
        lines = allowed.read_text().splitlines(keepends=True)
        allowed.write_text("".join(line for line in lines if phone.fingerprint not in line))
    elif how == "deleted":
        allowed.unlink()
    else:
        allowed.write_text("not a fingerprint")
    wait_until(lambda: not laptop.connected_devices())
    phone.publish("todo", there.add(b"too late"))
    why = "cannot be read" if how == "damaged" else f"pair {phone.fingerprint}"
    wait_until(lambda: why in "".join(phone._links.unreached.values()) or how == "damaged")
    assert here.contents == set()
    allowed.unlink(missing_ok=True)
    pair(phone.fingerprint, "phone", allowed)
    phone.wait_synced("todo", DEADLINE)
    assert here.contents == {b"too late"}


def test_what_a_key_changes_about_addresses(grouped, peers, tmp_path):
    with pytest.raises(InvalidAddress, match=r"without a key.*Key\.new"):
        peers(listen="0.0.0.0:0")
    with pytest.raises(InvalidAddress, match=r"Key\.new"):
        peers(connect=["wss://127.0.0.1:1"])
    with pytest.raises(InvalidAddress, match="encrypted links only"):
        grouped("x", connect=["ws://127.0.0.1:1"])
    phone = grouped("phone", connect=["raspberrypi.invalid:8765", "wss://[::1]:1"])
    with pytest.raises(InvalidAddress, match="encrypted links only"):
        phone.connect("ws://127.0.0.1:1")
    phone.connect("127.0.0.1:1")
    assert phone.url is None


def test_a_bad_key_is_noticed_before_anything_begins(peers, tmp_path):
    (tmp_path / "key").write_text("something else")
    (tmp_path / "key").chmod(0o600)
    for key, error in (
        (tmp_path / "key", InvalidKey),
        (tmp_path / "none", UsageError),
        ("tinysync-key-", InvalidKey),
    ):
        with pytest.raises(error):
            peers(key=key, identity=tmp_path, listen="127.0.0.1:0")
    assert not (tmp_path / "device.pem").exists()


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.soak)])
def test_good_peers_work_on_while_many_are_refused(grouped, count, caplog):
    """Every edit arrives while strangers knock, and no link is lost."""
    here, there = Blobs("todo"), Blobs("todo")
    laptop = grouped("laptop", here, listen="127.0.0.1:0")
    phone = grouped("phone", there, connect=[laptop.url])
    phone.wait_synced("todo", DEADLINE)
    cuts = here.cuts, there.cuts
    stranger = context(shown=shown_by(OTHER_GROUP))
    port = int(laptop.url.rpartition(":")[2])

    async def knock(numbers):
        refused = 0
        for _ in numbers:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=stranger, server_hostname="")
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                assert await reader.read() == b""
                writer.close()
            except OSError:
                pass
            refused += 1
        return refused

    async def flood():
        numbers = iter(range(count))
        return sum(await asyncio.gather(*[knock(numbers) for _ in range(8)]))

    async def work():
        refusing = asyncio.ensure_future(flood())
        number = 0
        while not refusing.done():
            phone.publish("todo", there.add(b"%d" % number))
            await asyncio.to_thread(here.wait_for, b"%d" % number)
            number += 1
        return await refusing, number

    refused, edits = asyncio.run(work())
    assert refused == count
    assert edits >= 3
    assert (here.cuts, there.cuts) == cuts
    assert len(warnings(caplog)) <= 3
