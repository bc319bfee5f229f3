"""One device on the network: its links and the documents it shares."""

from tinysync.peer.peer import Peer

__all__ = ["Peer"]
