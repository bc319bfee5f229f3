"""The bounds within which a link is served."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from tinysync.errors import UsageError

MIN_FRAME: Final = 64 << 10
"""A peer that accepts less cannot be served."""
_TOO_MUCH: Final = 2**53


@dataclass(frozen=True, slots=True)
class Limits:
    """How much links may cost this device, each of them if nothing else is said: ``Peer(limits=Limits(...))``.

    Sizes are in bytes. ``max_frame``, ``max_documents``, ``window`` and ``max_authors`` are told to the peer,
    which keeps to them; the others are private. What is beyond a limit is never sent, and when it is received the
    link is closed.
    """

    max_frame: int = 64 << 20
    """The largest frame that is accepted: one transaction, or one long value, has to fit. At least 64 KiB."""
    max_documents: int = 1000
    """How many documents may be open on one link."""
    window: int = 1 << 20
    """How much of one document may be on its way without having been acknowledged."""
    max_part: int = 64 << 10
    """How much of a long diff goes into one frame, so that what is short need not wait long for its turn."""
    max_diffs: int = 8
    """How many diffs may be made or sent at once on one link; each can be as large as its document."""
    max_queued: int = 8 << 20
    """How much may wait to be sent on one link before updates are dropped and caught up by a diff later."""
    max_document_name: int = 255
    """Characters of a document's name."""
    max_device_name: int = 100
    """Characters of a device's id or name."""
    max_authors: int = 1000
    """Of how many client ids one frame may tell who wrote under them. More are told in several frames."""
    max_presence: int = 4096
    """The passing state of one device, as JSON."""
    max_present: int = 1000
    """How many devices may show a passing state for one document; more are not seen."""
    max_text: int = 1000
    """Characters of an error's text or a farewell's reason."""
    max_first_frame: int = 64 << 10
    """The largest frame that is accepted from somebody who has not said hello."""
    max_links: int = 100
    """How many links that others have made may be in use at once."""
    max_greeting: int = 32
    """How many more of them may be up without a hello yet; when there are too many, the oldest goes."""
    max_handshakes: int = 64
    """How many links may be coming in at once, in a TLS handshake or before; the oldest goes, as the slowest."""
    handshakes_per_second: int = 20
    """How often links may come in from one address in the long run; five seconds' worth may come at once."""

    def checked(self) -> Limits:
        """Return the limits; raises UsageError for one with which nothing could be done."""
        for field in fields(self):
            value, least = getattr(self, field.name), MIN_FRAME if field.name == "max_frame" else 1
            if type(value) is not int or not least <= value < _TOO_MUCH:
                raise UsageError(f"the limit {field.name} must be an int, at least {least}, not {value!r}")
        return self
