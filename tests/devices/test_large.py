"""Large updates: what they take is bounded, and the program goes on meanwhile."""

from __future__ import annotations

import threading

from tests.document.encoding import TRUE, beside, element, update, values
from tests.peer.devices import DEADLINE, wait_until
from tinysync import tracker
from tinysync.crdt.portions import PORTION_PARTS, TRANSACTION_PARTS

from .by_hand import ByHand
from .device import assert_equal, synced

COUNT = 12 * PORTION_PARTS
ENORMOUS = TRANSACTION_PARTS + PORTION_PARTS


def test_a_large_transaction_is_one_on_the_other_device(device):
    laptop = device(listen="127.0.0.1:0", device="laptop")
    phone = device(connect=[laptop.peer.url], device="phone")
    ours, heard = laptop.track({"a": 0, "b": 0}), []
    theirs = phone.track({"a": 0, "b": 0}, callback=lambda change: heard.append((change, dict(theirs))))
    synced(theirs)
    with ours:
        ours["a"] = 1
        ours.update({f"key {number}": number for number in range(COUNT // 4)})
        ours["l"] = list(range(COUNT // 4))
        ours["b"] = 1
    synced(ours)
    wait_until(lambda: heard)
    ((changes, shown),) = heard
    assert {change.origin for change in changes} == {"remote"}
    assert len(changes) == 2 + COUNT // 4 + 1
    assert shown == ours == theirs


def test_the_program_s_edits_come_in_between(device):
    """Who begins to wait for the structure while a portion is shown has a turn before the next one."""
    laptop = device(listen="127.0.0.1:0", device="laptop")
    phone = device(connect=[laptop.peer.url], device="phone")
    seen: list[int] = []
    due, edited = threading.Semaphore(0), threading.Semaphore(0)
    is_over = threading.Event()

    def edit() -> None:
        while due.acquire(timeout=DEADLINE) and not is_over.is_set():
            ours["n"] += 1
            seen.append(len(ours["l"]))
            edited.release()

    start = {"l": [], "n": 0}
    ours, theirs = laptop.track(start), phone.track(start)
    synced(theirs)
    editor = threading.Thread(target=edit)
    waiting: list[int] = []

    def portion(change: object) -> None:
        if waiting:
            waiting.pop()
            assert edited.acquire(timeout=0), "the next portion came before the program got its turn"
        waiting.append(1)
        due.release()
        wait_until(lambda: tracker(ours)._replica.lock._waiting)

    tracker(ours).on("l", portion)
    with ByHand(laptop.peer.url, start=start) as client:
        client.join()
        editor.start()
        client.publish([update(element(values(*[b"\x78"] * ENORMOUS), root=f"l:{ours['l']._node.id}"))])
        client.read_until(lambda: client.session.documents.is_acknowledged("todo", 1))
    is_over.set()
    due.release()
    editor.join(DEADLINE)
    synced(ours)
    assert theirs["l"] == [True] * ENORMOUS
    assert len([length for length in seen if 0 < length < ENORMOUS]) > 1
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
        many = element(values(*[b"\x78"] * ENORMOUS), root=f"l:{ours['l']._node.id}")
        (seed,) = {identity[0] for identity in _identities(ours["m"])}
        client.publish([update(many, beside(TRUE, left=(1, 0), right=(seed, 0)))])
        told = client.last_word()
    assert (told.code, told.document) == ("bad-update", None)
    wait_until(lambda: len(ours["l"]) == ENORMOUS + 1)
    ours["n"] = 1
    assert_equal(ours)


def _identities(tracked):
    document = tracker(tracked)._replica.document
    sequence = document.sequence(tracked._node.id)
    with document.engine.reading():
        sequence.identify(document.engine)
    return [slot.identity for slot in sequence.slots]
