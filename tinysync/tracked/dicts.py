"""A dict whose changes are recorded."""

from __future__ import annotations

from typing import Any

from tinysync.tracked.base import editing
from tinysync.tracked.mapping import TrackedMapping
from tinysync.tracked.plain import ALWAYS_HELD


class DictWrapper(TrackedMapping, dict[Any, Any]):
    """A dict that is, while attached, part of a tracked structure; its str keys are attributes too.

    ``conf.endpoint`` is ``conf['endpoint']``, except for names that start with an underscore or that dicts have
    themselves (``conf.items``): assigning to these raises AttributeError, brackets always work. What is assigned
    is copied in. A plain dict, list or set that is assigned over one of the same kind makes that one equal to
    itself, in place.
    """

    __slots__ = ("__weakref__", "_node", "_recorder")

    def __setitem__(self, key: Any, value: Any, /) -> None:
        recorder = self._recorder
        if (
            recorder is not None
            and type(key) is str
            and key.isascii()
            and (type(value) in ALWAYS_HELD or (type(value) is str and value.isascii()))
            and recorder.put_plain(self, key, value)
        ):
            return
        with editing(self, "__setitem__", (key, value)) as edit:
            edit.put(self, key, value)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the entry that was written last, and return its key and value; KeyError if there is none."""
        with editing(self, "popitem", ()) as edit:
            # The builtin finds the last entry fast; then it is back where it was, to be removed with a record.
            key, value = dict.popitem(self)
            dict.__setitem__(self, key, value)
            edit.remove(self, key)
            return key, value
