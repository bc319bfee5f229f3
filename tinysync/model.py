"""Plain frozen data that all layers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, NewType

from tinysync.errors import TinySyncError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Kind = Literal["dict", "list", "set"]
Origin = Literal["local", "remote", "file"]
Path = list[Any]
"""Keys and indices from the root to a part of the structure; empty for the root."""

DocumentId = NewType("DocumentId", str)
"""The name that identifies a document among peers."""

DeviceId = NewType("DeviceId", str)
"""Identifies one device (one folder of state) for good; never derived from an address."""

NOT_KEPT: Final = DeviceId("")
"""In place of an id: nothing is kept on disk, so there is nothing to be found again."""


@dataclass(frozen=True, slots=True)
class Author:
    """A device that wrote to a document: its folder of the document, empty if it keeps nothing, and its name."""

    replica: DeviceId
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a tracked structure, as a callback gets it.

    All elements are direct references into the live structure; deep-copy what is to be kept.
    ``path`` leads from the root to ``target``, the container that was changed by calling
    ``func_name(*args, **kwargs)`` on it. ``origin`` is ``'local'`` for this program, ``'remote'`` for another
    device and ``'file'`` for a hand edit of the readable file. For ``'remote'``, ``device`` names the device that
    wrote it. Where that is not known ``via`` is True, and ``device`` names the one that brought the change over a
    link: it wrote it, or passed it on. (It is not known of what a Yjs client wrote, of what came with changes of
    others in one go, and of a deletion that was caught up with.) What another process that has the structure open
    did itself is ``'remote'``, too, and ``device`` then is this device's own id.
    """

    root: Any
    name: str | None
    path: Path
    func_name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    target: Any = None
    origin: Origin = "local"
    device: DeviceId | None = None
    via: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """How long the history of a structure is kept: so many days and so many megabytes, whichever is less.

    A megabyte is 1,000,000 bytes of changes. What is older is let go when the op log is compacted: on opening,
    after a day, and when it has grown by 4 MB or 8,000 changes.
    With 0 of either nothing is kept. Raises UsageError for what is not a number from 0 on.
    """

    days: float = 30
    megabytes: float = 10

    def __post_init__(self) -> None:
        for name, value in (("days", self.days), ("megabytes", self.megabytes)):
            if type(value) not in (int, float) or not value >= 0:
                raise UsageError(f"{name}= of a History must be a number from 0 on, not {value!r}")


@dataclass(frozen=True, slots=True)
class Left:
    """A place that an undo or redo left as it is; ``reason`` says why.

    ``path`` leads there, or to the nearest container that is still there.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo or redo came to.

    ``done`` says whether it changed anything; so does the truth of it. ``left`` are the places that were left as
    they are.
    """

    done: bool
    left: tuple[Left, ...] = ()

    def __bool__(self) -> bool:
        return self.done


HistoryOrigin = Literal["local", "remote", "file", "default"]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One version of a structure, as ``tracker(x).history()`` lists it.

    ``version`` is its number on this device, for good; ``when`` it was saved here, in local time. ``origin`` is
    where it came from: this device (``'local'``), a hand edit (``'file'``), another device (``'remote'``), or the
    defaults that the program gave (``'default'``). ``device`` is the name of this device, or, if ``'remote'``, of
    the one that made it. Where that is not known, or several made it, ``via`` is True, and ``device`` is the name
    of the one that brought it. This device goes by the name that its peer has, or else by that of the host.
    """

    version: int
    when: datetime
    device: DeviceId
    origin: HistoryOrigin
    _find_paths: Callable[[], list[Path]] = field(repr=False, compare=False)
    via: bool = field(default=False, repr=False)

    def __repr__(self) -> str:
        try:
            paths = repr(self.paths)
        except TinySyncError as error:
            paths = f"<{error}>"
        return (
            f"HistoryEntry(version={self.version}, when={self.when.isoformat(' ', 'seconds')},"
            f" device={self.device!r}, origin={self.origin!r}, paths={paths}{', via=True' if self.via else ''})"
        )

    @property
    def paths(self) -> list[Path]:
        """What it changed: entries of dicts, and lists and sets as a whole.

        This is found out when it is asked for the first time, for many versions at once, which takes as long as
        opening the structure. Raises StorageError if files are damaged.
        """
        return self._find_paths()


class Outcome(Enum):
    """What became of updates that a peer delivered."""

    APPLIED = "applied"
    """They are in the op log and in the document."""
    DUPLICATE = "duplicate"
    """The document held them already."""
    PENDING = "pending"
    """They are in the op log, but refer to updates that are missing: a diff is needed."""
    FAILED = "failed"
    """They are not in the op log; the error says why."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The answer to a delivery of updates."""

    outcome: Outcome
    error: Exception | None = None
    new: bool = True
    """Whether some of what is pending was not known before; only then is it passed on to other devices."""


class Nothing(Enum):
    """Stands where no value is: what was there is deleted."""

    NOTHING = "NOTHING"

    def __repr__(self) -> str:
        return self.value


NOTHING: Final = Nothing.NOTHING
"""In a ``Conflict``: the entry was deleted, or there was none."""

ConflictKind = Literal["value", "move"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two devices wrote the same place without knowing of each other's write, and one of the two took effect.

    path: leads to the place at the time it was found: an entry of a dict, an element of a list; for a set the
      element is the last step.
    kind: 'value', or 'move': both moved one element of a list, and the values are the indices it was moved to.
    lost: what did not take effect, as a plain copy; NOTHING if it was a deletion.
    kept: what did.
    lost_device: the name of the device that wrote what was lost.
    kept_device: the same for what was kept. Both are empty where no name is known.
    lost_here: whether it was this device's write that was lost.
    when: the time at which this device found it, in local time.
    via: whether it is not known who the other device was: then its name is that of the one that brought the write
      over a link. It is not known of Yjs clients, nor of an element of a list that was deleted while the devices
      were apart.
    """

    path: Path
    kind: ConflictKind
    lost: Any
    kept: Any
    lost_device: str
    kept_device: str
    lost_here: bool
    when: datetime
    _restore: Callable[[], None] = field(repr=False, compare=False)
    via: bool = False

    def restore(self) -> None:
        """Write what was lost back, as a new change: it is saved, synced and can be undone like any other.

        Containers on the way that are gone are made anew; an element that was deleted from a list comes back. Of a
        container that this device had removed, what others wrote into it comes back. What is the same already is
        not touched. Raises UsageError if there is no place for it any more, or, for an element of a list, inside a
        transaction that has changed something; and what any change raises.
        """
        self._restore()
