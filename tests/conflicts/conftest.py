from __future__ import annotations

import pytest

from tests.document.pair import ORDERS, Pair


@pytest.fixture(params=ORDERS, ids=["-".join(order) for order in ORDERS])
def pair(request):
    """Two devices: whose client id is higher, and who hears of the other first, must not matter."""
    return Pair(*request.param)
