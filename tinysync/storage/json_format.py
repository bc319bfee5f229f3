"""JSON files."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from tinysync.storage.format import MAX_BYTES, MAX_DEPTH, Format
from tinysync.storage.plain import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable


class JSON(Format):
    """JSON (RFC 8259): ``<name>.json``.

    A tuple is shown as a list, and so is a set, sorted; a key that is no text as the text that ``json.dumps``
    makes of it; bytes as base64; other values as text. The op log keeps the truth: a list in the file that stands
    where the structure has a set is read as one, a text where it has a date as a date if it is one, and so on.
    """

    suffix: ClassVar[str] = ".json"
    vocabulary: ClassVar[Vocabulary | None] = Vocabulary(
        values=frozenset({type(None), bool, int, float, str}), only_finite=True, largest_int=1 << 10_000
    )

    def dump(self, value: Any) -> bytes:
        """Return a structure as indented JSON in UTF-8, keys sorted."""
        text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
        return text.encode() + b"\n"

    def load(self, data: bytes, place: object) -> Any:
        """Return what a JSON file holds; raises ValueError, with the line, for what is not JSON.

        Refused are also a key that is there twice, a number that no float holds, over 64 MiB, and more levels
        than a structure can have.
        """
        del place
        if len(data) > MAX_BYTES:
            raise ValueError(f"the file has {len(data):,} bytes, and {MAX_BYTES:,} is the limit")
        text = data.decode(json.detect_encoding(data))
        if not text.strip():
            return None
        try:
            value = json.loads(
                text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
            )
        except RecursionError:
            _too_deep()
        except json.JSONDecodeError as error:
            problem = error.msg[:1].lower() + error.msg[1:]
            raise ValueError(f"line {error.lineno}, column {error.colno}: {problem}") from error
        if value is not None and not isinstance(value, (dict, list)):
            raise ValueError(f"an object or an array was expected here, not one {type(value).__name__}")
        _check(value, MAX_DEPTH)
        return value


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise ValueError(f"the key {key!r:.60} is there twice in one object")
        entries[key] = value
    return entries


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text:.60} is too large")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _too_deep() -> NoReturn:
    raise ValueError(f"more than {MAX_DEPTH} objects and arrays inside one another")


def _check(value: Any, room: int) -> None:
    """Raise ValueError for what a JSON text may say, and no structure can hold."""
    if isinstance(value, str):
        if not value.isascii():
            value.encode()
    elif isinstance(value, (dict, list)):
        if not room:
            _too_deep()
        if isinstance(value, dict):
            for key in value:
                _check(key, 0)
            value = value.values()
        for item in value:
            _check(item, room - 1)
