"""The secret of a group of devices."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from tinysync.errors import InvalidKey, UsageError, named
from tinysync.group.extra import net_extra
from tinysync.group.files import locked, read_own, user_folder, write_own

PREFIX: Final = "tinysync-key-"
VARIABLE: Final = "TINYSYNC_KEY"
SECRET_BYTES: Final = 32
CHECK_BYTES: Final = 3
_SALT: Final = b"tinysync group v1"
HOW_TO: Final = "make one with tinysync.Key.new(), and give the same one to all devices of the group"


class Key:
    """The secret that all devices of a group share, and nobody else: 256 random bits, never a passphrase.

    Who has it can join the group, read and change all that is shared in it, and let others in. Made by ``new``;
    ``repr`` shows the group's name, which reveals nothing of the secret.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
            raise InvalidKey(f"the secret of a group is {SECRET_BYTES} random bytes; {HOW_TO}")
        self._secret = secret

    @classmethod
    def new(cls) -> Key:
        """Return the key of a new group."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def from_text(cls, text: str) -> Key:
        """Return the key that ``text()`` wrote; spaces, line ends, hyphens and case do not matter.

        Raises InvalidKey if something is missing or mistyped; the message does not repeat the text.
        """
        plain = "".join(text.split()).lower()
        if not plain.startswith(PREFIX):
            raise InvalidKey(f"this is no key: a key begins with {PREFIX!r}; {HOW_TO}")
        letters = plain.removeprefix(PREFIX).replace("-", "")
        try:
            content = base64.b32decode(letters, casefold=True)
        except binascii.Error:
            content = b""
        secret, check = content[:SECRET_BYTES], content[SECRET_BYTES:]
        if len(secret) != SECRET_BYTES or check != _check(secret):
            raise InvalidKey("this key was not copied whole, or a letter in it is wrong; copy it once more")
        return cls(secret)

    @classmethod
    def from_environment(cls) -> Key | None:
        """Return the key in the environment variable TINYSYNC_KEY, or None; raises InvalidKey."""
        text = os.environ.get(VARIABLE)
        if not text:
            return None
        try:
            return cls.from_text(text)
        except InvalidKey as error:
            raise InvalidKey(f"the environment variable {VARIABLE}: {error}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Key:
        """Return the key in a file; without a path in the user's own, see ``default_path``.

        Raises UsageError if there is none, InvalidKey if it holds something else, InsecureFile if others than its
        owner may read it (on POSIX), and StorageError if it cannot be read.
        """
        place = Path(path) if path is not None else cls.default_path()
        text = read_own(place, secret=True)
        if text is None:
            raise UsageError(f"there is no key in {place}; {HOW_TO}: Key.new().save({str(place)!r})")
        try:
            return cls.from_text(text)
        except InvalidKey as error:
            raise InvalidKey(f"{place}: {error}") from None

    @classmethod
    def default(cls) -> Key:
        """Return the key of this user: that in TINYSYNC_KEY, else that in the file at ``default_path``.

        Raises what ``from_environment`` and ``load`` raise.
        """
        return cls.from_environment() or cls.load()

    @staticmethod
    def default_path() -> Path:
        """Return where this user's key is kept, as ``~/.config/tinysync/key`` on Linux."""
        return user_folder("config") / "key"

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the key to a file that only this user can read (mode 0600), and return its path.

        Without a path to the user's own, see ``default_path``. Raises UsageError if there is a file already, and
        StorageError if it cannot be written.
        """
        place = Path(path) if path is not None else self.default_path()
        with locked(place):
            if place.exists():
                raise UsageError(
                    f"there is a key in {place} already, which other devices may need; move it away to make "
                    "another group",
                )
            write_own(place, self.text() + "\n")
        return place

    def text(self) -> str:
        """Return the secret as text, for another device: a prefix, and letters and digits with a checksum."""
        letters = base64.b32encode(self._secret + _check(self._secret)).decode().lower()
        return PREFIX + "-".join(letters[i : i + 8] for i in range(0, len(letters), 8))

    @property
    def group(self) -> str:
        """The name of the group: the same on all its devices, and no way back to the secret."""
        return base64.b32encode(self.derive("group name", 15)).decode().lower()

    def derive(self, purpose: str, size: int) -> bytes:
        """Return ``size`` bytes for one purpose, from which neither the secret nor others follow.

        HKDF-SHA256 (RFC 5869) of the secret. Raises UsageError without the extra ``tinysync[net]``.
        """
        with net_extra():
            from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - of the extra
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - of the extra
        return HKDF(SHA256(), size, salt=_SALT, info=purpose.encode()).derive(self._secret)

    def __repr__(self) -> str:
        return f"<Key of the group {self.group}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self._secret)

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled or copied, so that it gets nowhere by accident; use key.text()")


def as_key(key: Key | str | os.PathLike[str]) -> Key:
    """Return the key that was given as such, as its text, or as the path of its file; raises as they do."""
    if isinstance(key, Key):
        return key
    if isinstance(key, str) and key.strip().lower().startswith(PREFIX):
        return Key.from_text(key)
    if isinstance(key, str | os.PathLike):
        return Key.load(key)
    raise InvalidKey(f"key= takes a Key, its text or the path of its file, not {named(key)}; {HOW_TO}")


def _check(secret: bytes) -> bytes:
    return hashlib.blake2b(secret, digest_size=CHECK_BYTES, person=b"tinysync key").digest()
