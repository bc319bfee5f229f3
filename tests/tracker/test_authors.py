"""Who is known to write under a client id, and for what that lets a device take the credit."""

from __future__ import annotations

import json

import pytest

from tests.document.replicas import Replica
from tinysync.model import Author
from tinysync.storage import devices_file
from tinysync.storage.devices_file import DevicesFile
from tinysync.tracker import authors
from tinysync.tracker.authors import Authors, Credit, credit_of
from tinysync.tracker.known_devices import KnownDevices

LAPTOP, PHONE, DESK = Author("f1", "laptop"), Author("f2", "phone"), Author("", "desk")


def names(known):
    return {client: author.name for author, clients in known.after(0)[1].items() for client in clients}


def test_the_first_claim_counts_and_nobody_claims_what_is_ours():
    known = Authors()
    known.note_own([1], LAPTOP)
    assert known.learn(PHONE, [1, 2]) == (1, 2)
    assert known.learn(DESK, [1, 2, 3]) == (2, 3)
    assert names(known) == {1: "laptop", 2: "phone", 3: "desk"}
    assert known.others() == {2: PHONE, 3: DESK}
    # It was claimed before it was ours; that is news for those who heard the other claim, too.
    known.note_own([1, 3], LAPTOP)
    assert names(known)[3] == "laptop"
    assert known.after(3) == (4, {LAPTOP: [3]})
    assert known.learn(DESK, [3]) == (4, 4)


def test_only_news_are_told():
    known = Authors()
    told, news = known.after(0)
    assert (told, news) == (0, {})
    known.learn(PHONE, [5, 6])
    told, news = known.after(told)
    assert news == {PHONE: [5, 6]}
    known.learn(PHONE, [5])
    assert known.after(told) == (told, {})


def test_the_latest_are_kept_and_what_is_earlier_is_no_news_any_more(monkeypatch):
    monkeypatch.setattr(authors, "MAX_AUTHORS", 100)
    one, two = Authors(), Authors()
    one.note_own([7], LAPTOP)
    one.learn(PHONE, range(1000))
    one.learn(PHONE, range(2000, 2030))
    two.learn(DESK, range(500, 1000))
    assert len(names(one)) <= 126
    assert one.of(7) == Credit("laptop")
    assert one.of(2029) == Credit("phone")
    assert one.of(0) is None
    told = one.count
    assert one.after(told) == (told, {})
    one.learn(DESK, [2030])
    assert one.after(told)[1] == {DESK: [2030]}
    # Two that are full come to rest, whatever they tell each other.
    for _ in range(3):
        counts = one.count, two.count
        for giver, taker in ((one, two), (two, one)):
            for author, clients in giver.after(0)[1].items():
                taker.learn(author, clients)
    assert (one.count, two.count) == counts


def test_it_is_remembered_with_the_devices(tmp_path, monkeypatch):
    known = KnownDevices("f1", DevicesFile(tmp_path, "a session"))
    known.authors.note_own([1], LAPTOP)
    known.save()
    assert not (tmp_path / "peers").exists()  # this device's own are in its op log
    known.authors.learn(PHONE, [2, 2**52 - 1])
    known.authors.learn(DESK, [3])
    known.save()
    # Another process of the same folder has heard something else; the first claim counts.
    other = KnownDevices("f1", DevicesFile(tmp_path, "another session"))
    assert names(other.authors) == {2: "phone", 2**52 - 1: "phone", 3: "desk"}
    other.authors.learn(PHONE, [4])
    other.save()
    known.authors.learn(DESK, [4])
    known.close()
    other.close()
    assert DevicesFile(tmp_path).read().authors == {2: PHONE, 2**52 - 1: PHONE, 3: DESK, 4: PHONE}
    monkeypatch.setattr(devices_file, "MAX_AUTHORS", 2)
    file = DevicesFile(tmp_path)
    file.write([], authors={5: DESK})
    assert file.read().authors == {5: DESK, 2**52 - 1: PHONE}
    file.close()


@pytest.mark.parametrize("damage", ["x", [{}], [{"replica": "", "name": "a", "clients": "?"}], 7])
def test_a_note_that_is_damaged_is_none(tmp_path, damage, caplog):
    (tmp_path / "peers").write_text(json.dumps({"version": 1, "devices": {}, "authors": damage}))
    assert DevicesFile(tmp_path).read().authors == {}
    assert "cannot be read" in caplog.text


def test_a_record_names_the_author_or_who_brought_it():
    for credit in (Credit("phone"), Credit("phone", via=True)):
        assert credit_of(credit.meta) == credit
    assert credit_of({}) is None


# --- what is told of a delivery -----------------------------------------------------------------------------


class Told:
    """A device, what its callbacks were told, and two others of which it is known under which ids they write."""

    def __init__(self, folder=None) -> None:
        start = {"a": 1, "b": 2, "l": [1, 2]}
        self.here = Replica(start, folder)
        self.others = [Replica(start), Replica(start)]
        self.changes = []
        for other in self.others:
            other.root["mine"] = [id(other)]
        for other in self.others:
            self.here.pull(other)
            for one in self.others:
                other.pull(one)
        for author, other in zip((PHONE, DESK), self.others, strict=True):
            self.here.replica.known.authors.learn(author, other.document.own)
        self.here.replica.handle.on(
            "**", lambda told: self.changes.extend(told if isinstance(told, list) else [told])
        )

    def take(self, *updates, is_diff=False):
        """Deliver updates; return what was told of them."""
        self.changes.clear()
        self.here.outbox.shared.deliver(list(updates), "hub", lambda _: None, is_diff=is_diff)
        return [(change.func_name, change.device, change.via) for change in self.changes]

    def edit(self, other, edit):
        """Have another device edit; return the update."""
        edit(self.others[other].root)
        return self.others[other].outbox.published[-1]


def test_a_change_names_its_author():
    told = Told()
    phone = told.edit(0, lambda root: root.update(a=3))
    assert told.take(phone) == [("__setitem__", "phone", False)]
    assert told.take(told.edit(1, lambda root: root.l.append(5))) == [("insert", "desk", False)]


def test_what_nobody_is_known_to_have_written_names_who_brought_it():
    told = Told()
    told.here.replica.known.authors._known.clear()
    assert told.take(told.edit(0, lambda root: root.update(a=3))) == [("__setitem__", "hub", True)]
    assert told.take(told.edit(0, lambda root: root.l.append(5)), is_diff=True) == [("insert", "hub", True)]


def test_a_deletion_alone_does_not_say_whose_it_is():
    told = Told()
    told.take(told.edit(0, lambda root: root.update(new=1)))
    assert told.take(told.edit(0, lambda root: root.pop("new"))) == [("__delitem__", "hub", True)]

    def both(root):
        with root:
            root.a = 7
            del root.l[0]

    assert told.take(told.edit(0, both)) == [("__setitem__", "phone", False), ("__delitem__", "phone", False)]


def test_what_came_in_one_go_from_several_names_who_brought_it():
    told = Told()
    updates = [told.edit(number, lambda root, number=number: root.update({str(number): 1})) for number in (0, 1)]
    assert told.take(*updates) == [("__setitem__", "hub", True)] * 2
    updates = [told.edit(0, lambda root, number=number: root.update({"a": number})) for number in (8, 9)]
    assert told.take(*updates) == [("__setitem__", "phone", False)]


def test_what_is_caught_up_with_names_the_author_but_not_of_deletions(tmp_path):
    told = Told(tmp_path)
    other = told.others[0]
    told.edit(0, lambda root: root.update(a=3))
    diff = other.document.diff(told.here.document.state_vector())
    assert told.take(*diff, is_diff=True) == [("__setitem__", "phone", False)]
    told.edit(0, lambda root: root.update(a=4))
    told.edit(0, lambda root: root.l.pop())
    diff = other.document.diff(told.here.document.state_vector())
    assert sorted(told.take(*diff, is_diff=True)) == [
        ("__delitem__", "hub", True),
        ("__setitem__", "phone", False),
    ]
    versions = told.here.replica.handle.history()[:2]
    assert [(version.device, version.via) for version in versions] == [("hub", True), ("phone", False)]
    assert [repr(version).endswith(", via=True)") for version in versions] == [True, False]
    told.here.close()
