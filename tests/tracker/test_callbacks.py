from __future__ import annotations

import threading

import pytest

from tests.document.replicas import Replica
from tests.tracker.opened import assert_in_agreement, in_memory, open_in
from tinysync.errors import EndlessCallbacks, StructureClosed
from tinysync.model import DeviceId, Outcome


def test_a_change_says_what_happened_where():
    calls = []
    replica = in_memory({"servers": [{"port": 1}]}, callback=calls.append)
    conf = replica.root
    conf.servers[0].update(port=2)
    (change,) = calls
    assert change.root is conf
    assert change.name is None
    assert change.path == ["servers", 0]
    assert change.target is conf.servers[0]
    assert (change.func_name, change.args, change.kwargs) == ("update", (), {"port": 2})
    assert (change.origin, change.device) == ("local", None)


def test_a_callback_sees_the_change_on_disk(tmp_path):
    texts = []
    conf = open_in(tmp_path, {}, callback=lambda _: texts.append((tmp_path / "conf.yaml").read_text())).root
    conf.a = 1
    assert texts == ["a: 1\n"]
    conf._tracker.close()


def test_a_callback_that_fails_costs_nothing(tmp_path):
    seen = []

    def fail(change):
        raise RuntimeError("the view is gone")

    replica = open_in(tmp_path, {"a": 1}, callback=fail)
    replica.notifier.add(seen.append)
    with pytest.raises(RuntimeError, match="the view is gone"):
        replica.root.a = 2
    assert len(seen) == 1
    assert replica.root == {"a": 2}
    assert_in_agreement(replica)
    replica.close()
    again = open_in(tmp_path, {})
    assert again.root == {"a": 2}
    again.close()


def test_several_failures_are_raised_together():
    def fail(change):
        raise RuntimeError("no")

    replica = in_memory({}, callback=fail)
    replica.notifier.add(fail)
    with pytest.raises(ExceptionGroup, match="is made and saved"):
        replica.root.a = 1
    assert replica.root == {"a": 1}


def test_a_callback_may_change_the_structure():
    order = []
    replica = in_memory({"n": 0, "log": []})

    def follow(change):
        order.append((change.path, change.func_name))
        if change.path == [] and replica.root.n < 3:
            replica.root.n += 1
            replica.root.log.append(replica.root.n)

    replica.notifier.add(follow)
    replica.root.n = 1
    assert replica.root == {"n": 3, "log": [2, 3]}
    assert order == [
        ([], "__setitem__"),
        ([], "__setitem__"),
        (["log"], "append"),
        ([], "__setitem__"),
        (["log"], "append"),
    ]
    assert_in_agreement(replica)


def test_a_subscription_ends_once_and_for_all():
    seen = []
    replica = in_memory({"n": 0})
    subscription = replica.handle.on(seen.append)
    replica.root.n = 1
    assert subscription.active
    subscription()
    subscription()
    assert not subscription.active
    replica.root.n = 2
    assert len(seen) == 1
    with replica.handle.on("n", seen.append) as other:
        replica.root.n = 3
    replica.root.n = 4
    assert not other.active
    assert len(seen) == 2


def test_the_same_function_may_listen_twice():
    seen = []
    replica = in_memory({"n": 0})
    first, second = replica.handle.on(seen.append), replica.handle.on("n", seen.append)
    replica.root.n = 1
    first()
    replica.root.n = 2
    assert len(seen) == 3
    second()


def test_callbacks_come_in_the_order_of_their_subscription():
    order = []
    replica = in_memory({"n": 0}, callback=lambda _: order.append("callback="))
    replica.handle.on("n", lambda _: order.append("pattern"))
    replica.handle.on(lambda _: order.append("all"))
    replica.root.n = 1
    assert order == ["callback=", "pattern", "all"]


def test_a_callback_may_unsubscribe_itself_and_others():
    seen = []
    replica = in_memory({"n": 0})

    def once(change):
        seen.append("once")
        subscription()
        late()

    subscription = replica.handle.on("n", once)
    late = replica.handle.on("n", lambda _: seen.append("late"))
    replica.root.n = 1
    replica.root.n = 2
    assert seen == ["once"]


def test_a_callback_may_subscribe_another():
    seen = []
    replica = in_memory({"n": 0})
    first = replica.handle.on("n", lambda _: replica.handle.on("n", seen.append))
    replica.root.n = 1
    first()
    assert seen == []
    replica.root.n = 2
    assert len(seen) == 1


def test_a_callback_may_close_the_structure(tmp_path):
    seen = []
    replica = open_in(tmp_path, {"n": 0})
    replica.handle.on("n", lambda _: replica.close())
    replica.handle.on("n", seen.append)
    replica.root.n = 1
    assert len(seen) == 1
    with pytest.raises(StructureClosed):
        replica.root.n = 2
    again = open_in(tmp_path, {})
    assert again.root == {"n": 1}
    again.close()


def test_one_that_fails_silences_nobody():
    seen = []
    replica = in_memory({"n": 0})

    def fail(change):
        replica.root.log = "half way"
        raise RuntimeError("no")

    replica.handle.on("n", fail)
    replica.handle.on("n", lambda change: seen.append(change.args))
    replica.handle.on("log", lambda change: seen.append(change.args))
    with pytest.raises(RuntimeError, match="no"):
        replica.root.n = 1
    assert seen == [("n", 1), ("log", "half way")]
    assert_in_agreement(replica)


def test_a_callback_that_edits_without_an_end_is_stopped(tmp_path):
    replica = open_in(tmp_path, {"n": 0}, callback=lambda change: change.root.update(n=change.root.n + 1))
    with pytest.raises(EndlessCallbacks, match="'conf'.*1,000 rounds"):
        replica.root.n = 1
    assert 1000 <= replica.root.n <= 1002
    assert_in_agreement(replica)
    replica.close()
    again = open_in(tmp_path, {})
    assert again.root == replica.root
    again.close()


def test_callbacks_that_answer_each_other_ever_more_are_stopped():
    replica = in_memory({"n": 0})
    for _ in range(2):
        replica.handle.on("n", lambda change: change.root.update(n=0))
    with pytest.raises(EndlessCallbacks, match="20,000 times"):
        replica.root.n = 1
    assert_in_agreement(replica)


def test_a_callback_may_edit_much_as_long_as_it_ends():
    replica = in_memory({"n": 0, "copies": {}, "count": 0})

    def copy(change):
        for number in range(3000):
            replica.root.copies[str(number)] = change.args[1]

    def count(change):
        replica.root["count"] += 1

    replica.handle.on("n", copy)
    replica.handle.on("copies/*", count)
    replica.root.n = 1
    assert replica.root["count"] == 3000


def test_an_endless_callback_of_another_device_is_logged(caplog):
    here, there = in_memory({"n": 0}), in_memory({"n": 0})
    there.handle.on("n", lambda change: change.root.update(n=change.root.n + 1))
    here.root.n = 1
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    assert "keep changing it" in caplog.text
    assert_in_agreement(there)


def test_remote_changes_and_hand_edits_come_to_a_pattern_with_their_origin(tmp_path):
    seen = []
    here, there = in_memory({"servers": {"a": {}}}), open_in(tmp_path, {"servers": {"a": {}}})
    there.handle.on("servers/*/port", lambda change: seen.append((change.origin, change.device, change.args)))
    with here.root:
        here.root.servers.a.port = 1
        here.root.other = 2
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    file = tmp_path / "conf.yaml"
    file.write_text(file.read_text().replace("port: 1", "port: 80").replace("other: 2", "other: 3"))
    there.flush()
    there.root.unrelated = 1
    there.close()
    assert seen == [("remote", "here", ("port", 1)), ("file", None, ("port", 80))]
    assert there.root.other == 3


def test_what_another_device_removes_is_named_as_it_was():
    seen = []
    start = {"s": {False, 2.0}, "d": {True: 1, 3.0: 1}}
    here, there = in_memory(start), in_memory(start)
    there.handle.on(lambda changes: seen.extend(change.args[0] for change in changes))
    with here.root:
        here.root.s.clear()
        here.root.d.clear()
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    assert sorted(map(repr, seen)) == ["2.0", "3.0", "False", "True"]


def test_what_a_callback_changes_is_published_after_what_it_answers():
    device = Replica({"n": 0})
    replica, published = device.replica, device.outbox.published
    other = in_memory({"n": 0})
    replica.handle.on("n", lambda change: replica.root.update(answer=change.args[1]))
    replica.root.n = 1
    outcomes = []
    for update in published:
        other.receiver.receive([update], DeviceId("here"), lambda delivered: outcomes.append(delivered.outcome))
    assert outcomes == [Outcome.APPLIED, Outcome.APPLIED]
    assert other.root == {"n": 1, "answer": 1}


def test_threads_may_subscribe_while_others_write():
    replica = in_memory({"n": 0})
    counts = [0] * 4

    def subscribe(number):
        def note(change):
            counts[number] += 1

        for _ in range(50):
            subscriptions = [replica.handle.on("n", note), replica.handle.on(note)]
            replica.root.n = number
            for subscription in subscriptions:
                subscription()

    threads = [threading.Thread(target=subscribe, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(counts) >= 100
    assert replica.notifier.subscriptions == ()
    assert not replica.notifier
