"""What a transport needs to know about who may link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl


class Security(Protocol):
    """The TLS of one device, and its check of who is at the other end."""

    fingerprint: str
    """Of this device."""
    server: ssl.SSLContext
    """For links that come in; requires a certificate."""
    client: ssl.SSLContext
    """For links to others; requires a certificate."""

    def admit(self, certificate: bytes) -> str:
        """Return the fingerprint of the device with this certificate (DER), which TLS has found to be good.

        Raises LinkRefused if it may not link nevertheless.
        """

    def check_allowed(self, fingerprint: str) -> None:
        """Raise LinkRefused if a device that was admitted may not link any more."""
