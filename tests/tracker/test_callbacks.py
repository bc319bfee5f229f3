from __future__ import annotations

import pytest

from tests.tracker.opened import assert_in_agreement, in_memory, open_in


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
