"""A transaction that fails leaves no trace, wherever it fails: live structure, document, disk, peers, callbacks.

What happens when the disk refuses it is in ``tests/document/test_exchange.py``.
"""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.document.replicas import Replica, same, settle
from tests.tracker.opened import exact
from tinysync.errors import UnsupportedValue, UsageError

START = {"a": {"x": 1, "deep": {"y": [1, {"z": 1}]}}, "l": [1, [2], {"k": "v"}], "s": {1, "x"}, "gone": {"k": [5]}}


def edit_much(root):
    root.a.x = 2
    root.a.deep.y[1].z = 2
    root.a = {"x": 3, "deep": {"y": []}}
    root.l.reverse()
    root.l.move(0, 2)
    root.l[1] = "assigned"
    root.l.insert(0, {"new": {}})
    root.l[0].new.inner = 1
    del root["gone"]
    root.gone = {"again": True}
    root.setdefault("seeded", [1, 2])
    root.s ^= {"x", "y"}
    root.update({"m": [[]], "n": {1}})
    root.popitem()


def fail(root):
    edit_much(root)
    raise KeyError("on purpose")


def interrupt(root):
    edit_much(root)
    raise KeyboardInterrupt


def write_what_cannot_be_held(root):
    edit_much(root)
    root.update(b=1, c={"d": object()})


def fail_nested(root):
    edit_much(root)
    with root.a:
        root.clear()
        with root:
            root.back = 1
        raise KeyError("on purpose")


def fail_after_an_inner_failure(root):
    try:
        with root:
            edit_much(root)
            raise ZeroDivisionError
    except ZeroDivisionError:
        root.l.clear()
        raise KeyError("on purpose") from None


def close_it(root):
    edit_much(root)
    root._tracker.close()


FAILURES = [
    (fail, KeyError),
    (interrupt, KeyboardInterrupt),
    (write_what_cannot_be_held, UnsupportedValue),
    (fail_nested, KeyError),
    (fail_after_an_inner_failure, KeyError),
    (close_it, UsageError),
]


def everything(device, calls):
    """All that a failed transaction must leave as it was."""
    folder = device.folder
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    published, handle = list(device.outbox.published), device.replica.handle
    return exact(device.root), device.document.diff(), files, published, list(calls), handle.changed_paths


def containers(root):
    return [root.a, root.a.deep, root.a.deep.y, root.a.deep.y[1], root.l, root.l[1], root.l[2], root.s, root.gone]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["with", "async with"])
@pytest.mark.parametrize(("work", "error"), FAILURES, ids=lambda value: value.__name__)
def test_a_failed_block_leaves_no_trace(tmp_path, work, error, asynchronous):
    device, calls = Replica(START, tmp_path), []
    device.replica.handle.on(calls.append)
    device.replica.handle.on("**/z", calls.append)
    device.root.l.append("before")
    device.replica.handle.mark()
    device.root.first = 1
    before, kept, order = everything(device, calls), containers(device.root), list(device.root)

    async def in_a_task():
        async with device.root:
            work(device.root)

    with pytest.raises(error):
        if asynchronous:
            asyncio.run(in_a_task())
        else:
            with device.root:
                work(device.root)
    assert everything(device, calls) == before
    assert all(one is other for one, other in zip(containers(device.root), kept, strict=True))
    assert list(device.root) == order
    # And it goes on.
    other = Replica(START)
    kept[3].z = 5
    settle(device, other)
    assert other.root.a.deep.y[1].z == 5
    device.reopen()
    assert same(device.root, other.root)
    device.close()


def test_a_block_that_ends_well_is_there_all_at_once(tmp_path):
    device, other = Replica(START, tmp_path), Replica(START)
    seen = []
    device.replica.handle.on(lambda changes: seen.append((len(changes), (tmp_path / "conf.yaml").read_text())))
    other.replica.handle.on(lambda changes: seen.append((len(changes) > 1, other.replica.snapshot())))
    with device.root:
        with device.root:
            edit_much(device.root)
        assert device.outbox.published == []
    assert [outcome.value for outcome in [other.receive(device.outbox.published)]] == ["applied"]
    assert same(other.root, device.root)
    (count, text), (several, shown) = seen
    assert count > 10
    assert several
    assert same(shown, device.root)
    assert "assigned" in text
    device.close()


def test_eight_threads_count_right_on_all_levels(tmp_path):
    start = {"n": 0, "log": [], "by": {}}
    device, other = Replica(start, tmp_path), Replica(start)
    root, totals = device.root, []
    device.replica.handle.on("n", lambda changes: totals.append(changes.args[1]))

    def count(number):
        for turn in range(25):
            with root:
                seen = root.n
                with root:
                    root.log.append((number, turn))
                    root.by[str(number)] = root.by.get(str(number), 0) + 1
                if turn % 5 == 4:
                    try:
                        with root:
                            root.n = -1
                            raise ZeroDivisionError
                    except ZeroDivisionError:
                        pass
                root.n = seen + 1

    threads = [threading.Thread(target=count, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert root.n == 200
    assert root.by == {str(number): 25 for number in range(8)}
    assert sorted(root.log) == [(number, turn) for number in range(8) for turn in range(25)]
    assert totals == list(range(1, 201))
    for update in device.outbox.published:
        assert other.receive([update]).value == "applied"
    assert same(other.root, root)
    device.check()
    before = device.replica.snapshot()
    device.reopen()
    assert same(device.root, before)
    device.close()
