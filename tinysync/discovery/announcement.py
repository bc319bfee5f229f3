"""What a device says on the local network: words that only its group can tell from random ones."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tinysync.model import DeviceId

PART_BYTES: Final = 10
LABEL_LENGTH: Final = 48


class Announcements:
    """Makes and reads the labels of one group; ``secret`` is 32 bytes that only its devices know.

    A label is a nonce and two tags: HMAC-SHA256 (RFC 2104), shortened to 80 bits, of the nonce, and of the nonce
    with the device's id. The group recognizes its members, and each of them. For all others every label is new:
    they cannot tell which ones belong together, or to whom. Who repeats somebody else's is found out by TLS.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, device: DeviceId) -> str:
        """Return a new label for a device: 48 letters and digits."""
        nonce = secrets.token_bytes(PART_BYTES)
        return base64.b32encode(nonce + self._group_tag(nonce) + self._device_tag(nonce, device)).decode().lower()

    def is_of_group(self, label: str) -> bool:
        """Tell whether a label was made by a device of the group."""
        parts = _parts(label)
        return parts is not None and hmac.compare_digest(parts[1], self._group_tag(parts[0]))

    def is_of_device(self, label: str, device: DeviceId) -> bool:
        """Tell whether a label was made for a device."""
        parts = _parts(label)
        return parts is not None and hmac.compare_digest(parts[2], self._device_tag(parts[0], device))

    def _group_tag(self, nonce: bytes) -> bytes:
        return hmac.digest(self._secret, b"group" + nonce, "sha256")[:PART_BYTES]

    def _device_tag(self, nonce: bytes, device: DeviceId) -> bytes:
        return hmac.digest(self._secret, b"device" + nonce + device.encode(), "sha256")[:PART_BYTES]


def _parts(label: str) -> tuple[bytes, bytes, bytes] | None:
    try:
        content = base64.b32decode(label.upper()) if len(label) == LABEL_LENGTH else b""
    except (binascii.Error, ValueError):
        return None
    if not content:
        return None
    return content[:PART_BYTES], content[PART_BYTES : 2 * PART_BYTES], content[2 * PART_BYTES :]
