"""Who is there, and what they are at: small dicts that are told to all devices and never stored."""

from __future__ import annotations

import json
import reprlib
import secrets
import threading
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tinysync.errors import InvalidValue, StructureClosed, UnsupportedValue
from tinysync.protocol.limits import Limits
from tinysync.protocol.presence import PresenceStates, encode_state
from tinysync.tracker.status_watch import StatusWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tinysync.protocol.presence import Heard
    from tinysync.tracker.replica import Replica
    from tinysync.tracker.status_watch import StatusSubscription

DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Present:
    """Another device that is there: its name, and the dict that it shows. ``client`` tells equal names apart."""

    client: int
    device: str
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """Who came, showed something else, or went."""

    added: tuple[Present, ...] = ()
    updated: tuple[Present, ...] = ()
    removed: tuple[Present, ...] = ()


class Presence(MutableMapping[str, Any]):
    """The dict that this device shows to the others that have a structure: ``tracker(x).presence``.

    It holds what JSON can say, at most 2.8 KB of it; keys are str. What is in it is not stored, and no change of
    the structure. An empty one is not shown. The others see it a moment after it was set, on any way that links
    them; it goes when this device leaves, or was not heard of for 30 seconds. Values are copies: assign to change
    one.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._guard = threading.RLock()
        self._own: dict[str, Any] = {}
        self.device = ""
        """The name that others see."""
        # As long as those of Yjs; and another one whenever the structure is opened.
        self._states = PresenceStates(secrets.randbits(32), Limits())
        self._watch: StatusWatch | None = None

    def __repr__(self) -> str:
        return f"<Presence {self._own!r}>"

    def __getitem__(self, key: str) -> Any:
        with self._guard:
            return json.loads(json.dumps(self._own[key]))

    def __iter__(self) -> Iterator[str]:
        with self._guard:
            return iter(tuple(self._own))

    def __len__(self) -> int:
        return len(self._own)

    def __setitem__(self, key: str, value: Any) -> None:
        """Show a value; raises UnsupportedValue for what JSON cannot say, InvalidValue for more than 2.8 KB."""
        with self._guard:
            self._show({**self._own, key: value})

    def __delitem__(self, key: str) -> None:
        with self._guard:
            own = dict(self._own)
            del own[key]
            self._show(own)

    def clear(self) -> None:
        """Show nothing any more: for the others, this device is gone."""
        with self._guard:
            self._show({})

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Show several values at once; raises what assigning raises."""
        with self._guard:
            self._show({**self._own, **dict(*args, **kwargs)})

    def __ior__(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Self:
        """Show several values at once, as ``update`` does."""
        self.update(other)
        return self

    @property
    def others(self) -> tuple[Present, ...]:
        """Return the other devices that are there, in the order of their names."""
        with self._guard:
            states = self._states.states()
            found = []
            for client, state in states.items():
                if client != self._states.own:
                    shown = json.loads(encode_state(state))
                    device = shown.pop(DEVICE, "")
                    found.append(Present(client, device if isinstance(device, str) else "", shown))
        return tuple(sorted(found, key=lambda one: (one.device, one.client)))

    def on(self, callback: Callable[[PresenceChange], object]) -> StatusSubscription:
        """Call back with a PresenceChange when others come, show something else, or go.

        Return a subscription: call it, or use it as a context manager, to end it. Callbacks run where
        ``dispatch=`` has changes of others arrive (in asyncio programs the loop), or else in a thread of their
        own; no lock is held. What happens within a moment is one call. What a callback raises is logged. Raises
        StructureClosed.
        """
        self._replica.check_open()
        with self._guard:
            if self._watch is None:
                name = f"tinysync-presence-{self._replica.name}"
                self._watch = StatusWatch(lambda: self.others, name, self._replica.inbox.run, _difference)
            return self._watch.add(callback)

    def _show(self, own: dict[str, Any]) -> None:
        if self._replica.closed:
            raise StructureClosed(f"cannot show presence for {self._replica.name!r}: it is closed")
        own = _checked(own)
        heard = self._states.set({DEVICE: self.device, **own} if own else None, time.monotonic())
        self._own = own
        self._take(heard, None)

    def _take(self, heard: Heard, source: object) -> None:
        """Tell others, and callbacks, what is new."""
        if heard.tell:
            self._replica.sharing.publish_presence(heard.tell, source)
        if heard.shown and self._watch is not None:
            self._watch.poke()

    # --- for peers -----------------------------------------------------------------------------------------

    def greet(self) -> dict[int, bytes]:
        """Return what somebody who is linked now is to be told; others hear that this device is there still."""
        with self._guard:
            self._take(self._states.renew(time.monotonic()), None)
            return self._states.entries()

    def receive(self, update: bytes, source: object) -> None:
        """Take in what came over a link; raises ProtocolError."""
        with self._guard:
            self._take(self._states.receive(update, source, time.monotonic()), source)

    def lost(self, source: object) -> None:
        """Note that a link is down."""
        with self._guard:
            self._take(self._states.lost(source), source)

    def tick(self) -> bool:
        """Do what is due; return whether anybody is there, so that it has to be called again in some seconds."""
        with self._guard:
            self._take(self._states.tick(time.monotonic()), None)
            return not self._states.is_idle

    def close(self) -> None:
        """Be gone, and call nobody back any more."""
        with self._guard:
            self._take(self._states.set(None, time.monotonic()), None)
            self._own = {}
            if self._watch is not None:
                self._watch.close()


def _checked(own: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of what is to be shown, if it can be."""
    copy: dict[str, Any] = {}
    for key, value in own.items():
        if not isinstance(key, str):
            raise UnsupportedValue(f"{reprlib.repr(key)} cannot be a key of presence, whose keys are str")
        try:
            copy |= json.loads(encode_state({key: value}))
        except (TypeError, ValueError, RecursionError) as error:
            raise _unsupported(key, str(error)) from None
        if copy.get(key) != value:
            raise _unsupported(key, f"the others would see {reprlib.repr(value)} as {reprlib.repr(copy.get(key))}")
    size, room = len(encode_state(own)), Limits().max_presence - 2 * Limits().max_device_name * 6
    if size > room:
        raise InvalidValue(f"presence takes {size} bytes as JSON; at most {room} are possible")
    return copy


def _unsupported(key: str, why: str) -> UnsupportedValue:
    return UnsupportedValue(
        f"presence[{reprlib.repr(key)}] cannot be shown: {why}; it can be what JSON can say: dicts with str keys,"
        " lists, str, numbers, bool and None"
    )


def _difference(before: tuple[Present, ...], after: tuple[Present, ...]) -> PresenceChange:
    were, are = ({one.client: one for one in all_} for all_ in (before, after))
    return PresenceChange(
        tuple(one for one in after if one.client not in were),
        tuple(one for one in after if one.client in were and were[one.client] != one),
        tuple(one for one in before if one.client not in are),
    )
