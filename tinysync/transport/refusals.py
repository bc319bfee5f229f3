"""Refused links, in words for people."""

from __future__ import annotations

import logging
import ssl
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tinysync")

REPEAT_SECONDS: Final = 600.0
"""How long it takes until the same refusal is reported again."""
MAX_REPORTS: Final = 50
"""How many refusals are reported within that time; a flood of them is for those who look for it."""

ANOTHER_GROUP: Final = "it belongs to another group: its key is not the one used here"
NO_TLS: Final = "it does not use TLS, so it has no key of a group"
NO_TLS_13: Final = "it does not speak TLS 1.3, as tinysync does"
REFUSES_THIS_GROUP: Final = "it found this device to belong to another group: its key is not the one used here"

TOO_MANY: Final = "too many links come in at the same time, and it is the slowest"
NOBODY: Final = "nobody answers there"
NEEDS_KEY: Final = "what answers there wants a key, it seems, and this Peer has none: give it key=..."
NEEDS_NO_KEY: Final = "what answers there breaks off: it has no key, it seems, and this Peer has one"
UNANSWERED: Final = (NOBODY, NEEDS_KEY, NEEDS_NO_KEY)
"""What the reasons begin with why a link did not come about that nobody refused."""

_BY_REASON: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it has shown no certificate, so it has no key of a group",
    "HTTP_REQUEST": NO_TLS,
    "WRONG_VERSION_NUMBER": NO_TLS,
    "UNSUPPORTED_PROTOCOL": NO_TLS_13,
    "NO_PROTOCOLS_AVAILABLE": NO_TLS_13,
    "TLSV1_ALERT_PROTOCOL_VERSION": NO_TLS_13,
    "TLSV1_ALERT_UNKNOWN_CA": REFUSES_THIS_GROUP,
    "TLSV1_ALERT_DECRYPT_ERROR": REFUSES_THIS_GROUP,
    "SSLV3_ALERT_BAD_CERTIFICATE": REFUSES_THIS_GROUP,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": REFUSES_THIS_GROUP,
}
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_PURPOSES: Final = {26, 79}


def reason_of(error: BaseException) -> str:
    """Say why a TLS handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in {_NOT_YET_VALID, _EXPIRED}:
            return (
                "its certificate is not valid at the time that the clock of this device shows; those of tinysync "
                "are valid at any time, so something else has made it"
            )
        if error.verify_code in _WRONG_PURPOSES:
            return f"its certificate was not made by tinysync: {error.verify_message}"
        return ANOTHER_GROUP
    if isinstance(error, ssl.SSLError) and error.reason:
        return _BY_REASON.get(error.reason, f"the TLS handshake failed: {error.reason.lower().replace('_', ' ')}")
    if isinstance(error, TimeoutError):
        return "it did not finish the TLS handshake in time"
    return "it broke off during the TLS handshake, as a device does that belongs to another group"


class Refusals:
    """Reports refused links to the log, each once in a while: as a warning, and in debug output every time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reported: dict[tuple[str, str], float] = {}

    def report(self, who: str, why: str) -> None:
        """Report that the link to or from ``who`` was refused."""
        now = self._clock()
        for known, when in list(self._reported.items()):
            if now - when < REPEAT_SECONDS:
                break
            del self._reported[known]
        is_news = (who, why) not in self._reported and len(self._reported) < MAX_REPORTS
        if is_news:
            self._reported[who, why] = now
        logger.log(logging.WARNING if is_news else logging.DEBUG, "Refused the link %s: %s", who, why)
