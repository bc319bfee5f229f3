"""The history of a structure: what its op log keeps of the past, as entries and states, and restoring these.

Nothing of it is in memory or read on opening; each question reads the files anew.
"""

from __future__ import annotations

import socket
import threading
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, overload

from tinysync.errors import BadUpdate, EngineFailure, UsageError
from tinysync.model import DeviceId, HistoryEntry
from tinysync.storage.history import first_missing
from tinysync.tracked.plain import plain
from tinysync.tracked.sameness import same, token
from tinysync.tracker.authors import credit_of
from tinysync.tracker.disk import Disk
from tinysync.tracker.scratch import scratch, unusable

if TYPE_CHECKING:
    from tinysync.crdt.document import Document
    from tinysync.crdt.patching import Patch
    from tinysync.model import HistoryOrigin, Kind, Path
    from tinysync.storage.oplog_contract import Past
    from tinysync.storage.records import OpRecord
    from tinysync.tracker.replica import Replica

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ORIGINS: Final[dict[str, HistoryOrigin]] = {"local": "local", "file": "file", "remote": "remote"}
_BLOCK: Final = 1000
"""So many entries have their paths found at once, at first; then those of all before them."""
_MORE: Final = "'tinysync doctor' says more"


def history(replica: Replica) -> Sequence[HistoryEntry]:
    """Return an entry for each version that is kept, the newest first."""
    return entries_of(_past(replica), replica.kind, replica.presence.device)


def entries_of(past: Past, kind: Kind, device: str = "") -> Sequence[HistoryEntry]:
    """Return an entry for each of the records; ``device`` is the name of the one that keeps them, if known."""
    return _Entries(past, DeviceId(device or socket.gethostname() or "device"), _Paths(kind, past))


def state_at(replica: Replica, at: int | datetime) -> Any:
    """Return the plain structure as it was at a version or a time."""
    return state_of(_past(replica), replica.kind, at)


def state_of(past: Past, kind: Kind, at: int | datetime) -> Any:
    """Return the plain structure as it was at a version or a time of a past."""
    count = _count_until(past, at)
    return plain(scratch(kind, _updates_before(past, count)).root.container)


def restore(replica: Replica, path: Path, at: int | datetime) -> None:
    """Make a part of the structure, or all of it, what it was then."""
    if not isinstance(path, (list, tuple)):
        raise UsageError(f"a path is a list of keys and indices, like ['servers', 0, 'port'], not {path!r}")
    value = state_at(replica, at)
    for depth, step in enumerate(path):
        try:
            if isinstance(value, set):
                raise UsageError(f"{path!r} leads into a set; restore the set: {list(path[:depth])!r}")
            value = value[step]
        except (LookupError, TypeError):
            raise UsageError(f"there was nothing at {list(path[: depth + 1])!r} at that time") from None
    with replica:
        if path:
            _put(_parent(replica.root, path), path, value)
        else:
            _make_equal(replica.root, value)


def _past(replica: Replica) -> Past:
    with replica.reading():
        if isinstance(replica.disk, Disk):
            return replica.disk.past()
    if replica.closed:
        raise UsageError(f"the structure {replica.name!r} is closed; track it again to read its history")
    raise UsageError(
        "this structure has no history: that needs an op log on disk, as structures with a name have that are kept"
        " as YAML, JSON or another format with a document"
    )


# --- entries ------------------------------------------------------------------------------------------------


class _Entries(Sequence[HistoryEntry]):
    """The entries of a past, the newest first, each made when it is asked for."""

    def __init__(self, past: Past, own: DeviceId, paths: _Paths) -> None:
        self._records = past.records
        self._own = own
        self._paths = paths

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> HistoryEntry: ...

    @overload
    def __getitem__(self, index: slice) -> list[HistoryEntry]: ...

    def __getitem__(self, index: int | slice) -> HistoryEntry | list[HistoryEntry]:
        numbers = range(len(self._records) - 1, -1, -1)[index]
        return self._entry(numbers) if isinstance(numbers, int) else [self._entry(number) for number in numbers]

    def __repr__(self) -> str:
        return f"<{len(self)} versions>"

    def _entry(self, number: int) -> HistoryEntry:
        version, record = self._records[number]
        credit = credit_of(record.meta)
        return HistoryEntry(
            version,
            _time(record).astimezone(),
            self._own if credit is None or credit.device is None else credit.device,
            _ORIGINS.get(record.kind, "default"),
            lambda: self._paths.of(number),
            credit is not None and credit.via,
        )


def _time(record: OpRecord) -> datetime:
    return _EPOCH + timedelta(milliseconds=record.time_ms)


class _Paths:
    """Finds out what versions changed, when somebody asks: by going through them on a document of their own.

    That begins with loading all before them, so it is done for many at once; and from there it goes on.
    """

    def __init__(self, kind: Kind, past: Past) -> None:
        self._kind = kind
        self._past = past
        self._found: dict[int, list[Path]] = {}
        self._document: Document | None = None
        self._position = 0
        """The number of the record that the document gets next."""
        self._lock = threading.Lock()

    def of(self, index: int) -> list[Path]:
        """Return the paths that a record changed."""
        with self._lock:
            if index not in self._found:
                self._find(index)
            return [list(path) for path in self._found[index]]

    def _find(self, index: int) -> None:
        """Go through the records around one, up to one that was gone through."""
        if self._document is not None and self._position <= index:
            last = index + _BLOCK
        else:
            compacted = bisect_right(self._past.records, self._past.later.version, key=itemgetter(0))
            # The state of what was compacted is short to load; what is before may take long, and is done once.
            earlier = 0 if self._found else max(0, index + 1 - _BLOCK)
            begin = compacted if index >= compacted else earlier
            self._document = scratch(self._kind, _updates_before(self._past, begin))
            self._position = begin
            last = len(self._past.records) if self._found else index + 1
        while self._position < last and self._position < len(self._past.records):
            if self._position > index and self._position in self._found:
                break
            self._go_on(self._document)

    def _go_on(self, document: Document) -> None:
        updates = list(self._past.records[self._position][1].updates)
        try:
            patches = document.show(document.receive(updates, trusted=True))
        except (BadUpdate, EngineFailure) as error:
            self._document = None
            raise unusable(error) from error
        self._found[self._position] = _changed_paths(patches)
        self._position += 1


def _changed_paths(patches: list[Patch]) -> list[Path]:
    """Return where the entries of dicts changed, and which lists and sets did."""
    paths: dict[Any, Path] = {}
    for patch in patches:
        if patch.node.attached:
            path = patch.node.path()
            if patch.node.kind == "dict":
                path.append(patch.args[0])
            paths[token(path)] = path
    return list(paths.values())


# --- states -------------------------------------------------------------------------------------------------


def _updates_before(past: Past, count: int) -> list[bytes]:
    """Return the updates that lead to the state after the first ``count`` records."""
    state = past.start
    reached = past.records[count - 1][0] if count else state.version
    if past.later.version <= reached and past.later.version > state.version:
        state = past.later
    records = (record for version, record in past.records[:count] if version > state.version)
    return [*state.updates, *(update for record in records for update in record.updates)]


def _count_until(past: Past, at: int | datetime) -> int:
    """Return how many of the records were made by a version or a time; raises UsageError if that is not kept."""
    if isinstance(at, datetime):
        return _count_until_time(past, at)
    versions = [version for version, _ in past.records]
    last = versions[-1] if versions else past.start.version
    if type(at) is not int:
        raise UsageError(f"at= must be a version, an int from history(), or a datetime, not {at!r}")
    if not past.start.version <= at <= last:
        raise UsageError(f"version {at} is not kept: there are {past.start.version} to {last}")
    count = bisect_right(versions, at)
    if at != past.start.version and versions[count - 1] != at:
        raise UsageError(f"version {at} is not kept: a file with it was lost or damaged. {_MORE}")
    _check_whole(past, at)
    return count


def _count_until_time(past: Past, at: datetime) -> int:
    try:
        moment = at.astimezone()  # without a zone it is local time
    except (OverflowError, ValueError):  # at the ends of what a datetime can say
        moment = at.replace(tzinfo=UTC)
    for index in range(len(past.records) - 1, -1, -1):
        if _time(past.records[index][1]) <= moment:
            reached = past.records[index][0]
            # What is missing right behind it may be older than the moment.
            following = past.records[index + 1][0] if index + 1 < len(past.records) else past.later.version
            _check_whole(past, reached if following <= reached + 1 else reached + 1)
            return index + 1
    if not past.records:
        raise UsageError("no version is kept but the present one")
    begin = _time(past.records[0][1]).astimezone()
    raise UsageError(
        f"the history that is kept begins at {begin:%Y-%m-%d %H:%M:%S}, after"
        f" {moment.astimezone(begin.tzinfo):%Y-%m-%d %H:%M:%S}"
    )


def _check_whole(past: Past, version: int) -> None:
    """Raise UsageError if something is missing of what led to a version."""
    missing = first_missing(past)
    if missing is not None and missing <= version < past.later.version:
        raise UsageError(
            f"the structure at that time is not kept: version {missing}, which led to it, was lost or damaged."
            f" {_MORE}"
        )


# --- bringing back ------------------------------------------------------------------------------------------


def _parent(root: Any, path: Sequence[Any]) -> Any:
    container = root
    for depth, step in enumerate(path[:-1]):
        try:
            container = container[step]
        except (LookupError, TypeError):
            container = None
        if not isinstance(container, (dict, list)):
            gone = list(path[: depth + 1])
            raise UsageError(f"{list(path)!r} has no place any more; restore {gone!r} as a whole")
    return container


def _put(container: Any, path: Sequence[Any], value: Any) -> None:
    key = path[-1]
    if isinstance(container, dict):
        if key not in container or not same(container[key], value):
            container[key] = value
    elif not isinstance(container, list) or type(key) is not int or not -len(container) <= key <= len(container):
        raise UsageError(f"{list(path)!r} has no place any more; restore {list(path[:-1])!r} as a whole")
    elif key == len(container):
        container.append(value)
    elif not same(container[key], value):
        container[key] = value


def _make_equal(root: Any, value: Any) -> None:
    """Make the root hold a value of its kind, leaving alone what is the same."""
    if isinstance(root, list):
        root[:] = value
        return
    typed = {key: key for key in value}
    for key in list(root):
        if key not in typed or not same(key, typed[key]):
            if isinstance(root, dict):
                del root[key]
            else:
                root.discard(key)
    for key in value:
        if isinstance(root, dict):
            if key not in root or not same(root[key], value[key]):
                root[key] = value[key]
        else:
            root.add(key)
