"""Two files change names in one step, where the system can do that: rename(2) of Linux, RENAME_EXCHANGE."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_HERE: Final = -100
"""AT_FDCWD: paths count from the working folder."""
_EXCHANGE: Final = 2


def exchange(one: Path, other: Path) -> bool:
    """Let two files change names; return False, and do nothing, where that cannot be done.

    Not by this system, not in this file system, or one of them is not there.
    """
    rename = _rename_with_flags()
    if rename is None:
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


@cache
def _rename_with_flags() -> Any | None:
    if not sys.platform.startswith("linux"):
        return None
    # It is in glibc since 2.28, and in musl since 1.2.6.
    function = getattr(ctypes.CDLL(None), "renameat2", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        function.restype = ctypes.c_int
    return function
