"""What a file format offers: the interface of YAML, JSON and others that a program may bring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from tinysync.crdt.values import MAX_DEPTH as MOST_NESTED

if TYPE_CHECKING:
    from tinysync.storage.plain import Vocabulary

MAX_BYTES: Final = 64 << 20
"""How large a YAML or JSON file may be to be read."""

MAX_DEPTH: Final = 2 * MOST_NESTED
"""How deep what a file says may be nested: containers, and the tuples that they hold, each half as deep."""


class Writer(Protocol):
    """Writes one file again and again."""

    def __call__(self, value: Any, current: bytes | None, /) -> bytes:
        """Return the new content, which says ``value``; ``current`` is what it replaces, None if nothing."""


class Format(ABC):
    """How a structure is written to a file and read from it; ``persist=`` takes one, or its class.

    ``docs/formats.md`` shows how to write one.

    suffix: what the file's name ends with; the structure 'conf' lies in ``conf`` + suffix.
    vocabulary: what the format can say exactly. The structure's state is its op log then, and the file is a view
      of it for people: what the format cannot say is shown as the nearest that it can, and a hand edit is merged.
      None: the format takes any Python object. Then the file is the state: there is no document, and the structure
      cannot be synced.
    """

    suffix: ClassVar[str]
    vocabulary: ClassVar[Vocabulary | None]

    @abstractmethod
    def dump(self, value: Any) -> bytes:
        """Return the content of the file for a dict, list or set.

        With a vocabulary all that is in ``value`` is of it, in plain dicts, lists and sets; equal values are to
        give equal bytes, whatever the order of their keys. Without one, ``value`` is the live structure, of which
        pickles and deep copies are plain; what is raised refuses the change, and takes it back. Raise ValueError
        for what the format cannot say in whatever form, such as a root that is a list.
        """

    @abstractmethod
    def load(self, data: bytes, place: object) -> Any:
        """Return the dict, list or set that a file's content says, or None if it says nothing.

        ``load(dump(value), place)`` is ``value``. With a vocabulary the content may be anybody's. Raise ValueError
        that says what is wrong and where, or UnreadableFile that names ``place`` as well; the file is left alone.
        """

    def writer(self) -> Writer:
        """Return what writes one file of a format with a vocabulary, in the place of what is there.

        By default that is ``dump``. A format that keeps the comments or the layout of a file that a person wrote
        returns what does so, and raises as ``dump`` does.
        """

        def write(value: Any, _current: bytes | None) -> bytes:
            return self.dump(value)

        return write
