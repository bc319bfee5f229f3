"""The fingerprint of a device: what people compare, and lists of allowed devices hold."""

from __future__ import annotations

import hashlib
from typing import Final

from tinysync.errors import InvalidFingerprint

_DIGITS: Final = 30
_GROUP: Final = 5
_EXAMPLE: Final = "it is 30 digits in groups of five, as the device itself shows them"


def fingerprint_of(public_key: bytes) -> str:
    """Return the fingerprint of a device's public key (DER, SubjectPublicKeyInfo).

    28 digits of its hash, 93 bits: enough that nobody finds another key with the same ones, and short enough to be
    read aloud. Then two check digits (ISO 7064 mod 97-10, as an IBAN has).
    """
    digest = hashlib.blake2b(public_key, digest_size=32, person=b"tinysync device").digest()
    number = int.from_bytes(digest, "big") % 10 ** (_DIGITS - 2)
    return _written(f"{number * 100 + 98 - number * 100 % 97:0{_DIGITS}d}")


def parse_fingerprint(text: str) -> str:
    """Return a fingerprint as it is written; raises InvalidFingerprint if digits are missing or wrong."""
    if not isinstance(text, str):
        raise InvalidFingerprint(f"a fingerprint is a str, not {text!r}; {_EXAMPLE}")
    digits = "".join(text.split()).replace("-", "")
    if len(digits) != _DIGITS or not (digits.isascii() and digits.isdecimal()):
        raise InvalidFingerprint(f"{text!r} is no fingerprint of a device; {_EXAMPLE}")
    if int(digits) % 97 != 1:
        raise InvalidFingerprint(f"a digit of the fingerprint {text!r} is wrong; compare it once more")
    return _written(digits)


def _written(digits: str) -> str:
    return "-".join(digits[i : i + _GROUP] for i in range(0, _DIGITS, _GROUP))
