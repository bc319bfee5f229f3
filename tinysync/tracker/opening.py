"""Opening a structure: what is on disk, what a person wrote into the file, and what the program starts with."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinysync.crdt.ids import MAX_VERSION, new_client_id
from tinysync.crdt.seed import import_content, seed_document
from tinysync.errors import (
    BadUpdate,
    InvalidValue,
    KindMismatch,
    StorageError,
    UnsupportedValue,
    UsageError,
    named,
)
from tinysync.storage.conflict_journal import ConflictJournal
from tinysync.storage.devices_file import DevicesFile
from tinysync.storage.failures import storage_errors
from tinysync.storage.format import Format
from tinysync.storage.kept_as import check_is_document
from tinysync.storage.lost_log import traces
from tinysync.storage.merge import apply_edits
from tinysync.storage.readable import refused
from tinysync.storage.recovery import own_clients
from tinysync.storage.regular import check_folders
from tinysync.storage.yaml_format import YAML
from tinysync.tracked.adopt import arrange, build, copy_anything, copy_in
from tinysync.tracked.lazy import Entries, make_lazy_dict
from tinysync.tracked.local import LocalDocument
from tinysync.tracked.plain import kind_of
from tinysync.tracker.database import Database
from tinysync.tracker.disk import Disk, updates_of
from tinysync.tracker.known_devices import KnownDevices
from tinysync.tracker.replica import Replica
from tinysync.tracker.whole_file import WholeFile
from tinysync.transport.eventloop import LoopDispatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tinysync.model import Conflict, History, Kind
    from tinysync.storage.atomic import Durability
    from tinysync.storage.names import Paths
    from tinysync.storage.oplog_contract import Opened
    from tinysync.storage.readable import Status
    from tinysync.storage.storage import Storage
    from tinysync.tracker.inbox import Dispatch
    from tinysync.tracker.notify import Callback

logger = logging.getLogger("tinysync")


def open_replica(
    structure: Any,
    name: str | None,
    *,
    paths: Paths | None,
    version: int = 0,
    callback: Callback | None = None,
    conflict_callback: Callable[[Conflict], object] | None = None,
    dispatch: Dispatch | None = None,
    durability: Durability = "os",
    history: History | None = None,
    keeper: Format | Storage | None = None,
) -> Replica:
    """Return the tracker of a structure, read from its files or started with the given content.

    Without ``paths`` nothing is kept on disk; the readable file's name in them has the suffix of ``keeper``, which
    is YAML if it is not given. Raises UnsupportedValue or InvalidValue if the structure cannot be held,
    KindMismatch if what is stored is of another kind, UnreadableFile if the file does not parse, DocumentInUse if
    another process has it and cannot share it, UsageError if the name's state has another form, and StorageError
    if files cannot be read or written. Then nothing was changed on disk.
    """
    if type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise UsageError(f"version= must be an int from 0 to {MAX_VERSION}, not {version!r}")
    if kind_of(structure) is None:
        given = f"the class {structure.__name__}" if isinstance(structure, type) else named(structure)
        raise UnsupportedValue(
            f"only a dict, list or set, or an instance of a dataclass, can be tracked, not {given} (at the root)"
        )
    options = _Options(name, version, callback, conflict_callback, dispatch, durability, history)
    if paths is None:
        default = copy_in(structure)
        replica = options.replica(_kind(default))
        replica.document.load(seed_document(default, version))
        arrange(replica.root, default)
        return replica
    check_folders(name or "", paths)
    keeper = keeper or YAML()
    if isinstance(keeper, Format) and keeper.vocabulary is not None:
        disk = Disk(paths, keeper, keeper.vocabulary, durability, history)
        return _open_document(structure, options, disk, paths)
    if version or history is not None:
        raise UsageError(
            f"version= and history= need a document, and {paths.readable.name} is none; what a newer version of"
            " the program needs can be added by setdefault()"
        )
    if isinstance(keeper, Format):
        return _open_whole_file(structure, options, WholeFile(paths, keeper, durability))
    return _open_database(structure, options, Database(paths, keeper, durability), holds_anything=keeper.pickled)


@dataclass(frozen=True, slots=True)
class _Options:
    """What was given to ``track`` beside the structure and where it is kept."""

    name: str | None
    version: int
    callback: Callback | None
    conflict_callback: Callable[[Conflict], object] | None
    dispatch: Dispatch | None
    durability: Durability
    history: History | None

    def replica(self, kind: Kind, **options: Any) -> Replica:
        """Return a replica that is still to be filled."""
        return Replica(
            kind,
            name=self.name,
            version=self.version,
            callback=self.callback,
            conflict_callback=self.conflict_callback,
            dispatch=self.dispatch,
            durability=self.durability,
            history=self.history,
            **options,
        )


def _kind(copied: Any) -> Kind:
    kind = kind_of(copied)
    assert kind is not None
    return kind


def _open_document(structure: Any, options: _Options, disk: Disk, paths: Paths) -> Replica:
    """Open a structure whose state is its op log, and whose file is a view."""
    default = copy_in(structure)
    replica = options.replica(_kind(default), disk=disk)
    check_is_document(paths)
    # Callbacks are told when all is done, and the folder's lock is free.
    with replica.changing(), disk.opening() as opened:
        check_is_document(paths)
        status = disk.view.status()
        replica.document.own.update(own_clients(opened.records))
        if opened.records:
            try:
                _reopen(replica, disk, opened, default)
            except KindMismatch as error:
                raise KindMismatch(
                    f"{paths.state} holds {options.name!r}, and {error}; give a structure of that kind, or another"
                    " name",
                ) from None
            except BadUpdate as error:
                raise StorageError(
                    f"the state in {paths.state} cannot be used: {error}; move that folder away to start from the "
                    "readable file",
                ) from error
            disk.compact_if_large(opened, replica)
        else:
            _start(replica, disk, default, status, paths)
        replica.known = KnownDevices(opened.device, DevicesFile(paths.state, opened.session))
        replica.conflicts.open(ConflictJournal(paths.state))
        disk.view.open(replica, status, opened.device, taken=not opened.records)
        replica.undoing.clear()
        disk.watch(replica)
    return replica


def check_same(
    replica: Replica,
    structure: Any,
    *,
    version: int,
    durability: Durability | None,
    history: History | None,
    dispatch: Dispatch | None,
) -> None:
    """See that an open structure is what ``track`` was asked for; raises KindMismatch or UsageError."""
    copied = copy_anything(structure) if replica.holds_anything else copy_in(structure)
    if kind_of(copied) != replica.kind:
        raise KindMismatch(
            f"{replica.name!r} is open as a {replica.kind}, but {named(structure)} was given to track(); give a"
            " structure of that kind, or another name",
        )
    if version and version > replica.document.version:
        raise UsageError(
            f"{replica.name!r} is open with version={replica.document.version}; close it first to bring in the "
            f"defaults of version={version}",
        )
    if durability not in (None, replica.durability):
        raise _differs(replica, f"with durability={replica.durability!r}", f"durability={durability!r}")
    if history not in (None, replica.history):
        raise _differs(replica, f"with history={replica.history!r}", f"history={history!r}")
    present = replica.inbox.dispatch
    if dispatch not in (None, present) and not replica.inbox.has_ended:
        has = "without dispatch=" if present is None else "with another dispatch="
        if isinstance(present, LoopDispatch):
            has += ", the event loop that it was tracked in"
        raise _differs(replica, has, "this one")


def _differs(replica: Replica, has: str, given: str) -> UsageError:
    return UsageError(f"{replica.name!r} is open {has}; close it first to open it with {given}")


def _open_whole_file(structure: Any, options: _Options, file: WholeFile) -> Replica:
    """Open a structure whose state is its file."""
    default = copy_anything(structure)
    kind = _kind(default)
    stored = file.open()
    try:
        content = default if stored is None else copy_anything(stored)
        _check_kind(file.path, content, kind)
        reason = (
            f"{file.path.name} may hold any Python object, and execute code when it is loaded; such a structure"
            " has no document, and cannot be synced: use persist=YAML or persist=JSON for that"
        )
        local = LocalDocument(kind, reason)
        replica = options.replica(kind, disk=file, local=local, holds_anything=True)
        local.fill(content, replica)
        if stored is None:
            file.write(replica.root)
    except BaseException:
        file.abandon()
        raise
    return replica


def _open_database(structure: Any, options: _Options, database: Database, *, holds_anything: bool) -> Replica:
    """Open a structure whose entries lie in a database."""
    default = copy_anything(structure) if holds_anything else copy_in(structure)
    if _kind(default) != "dict":
        raise KindMismatch(f"a database holds a dict, and a {_kind(default)} was given to track()")
    database.open(default)
    try:
        reason = f"{database.path.name} is a database on this device, without a document, and cannot be synced"
        local = LocalDocument("dict", reason)
        replica = options.replica("dict", disk=database, local=local, holds_anything=holds_anything)
        root = local.root
        entries = database.entries = Entries(database, root, lambda value, key: build(value, root, key, replica))
        make_lazy_dict(root, replica, entries)
    except BaseException:
        database.abandon()
        raise
    return replica


def _start(replica: Replica, disk: Disk, default: Any, status: Status, paths: Paths) -> None:
    """Begin the document of a structure that has no op log, with its readable file's content if there is one.

    That may be one that the program wrote itself: then the op log was lost, and the file is what is left.
    """
    _warn_of_lost_log(paths)
    version = replica.document.version
    client = replica.document.engine.client_id
    content, updates = default, seed_document(default, version)
    value = disk.view.value(status)
    if value is not None:
        # An edit of the default: so it keeps the types that the file cannot say.
        content = copy_in(default)
        try:
            apply_edits(content, None, value, disk.vocabulary)
        except KindMismatch:
            _check_kind(paths.readable, value, replica.kind)
            raise
        try:
            content = copy_in(content)
        except InvalidValue as error:
            raise refused(paths.readable, error) from error
        client = new_client_id(0)
        updates = import_content(default, content, version, client)
        replica.document.own.add(client)
    replica.document.load(updates)
    arrange(replica.root, content)
    disk.append("seed" if value is None else "file", client, updates)


def _warn_of_lost_log(paths: Paths) -> None:
    with storage_errors("look into", paths.state, "See that the folder is there and readable."):
        left = traces(paths.state)
    if left:
        logger.warning(
            "The op log in %s is gone (left of it: %s): the structure begins anew with %s, and what was deleted"
            " comes back, on all devices. To get it from another device instead, close it, move that"
            " folder and the file away, and track it again.",
            paths.state,
            ", ".join(left),
            paths.readable,
        )


def _check_kind(place: Path, content: Any, kind: Kind) -> None:
    if kind_of(content) != kind:
        raise KindMismatch(
            f"{place} holds {named(content)}, but a {kind} was given to track(); give a"
            " structure of that kind, or another name",
        )


def _reopen(replica: Replica, disk: Disk, opened: Opened, default: Any) -> None:
    """Load a document and add the defaults of a newer version of the app."""
    document = replica.document
    document.load(updates_of(opened.records), opened.prepared)
    seen = document.seeded_version()
    if seen is None or document.version > seen:
        seed = seed_document(default, document.version)
        received = document.receive(seed)
        disk.append("seed", document.engine.client_id, seed)
        document.show(received)
