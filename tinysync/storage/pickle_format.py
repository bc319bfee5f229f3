"""Pickle files."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tinysync.storage.format import Format

if TYPE_CHECKING:
    from tinysync.storage.plain import Vocabulary

PROTOCOL: Final = 5


class Pickle(Format):
    """A pickle, which holds any Python object: ``<name>.pickle``.

    Loading such a file can execute any code: open only files that nobody else can write. It is the structure's
    state, written as a whole after each change; there is no document, so that it cannot be synced.
    """

    suffix: ClassVar[str] = ".pickle"
    vocabulary: ClassVar[Vocabulary | None] = None

    def dump(self, value: Any) -> bytes:
        """Return a structure's pickle."""
        return pickle.dumps(value, PROTOCOL)

    def load(self, data: bytes, place: object) -> Any:
        """Return what the file holds, executing what it says; raises ValueError if it cannot be read."""
        del place
        try:
            return pickle.loads(data)  # noqa: S301 - it is what the program asked for
        except Exception as error:
            raise ValueError(f"it cannot be loaded: {type(error).__name__}: {error}") from error
