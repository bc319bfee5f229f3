"""A device that is driven frame by frame: it reads, answers and misbehaves when the test says so."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.peer.devices import DEADLINE
from tinysync import track, tracker
from tinysync.protocol import DocumentOpened, PartReceived, Session, SyncRequested, UpdatesReceived
from tinysync.protocol.codec import decode, encode
from tinysync.protocol.limits import Limits
from tinysync.protocol.messages import Error, Sync2, Update
from tinysync.tracker.sharing import Shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.protocol.messages import Message


class ByHand:
    """Speaks the protocol over a websocket about one structure, ``copy``; closes with its ``with`` block."""

    def __init__(self, url, name="todo", start=None) -> None:
        self.name = name
        self.copy = track({} if start is None else start, name, persist=False)
        self.shared = Shared(tracker(self.copy)._replica, name, relay=lambda _: None)
        self.received: list[Message] = []
        self.session = Session(secrets.token_hex(8), "by hand")
        self.session.documents.offer(name, self.shared.kind, self.shared.epoch)
        self._connecting = connect(url, max_size=None, compression=None)

    def __enter__(self):
        self.socket = self._connecting.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._connecting.__exit__(*error)

    # --- sending -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what the session has to send."""
        while frames := self.session.frames_to_send():
            for frame in frames:
                self.socket.send(frame)

    def send(self, *messages: Message) -> None:
        """Send messages past the session."""
        for message in messages:
            self.socket.send(encode(message))

    def write(self, key, value) -> list[bytes]:
        """Change the copy; return the update."""
        before = self.shared.state_vector()
        self.copy[key] = value
        return self.shared.diff(before)

    def publish(self, updates: list[bytes]) -> None:
        """Send updates as any device does."""
        self.session.documents.send_updates(self.name, updates)
        self.flush()

    # --- receiving -----------------------------------------------------------------------------------------

    def read(self) -> None:
        """Take one frame and do what a device does with it."""
        frame = self.socket.recv(DEADLINE)
        self.received.append(decode(frame, Limits()))
        documents = self.session.documents
        for event in self.session.receive(frame):
            match event:
                case DocumentOpened(name):
                    documents.request_sync(name, self.shared.state_vector())
                case SyncRequested(name, state_vector):
                    documents.answer_sync(name, self.shared.diff(state_vector))
                case PartReceived(name, number, _, updates):
                    self.shared.deliver(updates, "peer", lambda _: None)
                    documents.take(name, number)
                case UpdatesReceived(name, seq, updates, _):
                    self.shared.deliver(updates, "peer", lambda _: None)
                    documents.acknowledge(name, seq)
        self.flush()

    def read_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.read()

    def join(self) -> None:
        """Say hello, and go on until both sides have what the other one has."""
        self.flush()
        self.read_until(lambda: any(isinstance(message, Sync2) for message in self.received))
        self.read_until(lambda: self.session.documents.is_acknowledged(self.name, 0))

    def updates(self) -> list[bytes]:
        """Return what came as updates."""
        return [update for message in self.received if isinstance(message, Update) for update in message.updates]

    def last_word(self) -> Error | None:
        """Read until the link is closed; return the error that was told."""
        told = None
        try:
            while True:
                message = decode(self.socket.recv(DEADLINE), Limits())
                if isinstance(message, Error):
                    told = message
        except ConnectionClosed:
            return told
