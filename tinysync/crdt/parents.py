"""Where every block of a document lies.

A block that is inserted next to others does not say in which root it lies, and an entry not under which key: the
engine takes that from its neighbours, and trusts them to lie in one place. So what an update says is compared here
with where the neighbours really are: from the blocks of all updates that were applied, and for the program's own
edits from the engine. As nothing is nested, a block stays where it is for good, also when it was deleted.
"""

from __future__ import annotations

import logging
import secrets
from array import array
from bisect import bisect_right
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from tinysync.crdt.blocks import in_order
from tinysync.crdt.check import check_update
from tinysync.crdt.encoding import DELETED
from tinysync.crdt.engine import META
from tinysync.crdt.ids import SEED_CLIENTS
from tinysync.crdt.numbers import write_varint
from tinysync.errors import BadUpdate, EngineFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator

    from tinysync.crdt.blocks import Blocks
    from tinysync.crdt.encoding import Id, LoneWrite, Name, UpdateInfo

logger = logging.getLogger("tinysync")

_LIST, _ENTRY, _META = 0, 1, 2
_SORT: Final = 3
"""The bits of a place that tell which of these it is; the others are a digest, with a secret of the device."""
MOST_NAMES: Final = 10_000
"""Of so many entries the names are kept."""
_META_NAME: Final = bytes([len(META)]) + META.encode()


class SeenEntry(NamedTuple):
    """A block of an entry that is new: where, which element, made upon which one, and its content."""

    place: int
    client: int
    clock: int
    left: Id | None
    kind: int
    update: bytes
    content: int


class _Runs:
    """Where the blocks of one client lie, as runs with the same place."""

    __slots__ = ("ends", "places")

    def __init__(self) -> None:
        self.ends = array("I")
        """The clock behind the last element of each run."""
        self.places = array("q")


class Places(NamedTuple):
    """What is known of a document's blocks, to be written down: nobody else may read it."""

    secret: bytes
    runs: list[tuple[int, bytes, bytes]]
    """(client, ends, places) as arrays, in the byte order of the machine."""


class Parents:
    """The places of a document's blocks; ``diff`` returns what the engine holds beyond a state vector.

    ``places`` is what ``places`` returned for another document with the same blocks.
    """

    def __init__(self, diff: Callable[[bytes], bytes], places: Places | None = None) -> None:
        self._diff = diff
        self._runs: dict[int, _Runs] = {}
        self._ends: dict[int, int] = {}
        """How far the blocks of each client are known."""
        self._secret = places.secret if places else secrets.token_bytes(16)
        for client, ends, numbers in places.runs if places else ():
            runs = self._runs[client] = _Runs()
            runs.ends.frombytes(ends)
            runs.places.frombytes(numbers)
            self._ends[client] = runs.ends[-1]
        self._before: dict[int, tuple[int, int]] = {}
        """(runs, end) as it was for the clients that got blocks from the updates that are being sorted out."""
        self._is_behind = True
        """Whether the engine may hold more."""
        self.own: set[int] = set()
        """Client ids under which the program writes into the engine."""
        self.names: dict[int, Name] = {}
        """The entries at some places, of those that somebody asked for."""
        self.seen: list[SeenEntry] | None = None
        """The entries that are written by the updates that are sorted out; None: nobody wants to know."""

    def follow(self, diff: Callable[[bytes], bytes]) -> None:
        """Go on with another engine that holds the same."""
        self._diff = diff

    def sort_out(self, updates: dict[bytes, UpdateInfo], refused: Container[bytes] = ()) -> list[bytes]:
        """Note where the blocks of updates lie that are applied next; take those out that do not fit the document.

        They are checked, and what each refers to is there, or in those before it. Returns what was taken out.
        Raises BadUpdate instead if it is among those that can be ``refused``; then nothing is noted.
        """
        self._before = {}
        self._is_behind = True
        left_out: list[bytes] = []
        for update, info in updates.items():
            try:
                self._place(update, info)
            except BadUpdate as error:
                if update in refused:
                    self._restore(self._before)
                    raise
                logger.warning("Left out an update that can never have been right: %s", error)
                left_out.append(update)
        for update in left_out:
            del updates[update]
        return left_out

    def _place(self, update: bytes, info: UpdateInfo) -> None:
        """Note where the blocks of an update lie; raises BadUpdate if one cannot, and then notes nothing."""
        batch, self._before = self._before, {}
        seen = self.seen
        count = 0 if seen is None else len(seen)
        try:
            self._check_beginnings(info)
            lone = info.lone
            is_new = lone is not None and lone.clock >= self._ends.get(lone.client, 0)
            for block in (lone,) if lone is not None and is_new else in_order(update, info, self._ends):
                place = self._place_of(block)
                self._add(block, place)
                if seen is not None and place & _SORT == _ENTRY:
                    last = block.block_end - 1
                    entry = SeenEntry(place, block.client, last, block.left, block.kind, update, block.content)
                    seen.append(entry)
                if lone is not None:
                    lone.name = self.names.get(place)
                    lone.place = place
        except BaseException:
            if seen is not None:
                del seen[count:]
            self._restore(self._before)
            self._before = {}
            raise
        finally:
            self._before |= batch

    def _check_beginnings(self, info: UpdateInfo) -> None:
        for client, start, _ in info.blocks:
            # What the program has written is taken from the engine, and never from an echo.
            if client in self.own or client >= SEED_CLIENTS or start > self._ends.get(client, 0):
                self._catch_up()
                if start > self._ends.get(client, 0):
                    raise BadUpdate("blocks behind some that are not there")

    def _place_of(self, block: Blocks | LoneWrite) -> int:
        if block.parent:
            place = self._named(block.parent)
        else:
            places = {self._at(neighbour) for neighbour in (block.left, block.right) if neighbour is not None}
            place = places.pop()
            if places:
                raise BadUpdate("a block between two that lie in different places")
            sort = place & _SORT
            if sort == _META and block.kind != DELETED:
                raise BadUpdate("a block that overwrites what the document says about itself")
            if sort == _ENTRY and block.right is not None:
                raise BadUpdate("an entry that was inserted in front of another")
        known = min(self._ends.get(block.client, 0), block.block_end)
        if block.clock < known and self._at((block.client, known - 1)) != place:
            raise BadUpdate("a block of which the beginning lies elsewhere")
        return place

    def _at(self, element: Id) -> int:
        client, clock = element
        if clock >= self._ends.get(client, 0):
            self._catch_up()
            if clock >= self._ends.get(client, 0):
                raise BadUpdate("a block beside one that is not there")
        runs = self._runs[client]
        return runs.places[bisect_right(runs.ends, clock)]

    def _add(self, block: Blocks | LoneWrite, place: int) -> None:
        client = block.client
        if block.block_end <= self._ends.get(client, 0):
            return  # it was taken in meanwhile, from the engine
        runs = self._runs.get(client)
        if runs is None:
            runs = self._runs[client] = _Runs()
        if client not in self._before:
            self._before[client] = (len(runs.places), self._ends.get(client, 0))
        self._ends[client] = end = block.block_end
        places = runs.places
        if places and places[-1] == place:
            runs.ends[-1] = end
        else:
            runs.ends.append(end)
            places.append(place)

    def _restore(self, before: dict[int, tuple[int, int]]) -> None:
        # What was taken in from the engine meanwhile may be among it.
        self._is_behind = True
        for client, (count, end) in before.items():
            runs = self._runs[client]
            del runs.ends[count:], runs.places[count:]
            if count:
                runs.ends[-1] = end
            self._ends[client] = end

    def entries(self, client: int, clock: int, end: int) -> Iterator[tuple[int, int]]:
        """Return the places of the entries that a client wrote in a range, with the last clock at each."""
        if end > self._ends.get(client, 0):
            self._catch_up()
        runs = self._runs.get(client)
        index = 0 if runs is None else bisect_right(runs.ends, clock)
        while runs is not None and clock < end and index < len(runs.ends):
            clock = min(end, runs.ends[index])
            if runs.places[index] & _SORT == _ENTRY:
                yield runs.places[index], clock - 1
            index += 1

    def last_written(self, clients: Collection[int], places: Collection[int]) -> Iterator[tuple[int, Id]]:
        """Return the last element that each of some clients wrote at each of some places."""
        self._is_behind = True
        self._catch_up()
        for client in clients:
            runs = self._runs.get(client)
            if runs is not None:
                last = {place: end for place, end in zip(runs.places, runs.ends, strict=True) if place in places}
                for place, end in last.items():
                    yield place, (client, end - 1)

    def _catch_up(self) -> None:
        """Take in the program's own edits since the last time."""
        if not self._is_behind:
            return
        self._is_behind = False
        known = b"".join(write_varint(client) + write_varint(end) for client, end in self._ends.items())
        update = self._diff(write_varint(len(self._ends)) + known)
        try:
            for block in in_order(update, check_update(update), self._ends):
                self._add(block, self._place_of(block))
        except BadUpdate as error:
            raise EngineFailure(f"the CRDT engine holds what cannot be: {error}") from error

    def _named(self, parent: bytes) -> int:
        """Return what stands for a place; who sends updates cannot find two places for which the same does."""
        sort = _META if parent.startswith(_META_NAME, 1) else _ENTRY if parent[1] == 1 else _LIST
        number = int.from_bytes(blake2b(parent, digest_size=8, key=self._secret).digest(), signed=True)
        return number & ~_SORT | sort

    def note_names(self, names: dict[int, Name]) -> None:
        """Keep the names of entries, of which as many are kept as may be."""
        if len(self.names) + len(names) > MOST_NAMES:
            self.names.clear()
        self.names |= names

    def places(self) -> Places:
        """Return where all blocks lie that the engine holds."""
        self._is_behind = True
        self._catch_up()
        runs = [(client, each.ends.tobytes(), each.places.tobytes()) for client, each in self._runs.items()]
        return Places(self._secret, [run for run in runs if run[1]])

    def entry_place(self, root: str, key: str) -> int:
        """Return what stands for the place of an entry."""
        name, text = root.encode(), key.encode()
        return self._named(b"".join((b"\x01", write_varint(len(name)), name, write_varint(len(text)), text)))
