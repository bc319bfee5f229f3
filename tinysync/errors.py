"""Every exception and warning of tinysync, under one root.

``UsageError`` and ``StorageError`` are about this side: the program or the disk. ``PeerError`` is about the
other side: a peer that sent something wrong, refused, or did not answer.
"""


def named(value: object) -> str:
    """Return what a value is, for messages: a dict, an int."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


class TinySyncError(Exception):
    """Root of all errors that tinysync raises."""


class UsageError(TinySyncError):
    """The program asked for something that cannot be done; nothing was changed."""


class UnsupportedValue(UsageError, TypeError):
    """A value or key of a type that a tracked structure cannot hold; the message names its path."""


class InvalidValue(UsageError, ValueError):
    """A value of a supported type that cannot be held: a cycle, too deep, a lone surrogate, a NaN key."""


class InvalidName(UsageError, ValueError):
    """A structure's name that cannot be a file's name on every system."""


class InvalidAddress(UsageError, ValueError):
    """A peer address that is not understood, or that a Peer refuses to use."""


class InvalidKey(UsageError, ValueError):
    """A text or file that does not hold a key: something else, or not all of it."""


class InvalidFingerprint(UsageError, ValueError):
    """A text that is not the fingerprint of a device: digits are missing or wrong."""


class KindMismatch(UsageError, TypeError):
    """What is stored or shared under the name is of another kind: a dict here and a list there."""


class StructureClosed(UsageError):
    """A write to a structure after ``tracker(x).close()``."""


class TransactionBusy(UsageError):
    """Another asyncio task has a transaction open on the structure; nothing was changed.

    Or a thread has, which waits for a transaction of this thread on another structure.
    """


class EndlessCallbacks(UsageError):
    """Callbacks kept changing the structure in answer to their own changes, and were stopped."""


class ChangesMissed(UsageError):
    """The reader of ``tracker(x).changes()`` was too slow: some changes were dropped; the structure has them."""


class StorageError(TinySyncError):
    """A file could not be read or written; the message names it and the structure is as before."""


class InsecureFile(StorageError):
    """A file with a secret that other users of the machine can read; it was not used."""


class DocumentInUse(StorageError):
    """Another process has the structure open in a way that cannot be shared; the message says what is known of it.

    A structure without a document (``persist=Pickle``, ``UnsafeYAML``) is open in one process at a time.
    """


class UnreadableFile(StorageError):
    """The readable file does not parse; it was left alone, as it is."""


class EngineFailure(TinySyncError):
    """The CRDT engine failed and cannot be trusted any more; the structure is closed, the disk intact."""


class PeerError(TinySyncError):
    """Something is wrong on the other side of a link, or with the link."""


class ProtocolError(PeerError):
    """A peer sent a frame that is malformed, too large, out of order or of an unknown type.

    ``code`` names the rule that was broken, as the wire does.
    """

    def __init__(self, message: str, code: str = "protocol") -> None:
        super().__init__(message)
        self.code = code


class LinkClosed(PeerError):
    """A link to a peer is down, or could not be made; the message says what is known of the reason.

    ``reason`` is the part of the message that does not name the peer.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or message


class LinkRefused(LinkClosed):
    """One of the two sides turned the link away: no TLS, another group, a device that is not allowed."""


class BadUpdate(PeerError):
    """Bytes that claim to be an update, a state vector or a snapshot but are not one of this format."""


class PeerRefused(PeerError):
    """A peer refused this device or one of its documents; the message is the peer's."""


class DocumentsDiffer(PeerError):
    """A document holds something else here than on a peer, although both have the same updates.

    That must not happen; a copy of a running device's folder, or a fault in its memory or disk, can make it so.
    Both sides log it, and ``wait_synced`` raises it.
    """


class SyncTimeout(PeerError, TimeoutError):
    """``wait_synced`` ran out of time; the message names the peers that did not answer."""


class TinySyncWarning(UserWarning):
    """Root of all warnings that tinysync issues."""


class DamagedFileWarning(TinySyncWarning):
    """A damaged or half-written file was found; the message says what was kept and where the rest is."""


class DetachedWarning(TinySyncWarning):
    """A write to a container that another device or a hand edit has removed from the structure."""
