"""Containers outside of a structure, and transactions inside of one."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from tinysync.errors import DetachedWarning, TinySyncError
from tinysync.tracked.detached import detach
from tinysync.tracked.dicts import DictWrapper

from .structure import Structure, track


def test_a_removed_container_goes_on_as_a_plain_one():
    live = track({"x": {"y": [1], "s": {1}}})
    gone = live.pop("x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gone.y.append(object)
        gone.s.add(object)
        gone.z = gone
        gone.update(k=[1])
        gone.y[::-1] = "ba"
        gone.y.sort()
        del gone["s"]
    assert gone["z"] is gone
    assert gone.y == ["a", "b"]
    assert type(gone.k) is list
    assert len(live._recorder.commits) == 1
    assert gone._recorder is live._recorder


def test_writing_to_what_somebody_else_removed_warns_at_the_line_that_writes():
    live = track({"x": {"y": [1], "s": {1}}})
    gone = live.x
    detach(gone, by_other=True)
    for write in (
        lambda: gone.y.append(2),
        lambda: gone.s.add(2),
        lambda: gone.update(a=1),
        lambda: setattr(gone, "b", 2),
        gone.y.sort,
    ):
        with pytest.warns(DetachedWarning, match="removed from the structure by another device") as caught:
            write()
        assert caught[0].filename == __file__
    assert gone == {"y": [1, 2], "s": {1, 2}, "a": 1, "b": 2}
    assert live._recorder.calls == []


def test_reading_what_somebody_else_removed_does_not_warn():
    live = track({"x": {"y": [1]}})
    gone = live.x
    detach(gone, by_other=True)
    assert gone.y[0] == 1
    assert gone.__subject__ == {"y": [1]}


def test_a_container_that_leaves_while_a_call_waits_is_written_as_detached():
    class Late(Structure):
        def edit(self, container, func_name, args, kwargs=None):
            detach(container, by_other=False)
            return super().edit(container, func_name, args, kwargs)

    live = track({"x": {}})
    live.x._recorder.__class__ = Late
    x = live.x
    x.n = object
    assert x == {"n": object}
    assert live._recorder.commits == []


def test_with_is_a_transaction_from_any_container():
    live = track({"x": {"y": [1]}})
    with live.x.y as entered:
        assert entered is live.x.y
        live.x.y.append(2)
        live.z = 1
    assert len(live._recorder.commits) == 1
    with live.x.y:
        del live["x"]
    assert live == {"z": 1}


def test_async_with_is_a_transaction():
    live = track({"n": 1})

    async def edit():
        async with live as entered:
            assert entered is live
            live.n = 2
            live.m = 3

    asyncio.run(edit())
    assert len(live._recorder.commits) == 1


def test_a_transaction_needs_a_structure():
    live = track({"x": {}})
    for container in (DictWrapper(), live.pop("x")):
        with pytest.raises(TinySyncError, match="not part of a structure"), container:
            pass
