"""A small document that peers can share, and cables between peers that can be cut and clogged."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections import deque
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tinysync.errors import BadUpdate
from tinysync.model import Delivered, Outcome
from tinysync.status import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 20.0
_SIZE = 8
NOTHING = bytes(_SIZE)


def digest(blob: bytes) -> bytes:
    return hashlib.blake2b(blob, digest_size=_SIZE).digest()


def blob(content: bytes, after: bytes = NOTHING) -> bytes:
    """An update: content that needs the blob with the digest ``after`` to be there."""
    return after + content


class Blobs:
    """A set of blobs that only grows; shared like a tracked structure, transactions and all.

    A blob whose predecessor is missing is parked. ``refuse`` is the answer to what is delivered, if set.
    """

    def __init__(self, name: str, kind: str = "dict", epoch: int = 0) -> None:
        self.name = name
        self.kind = kind
        self.epoch = epoch
        self.refuse: Exception | None = None
        self.deliveries: list[tuple[str, Outcome]] = []
        self.cuts = 0
        self._known: dict[bytes, bytes] = {}
        self._parked: dict[bytes, bytes] = {}
        self._jobs: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()
        self._busy = False
        self._changed = threading.Condition()

    # What a peer needs

    replica = ""
    authors = None

    def is_copied_by(self, peer) -> bool:
        raise AssertionError("a device that keeps nothing has no folder")

    def known_devices(self):
        return []

    def note_device(self, device) -> None:
        raise AssertionError("a device that keeps nothing is not remembered")

    def note_unreached(self, addresses) -> bool:
        return False

    def save_devices(self) -> None:
        pass

    def coverage(self) -> Coverage:
        with self._reading():
            return Coverage({0: len(self._known)})

    def state_vector(self) -> bytes:
        with self._reading():
            return b"".join(sorted(self._known))

    def told(self, state_vector: bytes) -> Coverage:
        return Coverage()

    def diff(self, state_vector: bytes, in_pieces: bool = False) -> list[bytes]:
        if len(state_vector) % _SIZE:
            raise BadUpdate("no state vector of a set of blobs")
        there = {state_vector[i : i + _SIZE] for i in range(0, len(state_vector), _SIZE)}
        with self._reading():
            return [update for name, update in self._known.items() if name not in there] + [*self._parked.values()]

    def digest(self) -> bytes:
        with self._reading():
            return b"" if self._parked else digest(b"".join(sorted(self._known)))

    def portions(self, transactions, diff) -> list[list[bytes]]:
        updates = [*chain(*transactions), *diff]
        return [updates[start : start + 100] for start in range(0, len(updates), 100)]

    def deliver(self, updates, device, done, ended, *, is_diff) -> None:
        def job() -> None:
            self._receive(updates, device, done)
            ended()

        self._jobs.append(job)
        self._work()

    def links_were_down(self) -> None:
        self.cuts += 1

    def greet(self):
        return {}

    def receive_presence(self, update, source) -> None:
        pass

    def presence_lost(self, source) -> None:
        pass

    def tick_presence(self) -> bool:
        return False

    # What a program does

    def add(self, *contents: bytes) -> list[bytes]:
        """Add blobs; returns the updates to publish."""
        updates = [blob(content) for content in contents]
        with self._reading():
            for update in updates:
                self._known[digest(update)] = update
        return updates

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep the updates of others out, and readers waiting."""
        with self._lock:
            self._busy = True
            try:
                yield
            finally:
                self._busy = False
        self._work()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            yield
        # What was delivered meanwhile found the lock taken.
        self._work()

    @property
    def contents(self) -> set[bytes]:
        return {update[_SIZE:] for update in self._known.copy().values()}

    def wait_for(self, *contents: bytes) -> None:
        """Return once the contents are there."""
        self.wait_until(lambda: self.contents.issuperset(contents))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE), (
                self.name,
                len(self.contents),
                self.deliveries[-5:],
            )

    def _work(self) -> None:
        while self._jobs and self._lock.acquire(blocking=False):
            try:
                if self._busy:
                    return
                while self._jobs:
                    self._jobs.popleft()()
            finally:
                self._lock.release()
        self._tell()

    def _receive(self, updates, device, done) -> None:
        if self.refuse is not None:
            delivered = Delivered(Outcome.FAILED, self.refuse)
        elif any(len(update) < _SIZE for update in updates):
            delivered = Delivered(Outcome.FAILED, BadUpdate("no blob"))
        else:
            delivered = self._take(updates)
        self.deliveries.append((device, delivered.outcome))
        done(delivered)

    def _take(self, updates: list[bytes]) -> Delivered:
        new = {digest(u): u for u in updates if digest(u) not in self._known and digest(u) not in self._parked}
        self._parked.update(new)
        while True:
            ready = {n: u for n, u in self._parked.items() if u[:_SIZE] == NOTHING or u[:_SIZE] in self._known}
            if not ready:
                break
            self._known.update(ready)
            for name in ready:
                del self._parked[name]
        if any(digest(update) in self._parked for update in updates):
            return Delivered(Outcome.PENDING, new=bool(new))
        return Delivered(Outcome.APPLIED if new else Outcome.DUPLICATE)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Cable:
    """Forwards a port to another one; it can be cut, plugged in again, and clogged."""

    def __init__(self, url: str) -> None:
        self._target = ("127.0.0.1", urlsplit(url).port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._server.getsockname()[1]}"
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._plugged = True
        self._start(self._accept)

    def _start(self, function: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._plugged:
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self._sockets |= {near, far}
            self._start(self._forward, near, far)
            self._start(self._forward, far, near)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                self._flowing.wait()
                target.sendall(data)
        except OSError:
            pass
        finally:
            self._sockets -= {source, target}
            for end in (source, target):
                _shut(end)

    def cut(self) -> None:
        """Break all connections, and let no new ones through."""
        self._plugged = False
        for end in list(self._sockets):
            _shut(end)

    def plug_in(self) -> None:
        self._plugged = True

    def clog(self) -> None:
        """Let nothing through any more, without a word."""
        self._flowing.clear()

    def clear(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        self.clear()
        self.cut()
        # Unlike close, this wakes the thread that waits in accept.
        _shut(self._server)
        for thread in self._threads:
            thread.join(DEADLINE)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once a condition holds that nobody announces."""
    turn = threading.Event()
    for _ in range(int(DEADLINE / 0.005)):
        if condition():
            return
        turn.wait(0.005)
    raise AssertionError("it did not happen in time")
