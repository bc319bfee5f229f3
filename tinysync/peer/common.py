"""The one peer of this process that ``sync=True`` shares structures with."""

from __future__ import annotations

import os
import threading

from tinysync.errors import UsageError
from tinysync.group.key import Key
from tinysync.peer.peer import Peer


class CommonPeer:
    """Makes the peer when it is first needed, and closes it when nobody needs it any more; from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._peer: Peer | None = None
        self._users = 0

    def current(self) -> Peer | None:
        """Return the peer, if there is one."""
        with self._guard:
            return self._peer if self._peer is not None and not self._peer.closed else None

    def take(self) -> Peer:
        """Return the peer, which is to be given back; raises what ``Key.default`` and ``Peer`` raise."""
        with self._guard:
            if self._peer is None or self._peer.closed:
                try:
                    key = Key.default()
                except UsageError as error:
                    raise UsageError(
                        f"sync=True links the devices that have this user's key, and {error}. From a shell:"
                        " tinysync key new, and tinysync key enter on the other devices"
                    ) from None
                self._peer = Peer(lan=True, key=key)
                self._users = 0
            self._users += 1
            return self._peer

    def give_back(self, peer: Peer) -> None:
        """Note that one of those who took it needs it no more."""
        with self._guard:
            if peer is not self._peer:
                return
            self._users -= 1
            if self._users:
                return
            self._peer = None
        peer.close()

    def forget(self) -> None:
        """In a forked process: the peer belongs to the other one."""
        self._guard = threading.Lock()
        self._peer = None


common_peer = CommonPeer()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=common_peer.forget)
