"""The key pair that makes a device the device it is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tinysync.errors import InvalidKey, TinySyncError
from tinysync.group.files import locked, read_own, user_folder, write_own
from tinysync.group.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


def public_fingerprint(key: PublicKeyTypes) -> str:
    """Return the fingerprint of a public key."""
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return fingerprint_of(key.public_bytes(encoding, form))


def device_key(folder: Path | None) -> Ed25519PrivateKey:
    """Return the private key of this device, kept in a folder; made and written there the first time.

    Without a folder it is the user's own one. Raises InsecureFile if others can read it, StorageError if it cannot
    be read or written, and InvalidKey if the file holds something else.
    """
    path = _path(folder)
    with locked(path):
        text = read_own(path, secret=True)
        if text is None:
            key = Ed25519PrivateKey.generate()
            write_own(path, private_pem(key, None).decode())
            return key
    try:
        loaded = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError) as error:
        raise InvalidKey(_damaged(path)) from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise InvalidKey(_damaged(path))
    return loaded


def own_fingerprint() -> str | None:
    """Return the fingerprint of this user's device; None if it has no key yet, or none that can be read."""
    if not _path(None).exists():
        return None
    with suppress(TinySyncError):
        return public_fingerprint(device_key(None).public_key())
    return None


def private_pem(key: Ed25519PrivateKey, password: bytes | None) -> bytes:
    """Return a private key as PEM, encrypted if there is a password."""
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def _path(folder: Path | None) -> Path:
    return (folder or user_folder("data")) / "device.pem"


def _damaged(path: Path) -> str:
    return (
        f"{path} does not hold the key of a device as it was written there. Restore it, or move it away: then "
        "this device gets a new fingerprint, and has to be paired again where only some devices are allowed"
    )
