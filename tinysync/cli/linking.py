"""Links to other devices as they come up, and addresses where there is none, printed."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tinysync.cli.reporting import in_a_shell, print_json, print_text
from tinysync.transport.refusals import UNANSWERED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.peer import Peer
    from tinysync.status import DeviceStatus, PeerStatus


@contextmanager
def links_told(peer: Peer, *, as_json: bool) -> Iterator[None]:
    """Print in the block which devices are linked, and once for each address why nobody is."""
    teller = _Teller(as_json=as_json)
    with peer.on_status(teller.show):
        teller.show(peer.status())
        yield


class _Teller:
    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._linked: set[tuple[str, str | None]] = set()
        self._unanswered: set[str] = set()

    def show(self, status: PeerStatus) -> None:
        """Print what is news."""
        # Those who read may have gone; what is mirrored is mirrored all the same.
        with suppress(BrokenPipeError):
            for device in status.devices:
                if device.linked:
                    self._unanswered.discard(device.address or "")
                    if (device.name, device.fingerprint) not in self._linked:
                        self._tell_link(device)
                # The log says it where a link was refused.
                elif device.reason.startswith(UNANSWERED) and device.address not in self._unanswered:
                    self._tell_nobody(device)
        self._linked = {(device.name, device.fingerprint) for device in status.devices if device.linked}

    def _tell_link(self, device: DeviceStatus) -> None:
        if self._as_json:
            print_json({"device": device.name, "address": device.address, "linked": True})
        else:
            print_text(f"Linked with {device.name}.")

    def _tell_nobody(self, device: DeviceStatus) -> None:
        self._unanswered.add(device.address or "")
        if self._as_json:
            told = {"device": device.name or None, "address": device.address, "linked": False}
            print_json(told | {"reason": in_a_shell(device.reason)})
        else:
            print_text(f"{device.address}: {in_a_shell(device.reason)}; it is tried again.")
