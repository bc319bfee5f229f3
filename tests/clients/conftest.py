from __future__ import annotations

import os

import pytest

from tests.devices.conftest import device  # noqa: F401 - a fixture

from .node import EXAMPLE, Node, install


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A folder that all test processes share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def example(base):
    """The folder examples/browser, with its npm packages."""
    return install(base, EXAMPLE)


@pytest.fixture
def node(example):
    """Makes clients."""
    made: list[Node] = []

    def make() -> Node:
        made.append(Node(example))
        return made[-1]

    yield make
    for one in made:
        one.close()
