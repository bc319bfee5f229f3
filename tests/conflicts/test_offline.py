"""Two devices edit offline: what each then has in its journal."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tinysync import NOTHING, UsageError, tracker


def replicas_told(pair):
    """The devices that know: the loser, and the winner if it was told before the other had given its write up."""
    return [pair.loser, pair.winner] if pair.winner is pair.first else [pair.loser]


def told(structure):
    """What a structure's journal says once all has arrived, without devices and times."""
    replica = tracker(structure)._replica
    with replica.changing():
        replica.conflicts.settle()
    return [(c.path, c.kind, c.lost, c.kept, c.lost_here) for c in tracker(structure).conflicts()]


def test_a_key_written_on_both(pair):
    a, b = pair.start({"port": 1, "host": "x"})
    a.port, b.port = 2, 3
    pair.exchange()
    lost, kept = (3, 2) if pair.winner is pair.a else (2, 3)
    for replica in replicas_told(pair):
        assert told(replica.root) == [(["port"], "value", lost, kept, replica is pair.loser)]


def test_a_new_key_on_both(pair):
    a, b = pair.start({})
    a["new"], b["new"] = "from a", "from b"
    pair.exchange()
    lost, kept = ("from b", "from a") if pair.winner is pair.a else ("from a", "from b")
    for replica in replicas_told(pair):
        assert told(replica.root) == [(["new"], "value", lost, kept, replica is pair.loser)]


def test_deep_inside_and_under_keys_of_any_type(pair):
    a, b = pair.start({"servers": [{"ports": {}}]})
    for key in (1.0, (1, "x"), None):
        a.servers[0].ports[key], b.servers[0].ports[key] = "a", "b"
    pair.exchange()
    lost, kept = ("b", "a") if pair.winner is pair.a else ("a", "b")
    for replica in replicas_told(pair):
        found = told(replica.root)
        assert sorted(map(repr, (path for path, *_ in found))) == sorted(
            repr(["servers", 0, "ports", key]) for key in (1.0, (1, "x"), None)
        )
        assert {(one[2], one[3], one[4]) for one in found} == {(lost, kept, replica is pair.loser)}


@pytest.mark.parametrize(
    "key", [Decimal("1.10"), 2.5, (Decimal("-0.3"), 0.5), Decimal("1E-3999"), 7, b"x"], ids=repr
)
def test_under_a_key_that_is_gone(pair, key):
    """Of such a key only its text is left, which says less than the key."""
    a, b = pair.start({"d": {key: 1}})
    a.d[key] = 2
    del b.d[key]
    pair.exchange()
    assert a == b
    for replica in replicas_told(pair):
        [(path, *_)] = told(replica.root)
        assert path == ["d", key]
        replica.check()


def test_only_the_last_of_several_writes_counts(pair):
    a, b = pair.start({"n": 0})
    for number in range(5):
        a.n, b.n = number, 10 + number
    pair.exchange()
    lost, kept = (14, 4) if pair.winner is pair.a else (4, 14)
    for replica in replicas_told(pair):
        assert told(replica.root) == [(["n"], "value", lost, kept, replica is pair.loser)]


@pytest.mark.parametrize("value", [7, [1, 2], {"x": [1]}, (1, 2), {1, 2}])
def test_the_same_value_on_both_is_none(pair, value):
    a, b = pair.start({"n": 0})
    a.n, b.n = value, value
    pair.exchange()
    assert told(a) == told(b) == []


def test_a_write_that_knew_of_the_other_is_none(pair):
    a, b = pair.start({"n": 0, "l": [1, 2], "d": {"x": 1}})
    for number in range(4):
        for here, there, replica, other in ((a, b, pair.a, pair.b), (b, a, pair.b, pair.a)):
            here.n = number
            here.l[0] = number
            here.d.x = [number]
            here.l.move(0, 1)
            other.pull(replica)
            assert told(there) == []
        del a.d
        pair.b.pull(pair.a)
        b.d = {"x": number}
        pair.a.pull(pair.b)
        pair.b.pull(pair.a)
    pair.exchange()
    assert told(a) == told(b) == []


def test_different_containers_under_one_key(pair):
    a, b = pair.start({"n": 0})
    a.n, b.n = [1, 2], ["x"]
    pair.exchange()
    lost, kept = (["x"], [1, 2]) if pair.winner is pair.a else ([1, 2], ["x"])
    for replica in replicas_told(pair):
        assert told(replica.root) == [(["n"], "value", lost, kept, replica is pair.loser)]


def test_a_slot_assigned_on_both(pair):
    a, b = pair.start(["x", "y", "z"])
    a[1], b[1] = "a", "b"
    b.insert(0, "new")
    pair.exchange()
    lost, kept = ("b", "a") if pair.winner is pair.a else ("a", "b")
    for replica in replicas_told(pair):
        assert told(replica.root) == [([2], "value", lost, kept, replica is pair.loser)]


def test_an_element_moved_on_both(pair):
    a, b = pair.start(["v", "w", "x", "y", "z"])
    a.move(0, 2)
    b.move(0, 4)
    result = pair.exchange()
    now = result.index("v")
    lost = 6 - now
    assert now in (2, 4)
    assert told(a) == [([now], "move", lost, now, now == 4)]
    assert told(b) == [([now], "move", lost, now, now == 2)]


def test_an_element_moved_to_the_same_place_is_none(pair):
    a, b = pair.start([1, 2, 3])
    a.move(0, 2)
    b.move(0, 2)
    pair.exchange()
    assert told(a) == told(b) == []


def test_a_move_and_an_assignment_of_one_element_go_together(pair):
    a, b = pair.start([1, 2, 3])
    a.move(0, 2)
    b[0] = 9
    pair.exchange()
    assert told(a) == told(b) == []


@pytest.mark.parametrize("replace", [None, 5, ["list"]])
def test_a_container_replaced_or_deleted_against_an_edit_inside(pair, replace):
    a, b = pair.start({"d": {"x": 1, "deep": {"y": [1]}}})
    if replace is None:
        del a.d
    else:
        a.d = replace
    b.d.x = 2
    b.d.deep.y.append(3)
    kept = NOTHING if replace is None else replace
    pair.exchange()
    assert told(b) == [(["d"], "value", {"x": 2, "deep": {"y": [1, 3]}}, kept, True)]
    assert {(tuple(path), kept_value is NOTHING, here) for path, _, _, kept_value, here in told(a)} == {
        (("d",), replace is None, False)
    }
    assert {"x": 2} in [lost for _, _, lost, _, _ in told(a)]


def test_a_container_that_is_reconciled_against_an_edit_inside_is_none(pair):
    a, b = pair.start({"d": {"x": 1, "y": 1}})
    a.d = {"x": 5, "y": 1}
    b.d.y = 2
    pair.exchange()
    assert told(a) == told(b) == []


def test_an_element_deleted_against_an_assignment(pair):
    a, b = pair.start(["x", "y", "z"])
    del a[1]
    b[1] = "b"
    pair.exchange()
    assert told(b) == [([1], "value", "b", NOTHING, True)]
    assert told(a) == []


def test_an_element_deleted_against_an_edit_inside(pair):
    a, b = pair.start([{"n": 1}, {"n": 2}])
    del a[0]
    b[0].n = 5
    pair.exchange()
    assert told(b) == [([0], "value", {"n": 5}, NOTHING, True)]


def test_removing_what_nobody_wrote_to_meanwhile_is_none(pair):
    a, b = pair.start({"d": {"x": 1}, "l": [{"y": 1}, 2]})
    b.d.x = 2
    b.l[1] = 5
    pair.exchange()
    del a.d
    del a.l[1]
    del b.l[0]
    pair.exchange()
    assert told(a) == told(b) == []


def test_a_default_that_is_deleted_against_an_edit(pair):
    a, b = pair.start({"n": 1})
    del a.n
    b.n = 2
    pair.exchange()
    lost, kept = (2, NOTHING) if pair.winner is pair.a else (NOTHING, 2)
    for replica in replicas_told(pair):
        assert told(replica.root) == [(["n"], "value", lost, kept, replica is pair.loser)]


def test_defaults_are_nobodys_write(pair):
    a, b = pair.start({"n": 1}, {"n": 2}, versions=(0, 1))
    a.setdefault("m", 1)
    b.setdefault("m", 2)
    pair.exchange()
    assert told(a) == told(b) == []


def test_a_plain_value_that_is_deleted_against_an_edit(pair):
    a, b = pair.start({}, meet=False)
    a["n"] = 1
    pair.exchange()
    del a["n"]
    b["n"] = 2
    assert pair.exchange() == {"n": 2}
    assert told(a) == [(["n"], "value", NOTHING, 2, True)]
    assert told(b) == []
    [conflict] = tracker(a).conflicts()
    conflict.restore()
    assert pair.exchange() == {}


def test_a_deleted_plain_value_that_is_written_again_by_who_knows_is_none(pair):
    a, b = pair.start({}, meet=False)
    a["n"] = 1
    pair.exchange()
    del a["n"]
    # Over a link: b is told at once.
    b_shared = pair.b.outbox.shared
    b_shared.deliver(a._tracker._replica.document.diff(pair.b.document.state_vector()), "a", lambda _: None)
    b["n"] = 2
    pair.a.receive(pair.b.outbox.published[-1:])
    assert told(a) == told(b) == []
    assert a == {"n": 2}


def test_set_elements(pair):
    a, b = pair.start({"s": {1, 2}})
    a.s.add(3)
    b.s.add(3)
    a.s.discard(1)
    b.s.discard(1)
    pair.exchange()
    assert told(a) == told(b) == []


@pytest.mark.parametrize("what", ["value", "nested", "slot", "deleted", "gone", "move", "inside"])
def test_restore(pair, what):
    a, b = pair.start({"n": 1, "l": ["x", "y", "z"], "d": {"x": {"z": 0}}})
    match what:
        case "value":
            a.n, b.n = 2, 3
        case "nested":
            a.d.x.z, b.d.x.z = 2, 3
        case "slot":
            a.l[1], b.l[1] = 2, 3
        case "deleted":
            del a.l[1]
            b.l[1] = 3
        case "gone":
            a.d = 5
            b.d.x.z = 3
        case "move":
            a.l.move(0, 1)
            b.l.move(0, 2)
        case "inside":
            del a.d.x
            b.d.x.z = 3
    pair.exchange()
    for replica in (pair.a, pair.b):
        handle = tracker(replica.root)
        told(replica.root)
        for conflict in handle.conflicts():
            if what == "move":
                element = replica.root.l[conflict.path[-1]]
            conflict.restore()
            match what:
                case "move":
                    assert replica.root.l.index(element) == conflict.lost
                case "gone" | "inside" if not conflict.lost_here:
                    assert replica.root.d.x.z == 3
                case _:
                    place = replica.root
                    for step in conflict.path:
                        place = place[step]
                    assert place == conflict.lost
            replica.check()
            assert handle.can_undo
            before = handle.snapshot()
            handle.undo()
            assert handle.snapshot() != before
            handle.redo()
            assert handle.snapshot() == before
            handle.undo()
    before = len(told(a)), len(told(b))
    result = pair.exchange()
    assert result == a
    assert (len(told(a)), len(told(b))) == before


CONTAINERS = {"dict": {"k": 0}, "list": [0], "set": {"k"}}


def write_apart(kind, ours, theirs):
    """Two writes of one place that clash, in containers of a kind."""
    match kind:
        case "dict":
            ours["k"], theirs["k"] = 1, 2
        case "list":
            ours[0], theirs[0] = 1, 2
        case "set":
            ours.discard("k")
            theirs.discard("k")
            theirs.add("k")


@pytest.mark.parametrize("now", CONTAINERS)
@pytest.mark.parametrize("kind", CONTAINERS)
def test_restoring_into_a_container_of_another_kind_is_refused(pair, kind, now):
    a, b = pair.start({"p": {"c": CONTAINERS[kind]}})
    write_apart(kind, a.p.c, b.p.c)
    pair.exchange()
    found = 0
    for replica in (pair.a, pair.b):
        told(replica.root)
        replica.root.p["c"] = None
        replica.root.p["c"] = CONTAINERS[now]
        for conflict in tracker(replica.root).conflicts():
            found += 1
            if kind == now:
                conflict.restore()
            else:
                with pytest.raises(UsageError, match=r"has no place any more.* use its \.lost"):
                    conflict.restore()
                assert replica.root == {"p": {"c": CONTAINERS[now]}}
    assert found


@pytest.mark.parametrize("now", [[{"k": 7}], {"x": 7}, 7, None])
def test_restoring_below_a_container_of_another_kind_is_refused(pair, now):
    """The key 0 of a dict is no index of the list that is there now."""
    a, b = pair.start({"p": {0: {"k": 0}}})
    a.p[0].k, b.p[0].k = 1, 2
    pair.exchange()
    told(pair.loser.root)
    [conflict] = tracker(pair.loser.root).conflicts()
    pair.loser.root["p"] = now
    if isinstance(now, dict):
        conflict.restore()
        assert pair.loser.root == {"p": {"x": 7, 0: {"k": conflict.lost}}}
    else:
        with pytest.raises(UsageError, match="has no place any more"):
            conflict.restore()
        assert pair.loser.root == {"p": now}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_restoring_into_a_container_that_is_gone(pair, kind):
    a, b = pair.start({"p": {"c": CONTAINERS[kind]}})
    write_apart(kind, a.p.c, b.p.c)
    pair.exchange()
    found = 0
    for replica in (pair.a, pair.b):
        told(replica.root)
        for conflict in tracker(replica.root).conflicts():
            if conflict.lost is NOTHING:
                continue
            found += 1
            del replica.root.p["c"]
            if kind == "list":
                with pytest.raises(UsageError, match="has no place any more"):
                    conflict.restore()
            else:
                conflict.restore()
                assert replica.root == {"p": {"c": {"k"} if kind == "set" else {"k": conflict.lost}}}
    assert found or kind == "set"
