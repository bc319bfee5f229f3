"""Opening a structure: what is on disk, what a person wrote into the file, and what the program starts with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.ids import MAX_VERSION, new_client_id
from tinysync.crdt.seed import import_content, seed_document
from tinysync.errors import BadUpdate, KindMismatch, StorageError, UnsupportedValue, UsageError
from tinysync.tracked.adopt import copy_in
from tinysync.tracked.plain import kind_of
from tinysync.tracker.disk import Disk, updates_of
from tinysync.tracker.replica import Replica

if TYPE_CHECKING:
    from tinysync.model import History
    from tinysync.storage.atomic import Durability
    from tinysync.storage.names import Paths
    from tinysync.storage.readable import Status
    from tinysync.tracker.inbox import Dispatch
    from tinysync.tracker.notify import Callback


def open_replica(
    structure: Any,
    name: str | None,
    *,
    paths: Paths | None,
    version: int = 0,
    callback: Callback | None = None,
    dispatch: Dispatch | None = None,
    durability: Durability = "os",
    history: History | None = None,
) -> Replica:
    """Return the tracker of a structure, read from its files or started with the given content.

    Without ``paths`` nothing is kept on disk. Raises UnsupportedValue or InvalidValue if the given structure
    cannot be held, KindMismatch if what is stored is of another kind, UnreadableFile if the readable file does not
    parse, DocumentInUse if another process has it open, and StorageError if files cannot be read or written. Then
    nothing was changed on disk.
    """
    if type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise UsageError(f"version= must be an int from 0 to {MAX_VERSION}, not {version!r}")
    default = copy_in(structure)
    kind = kind_of(default)
    if kind is None:
        raise UnsupportedValue(f"only a dict, list or set can be tracked, not a {type(structure).__name__}")
    if paths is None:
        replica = Replica(kind, name=name, version=version, callback=callback, dispatch=dispatch)
        replica.document.load(seed_document(default, version))
        return replica
    disk = Disk(paths, durability, history)
    replica = Replica(kind, name=name, version=version, callback=callback, dispatch=dispatch, disk=disk)
    opened = disk.open()
    try:
        status = disk.status()
        if opened.records:
            try:
                _reopen(replica, disk, updates_of(opened.records), default)
            except KindMismatch as error:
                raise KindMismatch(
                    f"{paths.state} holds {name!r}, and {error}; give a structure of that kind, or another name",
                ) from None
            except BadUpdate as error:
                raise StorageError(
                    f"the state in {paths.state} cannot be used: {error}; move that folder away to start from the "
                    "readable file",
                ) from error
            disk.compact_if_large(opened, replica)
        else:
            _start(replica, disk, default, status, paths)
        disk.open_readable(replica, status, taken=not opened.records)
        disk.watch(replica)
    except BaseException:
        disk.abandon()
        raise
    return replica


def check_same(replica: Replica, structure: Any, version: int) -> None:
    """See that an open structure is what ``track`` was asked for; raises KindMismatch or UsageError."""
    if kind_of(copy_in(structure)) != replica.kind:
        raise KindMismatch(
            f"{replica.name!r} is open as a {replica.kind}, but a {type(structure).__name__} was given to track();"
            " give a structure of that kind, or another name",
        )
    if version > replica.document.version:
        raise UsageError(
            f"{replica.name!r} is open with version={replica.document.version}; close it first to bring in the "
            f"defaults of version={version}",
        )


def _start(replica: Replica, disk: Disk, default: Any, status: Status, paths: Paths) -> None:
    """Begin the document of a structure that has no op log, with its readable file's content if there is one.

    That may be one that the program wrote itself: then the op log was lost, and the file is what is left.
    """
    version = replica.document.version
    updates = seed_document(default, version)
    value = disk.readable_value(status)
    if value is not None:
        content = copy_in(value)
        if kind_of(content) != replica.kind:
            raise KindMismatch(
                f"{paths.readable} holds a {kind_of(content)}, but a {replica.kind} was given to track(); "
                "give a structure of that kind, or another name",
            )
        updates = import_content(default, content, version, new_client_id(0))
    replica.document.load(updates)
    disk.append("seed", replica.document.engine.client_id, updates)


def _reopen(replica: Replica, disk: Disk, updates: list[bytes], default: Any) -> None:
    """Load a document and add the defaults of a newer version of the app."""
    document = replica.document
    document.load(updates)
    seen = document.seeded_version()
    if seen is None or document.version > seen:
        seed = seed_document(default, document.version)
        received = document.receive(seed)
        disk.append("seed", document.engine.client_id, seed)
        document.show(received)
