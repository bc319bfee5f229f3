"""Two devices that edit offline and then exchange what they did."""

from __future__ import annotations

from itertools import product

from tests.document.replicas import Replica, assert_converged, same, settle

ORDERS = [*product(["a-wins", "b-wins"], ["a-first", "b-first"])]


class Pair:
    """Devices a and b. Of two writes of one entry that of the ``winner``, whose client id is higher, stays."""

    def __init__(self, winner, first):
        self._winner = winner
        self._first = first
        self.a = self.b = None

    def start(self, structure, other=None, versions=(0, 0), folders=(None, None), meet=True):
        """Track a structure on both devices (``other`` on b); unless they meet, they do not know of each other."""
        self.a = Replica(structure, folders[0], versions[0])
        self.b = Replica(structure if other is None else other, folders[1], versions[1])
        if meet:
            settle(self.a, self.b)
        self.begin_sessions()
        return self.a.root, self.b.root

    def begin_sessions(self):
        """Give both a client id above all they know, the winner the higher one."""
        for replica in (self.a, self.b):
            replica.document.renew_client_id()
        while self.winner.document.engine.client_id <= self.loser.document.engine.client_id:
            self.winner.document.renew_client_id()

    @property
    def winner(self):
        return self.a if self._winner == "a-wins" else self.b

    @property
    def loser(self):
        return self.b if self._winner == "a-wins" else self.a

    @property
    def first(self):
        """The one that hears of the other first."""
        return self.a if self._first == "a-first" else self.b

    def exchange(self):
        """Bring both up to date; return the structure that both show."""
        one, other = (self.a, self.b) if self._first == "a-first" else (self.b, self.a)
        one.pull(other)
        one.check()
        settle(one, other)
        assert same(self.a.root, self.b.root), f"{self.a.root!r} is not {self.b.root!r}"
        return self.a.root

    def finish(self, expected):
        """Exchange, and find what is expected on both, also after reopening them, or as a new device."""
        result = self.exchange()
        assert same(result, expected), f"{result!r} is not {expected!r}"
        assert_converged(self.a, self.b)
        fresh = Replica(type(expected)())
        fresh.pull(self.a)
        fresh.check()
        assert same(fresh.root, expected), f"on a fresh device {fresh.root!r} is not {expected!r}"
