"""One device as a member of its group: what it shows to others, and what it wants to see of them."""

from __future__ import annotations

import secrets
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from tinysync.errors import LinkRefused, TinySyncError
from tinysync.group.certificates import Authority, read_certificate
from tinysync.group.device import device_key, private_pem, public_fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tinysync.group.allowed import AllowedDevices
    from tinysync.group.key import Key


class Membership:
    """The TLS contexts of a device in its group, and the check of who is at the other end.

    TLS 1.3 only, certificates on both sides, signed by the group's CA: no CA of the system is trusted.
    ``folder`` is where the device's key is kept; see ``device_key`` for that and for what is raised.
    """

    def __init__(self, key: Key, folder: Path | None, allowed: AllowedDevices | None) -> None:
        device = device_key(folder)
        authority = Authority.of(key)
        self.fingerprint = public_fingerprint(device.public_key())
        """Of this device: what others allow."""
        self._allowed = allowed
        self._name = authority.name
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # What the group's CA has signed is a member wherever it is found; `admit` checks the group's name, which
        # would otherwise have to be sent in clear for ssl to check it.
        self.client.check_hostname = False
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A resumed session would be let in without the certificate being checked again.
        self.server.num_tickets = 0
        for context in (self.client, self.server):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            context.load_verify_locations(cadata=authority.pem())
        _load(device, authority, self.client, self.server)

    def admit(self, certificate: bytes) -> str:
        """Return the fingerprint of the device that has shown a certificate, which ssl has checked.

        Raises LinkRefused, in words for people, unless it is for this group and the device is allowed.
        """
        places, fingerprint = read_certificate(certificate)
        if self._name not in places:
            raise LinkRefused("its certificate is for another group")
        self.check_allowed(fingerprint)
        return fingerprint

    def check_allowed(self, fingerprint: str) -> None:
        """Raise LinkRefused unless a device of the group is allowed, as the list is now."""
        if self._allowed is None:
            return
        try:
            is_allowed = fingerprint in self._allowed
        except TinySyncError as error:
            raise LinkRefused(f"the list of allowed devices cannot be read: {error}") from error
        if not is_allowed:
            raise LinkRefused(
                f"the device {fingerprint} is not in the list of allowed devices; if it shows the same digits "
                f"itself, {self._allowed.how_to_allow(fingerprint)}",
            )


def _load(device: Ed25519PrivateKey, authority: Authority, *contexts: ssl.SSLContext) -> None:
    """Give a device's key and certificate to TLS contexts, which take them from a file only."""
    password = secrets.token_hex(32)
    certificate = authority.issue(device.public_key()).public_bytes(Encoding.PEM)
    with tempfile.TemporaryDirectory(prefix="tinysync-") as folder:
        file = Path(folder) / "chain.pem"
        file.write_bytes(private_pem(device, password.encode()) + certificate)
        for context in contexts:
            context.load_cert_chain(file, password=password)
