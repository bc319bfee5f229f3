"""A document gives back what its engine takes: that is not Python's memory, so nothing else would tell."""

from __future__ import annotations

import gc
import weakref

import pytest

from tinysync import track, tracker
from tinysync.tracker.scratch import scratch

START = {"a": 1, "l": [1, {"b": 2}], "s": {3}}


@pytest.fixture
def documents():
    """Makes documents of the same updates."""
    structure = track(START, persist=False)
    replica = tracker(structure)._replica
    yield lambda: scratch("dict", replica.document.diff())
    tracker(structure).close()


@pytest.fixture
def no_collector():
    """Let things go only when nobody refers to them: the collector of cycles comes late where much is kept."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_an_engine_goes_with_its_document(documents, no_collector):
    document = documents()
    engine = weakref.ref(document.engine)
    document.receive(documents().diff())
    del document
    assert engine() is None


def test_an_engine_goes_when_another_takes_its_place(documents, no_collector):
    document = documents()
    engine = weakref.ref(document.engine)
    document.renew_client_id()
    assert engine() is None
    engine = weakref.ref(document.engine)
    document.rebuild(document.diff())
    assert engine() is None


def test_a_structure_goes_with_a_document_that_is_given_up(documents, no_collector):
    document = documents()
    containers = [weakref.ref(node.container) for node in document.nodes.values()]
    assert len(containers) == 4
    document.give_up()
    assert [container() for container in containers] == [None] * 4
