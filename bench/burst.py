"""The burst of writes that both sides of the comparison make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycrdt import Map

WRITES = 10_000
LAST = f"key{WRITES - 1}"
"""The key that is written last; when it has arrived, so has everything."""


def write(conf: Map[Any] | dict[str, Any]) -> None:
    for number in range(WRITES):
        conf[f"key{number}"] = number
