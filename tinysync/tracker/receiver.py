"""What others wrote, brought in: into the engine and the op log, then it shows, then callbacks hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinysync.crdt.engine import HalfApplied
from tinysync.errors import BadUpdate, EngineFailure, StorageError, StructureClosed
from tinysync.model import Change, Delivered, Outcome
from tinysync.tracker.authors import REMOVALS, Credits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.crdt.document import Received
    from tinysync.crdt.patching import Patch
    from tinysync.model import DeviceId, Origin
    from tinysync.tracker.authors import Credit
    from tinysync.tracker.notify import Noted
    from tinysync.tracker.replica import Replica


class Receiver:
    """Brings updates into a structure that other devices wrote, or other processes of this one."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def receive(
        self,
        updates: list[bytes],
        device: DeviceId,
        done: Callable[[Delivered], None],
        *,
        is_diff: bool = False,
    ) -> None:
        """Bring updates into the structure that a device brought; ``is_diff``: not as they were made.

        ``done`` is called when they are in the op log and show, before callbacks hear of them: who waits for the
        acknowledgement of a change may look at it here.
        """
        replica = self._replica
        with replica.changing():
            logged = self._log_received(updates, device, done, is_diff=is_diff)
            if logged is None:
                return
            received, credits_ = logged
            try:
                changes = self._show(received, "remote", credits_)
            finally:
                done(Delivered(Outcome.PENDING if received.pending else Outcome.APPLIED))
            if changes is None:
                return
            self.notify(changes, "remote")
            if replica.disk is not None:
                replica.disk.save(replica, received=True)

    def notify(self, changes: list[Noted], origin: Origin) -> None:
        """Have told of changes that no call of this program made, and of the conflicts that were found."""
        replica = self._replica
        conflicts = replica.conflicts.take_untold()
        if changes or conflicts:
            replica.notifier.put(changes, origin, None, conflicts)

    def receive_from_log(self, updates: list[bytes], origin: Origin, credit: Credit, *, is_state: bool) -> None:
        """Bring in updates that another process has put into the op log; the lock is held.

        ``is_state``: they are a compacted state, of which most is known. Raises StorageError if they are damaged.
        """
        replica = self._replica
        # Who knows what the other process has told others of.
        replica.document.deleted_here.meet()
        before = replica.document.state_vector() if is_state else b""
        try:
            received = replica.document.receive(updates, trusted=True)
        except EngineFailure as error:
            replica.fail(error)
            return
        except BadUpdate as error:
            if isinstance(error, HalfApplied):
                replica.rebuild()
            raise StorageError(f"what another process wrote into the op log cannot be used: {error}") from error
        if not received.new:
            return
        changes = self._show(received, origin, Credits(credit, credit))
        if replica.closed:
            return
        replica.sharing.publish(replica.document.diff(before) if is_state else updates)
        self.notify(changes or [], origin)

    def _show(self, received: Received, origin: Origin, credits_: Credits) -> list[Noted] | None:
        """Make updates show; return what callbacks are to be told, None if nothing changed."""
        replica = self._replica
        try:
            patches = replica.document.show(received)
        except EngineFailure as error:
            replica.fail(error)
            return None
        replica.undoing.others_wrote(received.touched)
        replica.conflicts.note(received.clashes, credits_.removed)
        if not patches:
            return [] if replica.conflicts.has_untold else None
        if replica.changed is not None:
            replica.changed.note_patches(patches)
        return self._remote_changes(patches, origin, credits_) if replica.notifier else []

    def _remote_changes(self, patches: list[Patch], origin: Origin, credits_: Credits) -> list[Noted]:
        replica = self._replica
        written, removed = credits_
        changes = [
            Change(
                replica.root,
                replica.name,
                patch.node.path() if patch.node.attached else [],
                patch.func_name,
                patch.args,
                {},
                patch.node.container,
                origin,
                *(removed if patch.func_name in REMOVALS else written),
            )
            for patch in patches
        ]
        return replica.notifier.note_patches(changes, patches)

    def _log_received(
        self,
        updates: list[bytes],
        device: DeviceId,
        done: Callable[[Delivered], None],
        *,
        is_diff: bool,
    ) -> tuple[Received, Credits] | None:
        """Put updates into the engine and the op log; return None, after ``done``, if there is nothing to show."""
        replica = self._replica
        try:
            replica.check_open()
            received = replica.document.receive(updates)
        except EngineFailure as error:
            replica.fail(error)
            done(Delivered(Outcome.FAILED, error))
            return None
        except (BadUpdate, StructureClosed) as error:
            if isinstance(error, HalfApplied):
                replica.rebuild()
            done(Delivered(Outcome.FAILED, error))
            return None
        if not received.new:
            done(Delivered(Outcome.PENDING if received.pending else Outcome.DUPLICATE, new=False))
            return None
        credits_ = replica.known.authors.credits(received, device, is_diff=is_diff)
        try:
            if replica.disk is not None:
                replica.disk.record(replica, "remote", (), received.kept, credits_.removed.meta)
        except StorageError as error:
            replica.rebuild([])
            done(Delivered(Outcome.FAILED, error))
            return None
        return received, credits_
