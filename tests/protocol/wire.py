"""Two sessions and the wires between them, moved by hand; for tests of the protocol alone."""

from __future__ import annotations

from collections import deque

from tinysync.protocol import Limits, PartReceived, Session, SyncRequested, UpdatesReceived
from tinysync.protocol.codec import encode
from tinysync.protocol.messages import VERSION, Hello


class Wire:
    """Two sessions, ``ends[0]`` and ``ends[1]``, and the frames that are on their way to each of them."""

    def __init__(self, *limits: Limits) -> None:
        first, second = limits or (Limits(), Limits())
        self.ends = [Session("d0", "laptop", first), Session("d1", "phone", second)]
        self.towards: list[deque[bytes]] = [deque(), deque()]
        self.events: list[list] = [[], []]

    def send(self, end: int) -> None:
        """Put on the wire what an end has to send."""
        self.towards[1 - end].extend(self.ends[end].frames_to_send())
        self.events[end].extend(self.ends[end].events())

    def deliver(self, end: int) -> None:
        """Give an end the next frame that is on its way to it."""
        self.events[end].extend(self.ends[end].receive(self.towards[end].popleft()))

    def settle(self) -> None:
        """Move frames until nothing is on its way; events stay to be looked at."""
        while True:
            for end in (0, 1):
                self.send(end)
            if not any(self.towards):
                return
            for end in (0, 1):
                while self.towards[end]:
                    self.deliver(end)

    def take(self, end: int, kind: type | tuple[type, ...] = object) -> list:
        """Take the events of a kind that an end has had."""
        taken = [event for event in self.events[end] if isinstance(event, kind)]
        self.events[end] = [event for event in self.events[end] if not isinstance(event, kind)]
        return taken

    def open(self, document: str = "todo") -> None:
        """Let both ends have a document, synced and empty."""
        for end in (0, 1):
            self.ends[end].documents.offer(document, "dict", 0)
        self.settle()
        for end in (0, 1):
            self.ends[end].documents.request_sync(document, b"")
        self.settle()
        self.serve({})

    def serve(self, documents: dict[tuple[int, str], list[bytes]]) -> None:
        """Answer and acknowledge all until nothing happens; ``documents`` maps (end, name) to what it holds."""
        while True:
            self.settle()
            requests = [self.take(end, SyncRequested) for end in (0, 1)]
            arrived = [self.take(end, (UpdatesReceived, PartReceived)) for end in (0, 1)]
            if not any(requests) and not any(arrived):
                return
            for end in (0, 1):
                for event in requests[end]:
                    held = documents.get((end, event.document), [])
                    self.ends[end].documents.answer_sync(event.document, list(held))
                for event in arrived[end]:
                    held = documents.setdefault((end, event.document), [])
                    held.extend(update for update in event.updates if update not in held)
                    if isinstance(event, PartReceived):
                        self.ends[end].documents.take(event.document, event.number)
                    else:
                        self.ends[end].documents.acknowledge(event.document, event.seq)


def greet(session: Session, **limits: int) -> None:
    """Let a session believe that a peer has said hello."""
    session.receive(encode(Hello(VERSION, "raw", "raw peer", limits)))
    session.frames_to_send()
