"""The handle of a tracked structure: what a program can ask and do beside reading and editing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.errors import UsageError

if TYPE_CHECKING:
    from tinysync.model import Kind
    from tinysync.tracker.replica import Replica


class Tracker:
    """The handle behind a tracked structure: ``tracker(x)``."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def __repr__(self) -> str:
        closed = " (closed)" if self._replica.closed else ""
        return f"<Tracker of the {self.kind} {self.name!r}{closed}>"

    @property
    def name(self) -> str | None:
        """The name that was given to ``track``."""
        return self._replica.name

    @property
    def kind(self) -> Kind:
        """What the structure is: 'dict', 'list' or 'set'."""
        return self._replica.kind

    @property
    def closed(self) -> bool:
        """Whether it was closed; then it can be read, but not written to."""
        return self._replica.closed

    def snapshot(self) -> Any:
        """Return a consistent plain copy of the structure."""
        return self._replica.snapshot()

    def flush(self) -> None:
        """Write the readable file now, and have the disk hold all of it; raises StorageError if that fails.

        While the program runs, a readable file over 64 KiB is written a moment after a change.
        """
        self._replica.flush()

    def wait_synced(self, timeout: float | None = None) -> None:
        """Return once every peer has what was written here, and this device has what they held at the call.

        Every configured peer (each ``connect`` address, and each connected one) must have confirmed that what was
        written here before the call is in its op log; what it held when it was asked is here. ``timeout`` is in
        seconds. Raises SyncTimeout, naming the peers that did not answer in time (all of them while offline), and
        KindMismatch if a peer has a structure of another kind under this name.
        """
        with self._replica.reading():
            if self._replica.lock.depth:
                raise UsageError("cannot wait for peers inside a transaction: they get it at its end")
        self._replica.sharing.wait_synced(timeout)

    def close(self) -> None:
        """Write what is to be written, leave the peers and give the files free.

        The structure stays readable; writing to it raises StructureClosed. Closing twice is fine. Raises
        StorageError if the readable file could not be written; the op log has everything even then.
        """
        self._replica.close()
