"""JSON files."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from tinysync.storage.format import MAX_BYTES, MAX_DEPTH, Format
from tinysync.storage.plain import Vocabulary
from tinysync.storage.unreadable import line_column, unreadable_at

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\]:,]+|[{}\[\],]', re.DOTALL)
"""A text, a number or word, or a sign that says where one stands."""


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
        """Return what a JSON file holds; raises UnreadableFile, with line and column, for what is not JSON.

        Refused are also a key that is there twice, a number that no float holds, over 64 MiB, and more levels
        than a structure can have.
        """
        if len(data) > MAX_BYTES:
            raise unreadable_at(place, f"the file has {len(data):,} bytes, and {MAX_BYTES:,} is the limit", 0, 0)
        text = _decode(data, place)
        if not text.strip():
            return None
        try:
            return _load(text)
        except json.JSONDecodeError as error:
            # Some of these texts end in the words that lead on to the place.
            told = error.msg.removesuffix(" at").removesuffix(" starting")
            problem, position = f"{told[:1].lower()}{told[1:]}", error.pos
        except _Problem as error:
            problem, position = str(error), error.position(text)
        raise unreadable_at(place, problem, *line_column(text[:position]))


def _decode(data: bytes, place: object) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        problem = f"not {encoding[:6].upper().rstrip('-')} text ({error.reason})"
        raise unreadable_at(place, problem, *line_column(before)) from error


def _load(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)
    except RecursionError:
        raise _TooDeep from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        # Python limits how many digits an int may be read from.
        word = max((token[0] for token in _TOKEN.finditer(text) if token[0][0] != '"'), key=len)
        raise _Word(word, f"a number of {len(word.lstrip('-')):,} digits is too long") from error
    if value is not None and not isinstance(value, (dict, list)):
        raise _Problem(f"an object or an array was expected here, not one {type(value).__name__}")
    _check(value, MAX_DEPTH)
    return value


class _Problem(Exception):
    """What JSON may say, and no structure can hold."""

    def position(self, text: str) -> int:
        """Return where in the text it is."""
        return len(text) - len(text.lstrip())


class _Word(_Problem):
    """It is a number, or a word in the place of one."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(why)
        self._word = word

    def position(self, text: str) -> int:
        """Return where the first such one is."""
        return next(token.start() for token in _TOKEN.finditer(text) if token[0] == self._word)


class _Twice(_Problem):
    """It is a key that is there twice."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r:.60} is there twice in one object")

    def position(self, text: str) -> int:
        """Return where a key is there again for the first time."""
        inside: list[set[str] | None] = []
        before = ""
        for token in _TOKEN.finditer(text):
            sign = token[0]
            if sign in "{[":
                inside.append(set() if sign == "{" else None)
            elif sign in "}]":
                inside.pop()
            elif before in {"{", ","} and (keys := inside[-1]) is not None:
                key = json.loads(sign)
                if key in keys:
                    return token.start()
                keys.add(key)
            before = sign
        return 0


class _TooDeep(_Problem):
    def __init__(self) -> None:
        super().__init__(f"more than {MAX_DEPTH} objects and arrays inside one another")

    def position(self, text: str) -> int:
        """Return where the first is that is too deep."""
        depth = 0
        for token in _TOKEN.finditer(text):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
            if depth > MAX_DEPTH:
                return token.start()
        return 0


class _Surrogate(_Problem):
    def __init__(self) -> None:
        super().__init__("half of a character is no text: one that \\u writes in two halves needs both")

    def position(self, text: str) -> int:
        """Return where the first text is that has one."""
        for token in _TOKEN.finditer(text):
            if token[0].startswith('"') and not _is_whole(json.loads(token[0])):
                return token.start()
        return 0


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise _Twice(key)
        entries[key] = value
    return entries


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Word(text, f"the number {text:.60} is too large")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise _Word(text, f"{text} is no number of JSON")


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _check(value: Any, room: int) -> None:
    """Raise a problem for what a JSON text may say, and no structure can hold."""
    if isinstance(value, str):
        if not value.isascii() and not _is_whole(value):
            raise _Surrogate
    elif isinstance(value, (dict, list)):
        if not room:
            raise _TooDeep
        if isinstance(value, dict):
            for key in value:
                _check(key, 0)
            value = value.values()
        for item in value:
            _check(item, room - 1)
