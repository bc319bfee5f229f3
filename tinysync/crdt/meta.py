"""What a document says about itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinysync.crdt.engine import META
from tinysync.crdt.seed import EPOCH, FORMAT, META_CELLS, kind_cell
from tinysync.crdt.values import KINDS
from tinysync.errors import BadUpdate, KindMismatch

if TYPE_CHECKING:
    from tinysync.crdt.encoding import UpdateInfo
    from tinysync.crdt.engine import Engine
    from tinysync.model import Kind


def check_meta(engine: Engine, expected: Kind) -> None:
    """Raise BadUpdate or KindMismatch unless a document is one that this tinysync can go on with.

    What makes no sense there, an earlier version has let in: it says nothing.
    """
    with engine.reading():
        version, epoch, kind = (engine.get(META, key) for key in ("format", "epoch", "kind"))
    if _is_whole(version) and version > FORMAT:
        raise BadUpdate(f"the document has format {version:.0f}; this tinysync knows {FORMAT}: upgrade it")
    if kind in KINDS and kind != expected:
        raise KindMismatch(f"the document's root is a {kind}, not a {expected}")
    if _is_whole(epoch) and epoch != EPOCH:
        raise BadUpdate(f"the document is of epoch {epoch:.0f}; this tinysync knows {EPOCH}: upgrade it")


def check_written_meta(info: UpdateInfo, kind: Kind) -> None:
    """Let an update say about the document only what it is; raises BadUpdate."""
    for key, content in info.meta:
        if content not in META_CELLS.get(key, ()):
            raise BadUpdate(
                f"an update that changes the {key!r} of the document; if a newer tinysync sent it, upgrade "
                "this one"
            )
        if key == "kind" and content != kind_cell(kind):
            raise BadUpdate(f"an update of a document of another kind; this one is a {kind}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value == int(value)
