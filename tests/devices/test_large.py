"""Large updates: what they take is bounded, and the program goes on meanwhile."""

from __future__ import annotations

import threading

from tests.document.encoding import TRUE, beside, element, update, values
from tests.peer.devices import DEADLINE, wait_until
from tinysync import tracker
from tinysync.crdt.portions import PORTION_PARTS

from .by_hand import ByHand
from .device import assert_equal, synced

COUNT = 12 * PORTION_PARTS


def test_the_program_s_edits_come_in_between(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    phone = device(connect=[laptop.peer.url], device="phone")
    ours, theirs = laptop.track({"l": [], "n": 0}), phone.track({"l": [], "n": 0})
    synced(theirs)
    seen = []

    def edit() -> None:
        while len(seen) < 2 or seen[-1] < COUNT:
            ours["n"] += 1
            seen.append(len(ours["l"]))

    with ByHand(laptop.peer.url, start={"l": [], "n": 0}) as client:
        client.join()
        editor = threading.Thread(target=edit)
        editor.start()
        client.publish([update(element(values(*[b"\x78"] * COUNT), root=f"l:{ours['l']._node.id}"))])
        client.read_until(lambda: client.session.documents.is_acknowledged("todo", 1))
        editor.join(DEADLINE)
    synced(ours)
    assert theirs["l"] == [True] * COUNT
    assert_equal(ours, theirs)


def test_a_large_document_comes_to_a_new_device(device):
    laptop, phone = device(listen="127.0.0.1:0", device="laptop"), device(device="phone")
    start = {f"key {number}": number for number in range(COUNT // 2)}
    ours = laptop.track({})
    with ours:
        ours.update(start)
        ours["l"] = list(range(COUNT))
        ours["l"].move(0, 10)
    theirs = phone.track({})
    phone.peer.connect(laptop.peer.url)
    wait_until(lambda: len(theirs) > len(start))
    synced(theirs)
    assert_equal(ours, theirs)


def test_a_portion_that_is_refused_ends_the_link_and_keeps_those_before_it(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    ours = laptop.track({"l": [1], "m": [2]})
    with ByHand(laptop.peer.url, start={"l": [1], "m": [2]}) as client:
        client.join()
        many = element(values(*[b"\x78"] * 3 * PORTION_PARTS), root=f"l:{ours['l']._node.id}")
        (seed,) = {identity[0] for identity in _identities(ours["m"])}
        client.publish([update(many, beside(TRUE, left=(1, 0), right=(seed, 0)))])
        told = client.last_word()
    assert (told.code, told.document) == ("bad-update", None)
    wait_until(lambda: len(ours["l"]) == 3 * PORTION_PARTS + 1)
    ours["n"] = 1
    assert_equal(ours)


def _identities(tracked):
    document = tracker(tracked)._replica.document
    sequence = document.sequence(tracked._node.id)
    with document.engine.reading():
        sequence.identify(document.engine)
    return [slot.identity for slot in sequence.slots]
