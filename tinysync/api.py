"""The functions that programs begin with."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, TypeVar, Unpack, overload

from tinysync.errors import InvalidName, KindMismatch, UsageError, named
from tinysync.model import Conflict, History
from tinysync.peer import Peer
from tinysync.peer.common import common_peer
from tinysync.storage.format import Format
from tinysync.storage.names import document_paths
from tinysync.storage.storage import Storage
from tinysync.storage.yaml_format import YAML
from tinysync.tracked.base import Tracked
from tinysync.tracked.plain import kind_of
from tinysync.tracker import Replica, Tracker, open_replica
from tinysync.tracker.opening import check_same
from tinysync.tracker.registry import looked_up, open_replicas
from tinysync.transport.addresses import parse_address
from tinysync.transport.eventloop import running_loop_dispatch
from tinysync.typed import Schema, Typed, is_instance_of_dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, MutableSequence, MutableSet

    from _typeshed import DataclassInstance

    from tinysync.tracked.dicts import DictWrapper
    from tinysync.tracked.lazy import LazyDict
    from tinysync.tracked.lists import ListWrapper
    from tinysync.tracked.sets import SetWrapper

    Callback = Callable[[Any], object]
    Dispatch = Callable[[Callable[[], None]], object]

ALL: Final = "all devices"
"""In place of an address."""

Dataclass = TypeVar("Dataclass", bound="DataclassInstance")


class Options(TypedDict, total=False):
    """The keyword options of ``track``."""

    callback: Callback | None
    conflict_callback: Callable[[Conflict], object] | None
    persist: bool | Format | type[Format]
    folder: str | os.PathLike[str]
    sync: bool | str | Peer | None
    version: int
    durability: Literal["os", "disk"]
    history: History | None
    dispatch: Dispatch | None


class DatabaseOptions(TypedDict, total=False):
    """The keyword options of ``track`` for a database."""

    callback: Callback | None
    folder: str | os.PathLike[str]
    durability: Literal["os", "disk"]
    dispatch: Dispatch | None


@overload
def track(
    structure: MutableMapping[Any, Any],
    name: str,
    *,
    persist: Storage | type[Storage],
    **options: Unpack[DatabaseOptions],
) -> LazyDict: ...
@overload
def track(
    structure: MutableMapping[Any, Any], name: str | None = None, **options: Unpack[Options]
) -> DictWrapper: ...
@overload
def track(structure: MutableSequence[Any], name: str | None = None, **options: Unpack[Options]) -> ListWrapper: ...
@overload
def track(structure: MutableSet[Any], name: str | None = None, **options: Unpack[Options]) -> SetWrapper: ...
@overload
def track(structure: Dataclass, name: str | None = None, **options: Unpack[Options]) -> Dataclass: ...
def track(
    structure: Any,
    name: str | None = None,
    *,
    callback: Callback | None = None,
    conflict_callback: Callable[[Conflict], object] | None = None,
    persist: bool | Format | Storage | type[Format | Storage] = True,
    folder: str | os.PathLike[str] = ".",
    sync: bool | str | Peer | None = None,
    version: int = 0,
    durability: Literal["os", "disk"] | None = None,
    history: History | None = None,
    dispatch: Dispatch | None = None,
) -> Any:
    """Return a living copy of a dict, list or set: saved on every change, observed, transactional and synced.

    It is read and changed like the plain structure; ``with x:`` makes several changes one, all or nothing.
    Of an instance of a dataclass, it is a typed view: an instance of the dataclass whose fields are the entries of
    a tracked dict, ``tracker(x).root``, and are checked against their annotations when they are assigned.

    structure: what it starts with (the defaults). If there is a file or a state for ``name`` already, that is what
      it holds: what a file lacks that was there first counts as deleted. Where ``version`` is higher than before,
      entries are added that only the given structure has, unless somebody has deleted them. A dataclass shows its
      defaults in any case.
    name: names the file (``<folder>/<name>.yaml``, or what ``persist`` says) and, among peers, the document;
      'home/lights' is a name. Without one nothing is kept on disk. Tracking the name of an open structure again
      gives the same object; a callback that is given then is called too, and other options have to be the same.
    callback: called with a ``Change`` after each change, wherever it came from, or with a list of several that
      were made at once.
    conflict_callback: called with a ``Conflict`` when this device and another turn out to have written the same
      place without knowing of each other's write, after the callback; see ``tracker(x).conflicts()``.
    persist: how it is kept, a class or an instance: YAML (the same as True), JSON, or a Format of your own; these
      may be exchanged from one run to the next. Pickle and UnsafeYAML hold any Python objects, can execute code
      when they are loaded, and cannot be synced. SQLite and Shelve, or a Storage of your own, are for larger data:
      the result is a LazyDict, whose entries are loaded when they are touched, and saved one by one; it cannot be
      synced either, and Shelve holds any Python objects. False keeps nothing on disk.
    folder: where the files lie: ``<name>.yaml`` for people, and ``.tinysync/<name>/`` with the state.
    sync: True to find this user's other devices on the local network: those that have the same key, which
      ``Key.default`` has; all that a program tracks so is shared by one Peer(lan=True). Or a ``Peer``, or the
      ``ws://`` address of one to connect to. Changes made offline are exchanged when the devices meet again.
    version: orders the defaults of versions of an app: an int from 0 to 4095.
    durability: 'os': a change survives kill -9 once the call has returned (if nothing is said); 'disk': a power
      cut, too.
    history: how long earlier states can be asked for; ``History(days=30, megabytes=10)`` if nothing is said.
    dispatch: called with a function that applies the changes of other devices and hand edits, to run it on a
      thread of the program's choosing (``queue.put``); inside a running asyncio loop the default is that
      loop, until it is closed. Otherwise they arrive between two changes of the program, on a thread of their
      own: iterate in ``with x:`` or over ``tracker(x).snapshot()``.

    Raises UnsupportedValue or InvalidValue (what cannot be held, with its path), InvalidName, InvalidAddress,
    KindMismatch, DocumentInUse, UnreadableFile and StorageError; then nothing was changed. UsageError if the peer
    is closed, or shares another structure of this name, and for sync=True without a key.
    """
    _check_callbacks(callback, conflict_callback, dispatch)
    _check_options(name, folder, sync, durability, history)
    keeper = _keeper(persist, name)
    if sync or conflict_callback is not None:
        _check_can_sync(keeper)
    suffix = keeper.suffix if keeper is not None else YAML.suffix
    schema = _schema_of(structure, keeper)
    if schema is not None:
        structure = schema.defaults
    paths = document_paths(name, folder, suffix) if name is not None else None
    if keeper is None:
        paths = None
    with looked_up(paths.state if paths is not None else None) as known:
        if known is None:
            replica = open_replica(
                structure,
                name,
                paths=paths,
                version=version,
                callback=callback,
                conflict_callback=conflict_callback,
                dispatch=dispatch or running_loop_dispatch(),
                durability=durability or "os",
                history=history,
                keeper=keeper,
            )
            replica.schema = schema
            if paths is not None:
                replica.on_close(lambda: open_replicas.pop(paths.state, None))
                open_replicas[paths.state] = replica
        elif paths is not None and known.disk is not None and known.disk.path != paths.readable:
            raise UsageError(
                f"{name!r} is open as {known.disk.path.name}; close it with tracker(x).close() before it is opened"
                f" as {paths.readable.name}"
            )
        else:
            replica = known
            check_same(
                replica, structure, version=version, durability=durability, history=history, dispatch=dispatch
            )
            _check_same_class(replica, schema)
            replica.inbox.adopt(dispatch or running_loop_dispatch())
            replica.add_callbacks(callback, conflict_callback)
    if sync:
        try:
            _share(replica, sync)
        except BaseException:
            if known is None:
                replica.close()
            raise
    return replica.root if replica.schema is None else replica.schema.view(replica.root)


def _schema_of(structure: Any, keeper: Format | Storage | None) -> Schema | None:
    if not is_instance_of_dataclass(structure) or kind_of(structure) is not None:
        return None
    if isinstance(keeper, Storage):
        raise UsageError(
            f"a dataclass is not kept in {type(keeper).__name__}, which is for large dicts: use persist=YAML or"
            " persist=JSON"
        )
    return Schema(structure)


def _check_same_class(replica: Replica, schema: Schema | None) -> None:
    is_open = dict if replica.schema is None else replica.schema.cls
    given = dict if schema is None else schema.cls
    if is_open is not given:
        raise KindMismatch(
            f"{replica.name!r} is open as a {is_open.__name__}, but a {given.__name__} was given to track(); close"
            " it first, or give the same (tracker(x).root is the dict behind a dataclass)"
        )


def _check_callbacks(callback: object, conflict_callback: object, dispatch: object) -> None:
    if callback is not None and not callable(callback):
        raise UsageError(f"callback= must be a function that takes the changes, not {callback!r}")
    if conflict_callback is not None and not callable(conflict_callback):
        raise UsageError(f"conflict_callback= must be a function that takes a Conflict, not {conflict_callback!r}")
    if dispatch is not None and not callable(dispatch):
        raise UsageError(f"dispatch= must be a function that has a callable run, like queue.put, not {dispatch!r}")


def _check_options(name: object, folder: object, sync: object, durability: object, history: object) -> None:
    if name is not None and not isinstance(name, str):
        raise InvalidName(f"a structure's name must be a str, not {name!r}")
    if not isinstance(folder, (str, os.PathLike)):
        raise UsageError(f"folder= must be the path of a folder, not {folder!r}")
    if sync and name is None:
        raise UsageError("a structure needs a name to be synced: track(structure, 'name', sync=...)")
    if isinstance(sync, str):
        parse_address(sync)
    elif sync is not None and not isinstance(sync, (bool, Peer)):
        raise UsageError(f"sync= must be True, a Peer or an address like 'ws://127.0.0.1:8765', not {sync!r}")
    if durability not in (None, "os", "disk"):
        raise UsageError(f"durability= must be 'os' or 'disk', not {durability!r}")
    if history is not None and not isinstance(history, History):
        raise UsageError(f"history= must be a History(days=..., megabytes=...), not {history!r}")


def _keeper(persist: object, name: object) -> Format | Storage | None:
    if persist is True:
        return YAML()
    if persist is False:
        return None
    if name is None:
        raise UsageError("a structure needs a name to be kept: track(structure, 'name', persist=...)")
    if isinstance(persist, type) and issubclass(persist, (Format, Storage)):
        return persist()
    if isinstance(persist, (Format, Storage)):
        return persist
    raise UsageError(
        f"persist= must be True, False, a Format such as JSON, or a Storage such as SQLite, not {persist!r}"
    )


def _check_can_sync(keeper: Format | Storage | None) -> None:
    if isinstance(keeper, Storage):
        raise UsageError(
            f"what {type(keeper).__name__} keeps is a database on this device, without a document: it cannot be"
            " synced; use persist=YAML or persist=JSON"
        )
    if keeper is not None and keeper.vocabulary is None:
        raise UsageError(
            f"what {type(keeper).__name__} keeps holds any Python objects, and can execute code when it is loaded:"
            " it cannot be synced; use persist=YAML or persist=JSON"
        )


def _share(replica: Replica, sync: bool | str | Peer) -> None:
    if isinstance(sync, Peer):
        replica.sharing.add(sync)
        return
    if not isinstance(sync, str):
        _share_with_all(replica)
        return
    address = str(parse_address(sync))
    if replica.sharing.has_joined(address):
        return
    peer = Peer(connect=[address])
    try:
        replica.sharing.add(peer, joined=address, leave=peer.close)
    except BaseException:
        peer.close()
        raise


def _share_with_all(replica: Replica) -> None:
    if replica.sharing.has_joined(ALL):
        return
    peer = common_peer.take()
    try:
        replica.sharing.add(peer, joined=ALL, leave=partial(common_peer.give_back, peer))
    except BaseException:
        common_peer.give_back(peer)
        raise


def tracker(structure: Any) -> Tracker:
    """Return the handle of a tracked structure, or of a part of it: what ``x._tracker`` gives.

    Raises UsageError if it is not a tracked structure, or a part that was removed from it.
    """
    handle = structure._tracker if isinstance(structure, (Tracked, Typed)) else None
    if not isinstance(handle, Tracker):
        raise UsageError(
            f"{named(structure)} is not tracked, or was removed from its structure; pass what track()"
            " returned, or what is part of it"
        )
    return handle
