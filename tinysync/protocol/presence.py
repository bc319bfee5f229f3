"""Passing state of every device that has a document: the awareness protocol of Yjs, without I/O or clock.

Each client has a clock of its own and renews its state before it runs out for the others; no state (null) means
that it is gone. The encoding is that of y-protocols (awareness.js), so that Yjs clients understand what is passed
on: the number of entries, then for each the client, its clock and its state as JSON; numbers are LEB128.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.numbers import write_varint
from tinysync.errors import ProtocolError
from tinysync.protocol.messages import Code
from tinysync.protocol.numbers import read_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinysync.protocol.limits import Limits

RENEW_SECONDS: Final = 15.0
OUTDATED_SECONDS: Final = 30.0
"""How long a state holds that is not renewed; these two are those of Yjs."""
FORGET_SECONDS: Final = 2 * OUTDATED_SECONDS
"""How long the clock of a client that is gone is kept: nothing older of it is on its way any more."""
MAX_CLOCK: Final = 2**32
MAX_CLIENT: Final = 2**53
_GONE: Final = b"null"

State = dict[str, Any]


@dataclass(slots=True)
class _Client:
    clock: int
    time: float
    """When it was heard of last; for our own, when it was renewed."""
    state: State | None
    text: bytes
    """The state as it came."""
    source: object = None
    """Where it came from."""

    def end(self) -> None:
        """Take it for gone."""
        self.state, self.text, self.source = None, _GONE, None


@dataclass(frozen=True, slots=True)
class Heard:
    """What something changed."""

    shown: bool = False
    """Whether a state appeared, changed or went."""
    tell: dict[int, bytes] = field(default_factory=dict)
    """What is to be told to others: encoded entries, by client."""


class PresenceStates:
    """The states of all clients of one document, as far as they are known; ``own`` is this side's client id."""

    def __init__(self, own: int, limits: Limits) -> None:
        self.own = own
        self._limits = limits
        self._clients: dict[int, _Client] = {}

    def states(self) -> dict[int, State]:
        """Return the states of the clients that are there."""
        return {client: known.state for client, known in self._clients.items() if known.state is not None}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be renewed or forgotten."""
        return all(client == self.own and known.state is None for client, known in self._clients.items())

    def entries(self) -> dict[int, bytes]:
        """Return the entries of the clients that are there, for somebody who knows none of them."""
        return {client: self._entry(client) for client in self.states()}

    def set(self, state: State | None, now: float) -> Heard:
        """Set the state of this side; None: it is gone."""
        known = self._clients.get(self.own)
        if known is None and state is None:
            return Heard()
        self._clients[self.own] = _Client(known.clock + 1 if known else 1, now, state, encode_state(state))
        return Heard(shown=True, tell=self._tell([self.own]))

    def renew(self, now: float) -> Heard:
        """Renew the state of this side, if it has one."""
        known = self._clients.get(self.own)
        if known is None or known.state is None:
            return Heard()
        known.clock += 1
        known.time = now
        return Heard(tell=self._tell([self.own]))

    def receive(self, update: bytes, source: object, now: float) -> Heard:
        """Take in entries that came from ``source``; raises ProtocolError, and then takes none of them."""
        shown = False
        news: list[int] = []
        for client, clock, text, state in list(_read(update, self._limits)):
            known = self._clients.get(client)
            if known is None and (state is None or len(self._clients) >= self._limits.max_present):
                continue
            before = known.state if known is not None else None
            is_end = state is None and before is not None
            if known is not None and not (clock > known.clock or (clock == known.clock and is_end)):
                continue
            if client == self.own:
                if known is not None and before is not None and clock + 1 < MAX_CLOCK:
                    # Somebody took this side for gone: it is not.
                    known.clock, known.time = clock + 1, now
                    news.append(client)
                continue
            self._clients[client] = _Client(clock, now, state, text, source)
            shown |= before != state
            news.append(client)
        return Heard(shown, self._tell(news))

    def lost(self, source: object) -> Heard:
        """Take for gone those that were heard of from ``source``, which is gone; those that are not, say so."""
        gone = [
            client for client, known in self._clients.items() if known.source is source and known.state is not None
        ]
        for client in gone:
            self._clients[client].end()
        return Heard(shown=bool(gone), tell=self._tell(gone))

    def tick(self, now: float) -> Heard:
        """Do what is due by now: renew, let go of what was not renewed.

        To be called every few seconds, as long as there are ``others`` or this side has a state.
        """
        own = self._clients.get(self.own)
        heard = Heard()
        if own is not None and now - own.time >= RENEW_SECONDS:
            heard = self.renew(now)
        outdated = False
        for client, known in list(self._clients.items()):
            if client != self.own and known.state is not None and now - known.time >= OUTDATED_SECONDS:
                known.end()
                outdated = True
            elif client != self.own and known.state is None and now - known.time >= FORGET_SECONDS:
                del self._clients[client]
        return Heard(outdated, heard.tell)

    def _tell(self, clients: Iterable[int]) -> dict[int, bytes]:
        return {client: self._entry(client) for client in clients}

    def _entry(self, client: int) -> bytes:
        known = self._clients[client]
        return write_varint(client) + write_varint(known.clock) + write_varint(len(known.text)) + known.text


def encode_state(state: State | None) -> bytes:
    """Return a state as JSON; raises TypeError and ValueError for what JSON cannot say."""
    return json.dumps(state, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def joined(entries: dict[int, bytes]) -> bytes:
    """Return the update that holds entries."""
    return write_varint(len(entries)) + b"".join(entries.values())


def _read(update: bytes, limits: Limits) -> Iterator[tuple[int, int, bytes, State | None]]:
    try:
        count, position = read_number(update, 0, limits.max_present + 1)
        for _ in range(count):
            client, position = read_number(update, position, MAX_CLIENT)
            clock, position = read_number(update, position, MAX_CLOCK)
            size, position = read_number(update, position, limits.max_presence + 1)
            text, position = update[position : position + size], position + size
            _check(len(text) == size, "it ends too early")
            state = json.loads(text, parse_constant=_refuse)
            _check(state is None or isinstance(state, dict), "a state is neither an object nor null")
            encode_state(state)  # says no to what cannot be said again: lone surrogates, numbers beyond a float
            yield client, clock, text, state
        _check(position == len(update), "there are bytes behind its end")
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame of presence is malformed: {error}", Code.MALFORMED) from error


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
