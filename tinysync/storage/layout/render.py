"""New YAML for a place in a text, in the style of what is around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tinysync.storage.plain import identity
from tinysync.storage.yaml_dump import dump_text, in_order

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from tinysync.storage.layout.places import Style

_MAX_SIMPLE_KEY: Final = 1000  # YAML allows 1024 characters before the colon
_END: Final = 0


class Placed(NamedTuple):
    """A value for a place behind ``:`` or ``-``: what is written there, and the lines that follow."""

    head: str
    lines: list[str]


class _Scalar(NamedTuple):
    head: str
    body: list[str]


def is_container(value: Any) -> bool:
    """Tell whether a readable value is a container with content, which a block writes in lines of its own."""
    return isinstance(value, (dict, list, set)) and bool(value)


def flow_text(value: Any, quote: str | None = None) -> str:
    """Return a value as it is written between brackets, in one line."""
    return dump_text([value], flow=True, quote=quote).rstrip("\n")[1:-1]


def flow_pair(key: Any, value: Any) -> str:
    """Return a key with its value as it is written between braces."""
    return dump_text({key: value}, flow=True).rstrip("\n")[1:-1]


class Renderer:
    """Writes values as blocks."""

    def __init__(
        self, style: Style, values: Iterable[Any], quote: str | None = None, *, one_line: bool = False
    ) -> None:
        """Prepare for these values, which are the only ones that can be written.

        ``quote``: the quotes of texts that need none. ``one_line``: a text of several lines is written in one.
        """
        self._style = style
        scalars: dict[Hashable, Any] = {}
        keys: dict[Hashable, Any] = {}
        for value in values:
            _collect(value, scalars, keys)
        self._scalars = dict(zip(scalars, _scalars(list(scalars.values()), quote), strict=True))
        if one_line:
            for mark, value in scalars.items():
                if self._scalars[mark].body:
                    self._scalars[mark] = _Scalar(flow_text(value), [])
        self._keys = dict(zip(keys, _keys(list(keys.values())), strict=True))

    def behind_colon(self, value: Any, column: int, body: int | None = None) -> Placed:
        """Place a value behind a key at a column; ``body``: the column where its lines begin, if not as usual."""
        if isinstance(value, list) and value:
            return Placed("", self._lines(value, column + self._style.offset if body is None else body))
        return self._placed(value, column + self._style.step if body is None else body)

    def behind_dash(self, value: Any, body: int) -> Placed:
        """Place a value behind a ``-``, so that it begins at column ``body``."""
        if is_container(value) and not isinstance(value, set):
            first, *others = self._lines(value, body)
            return Placed(first[body:], others)
        return self._placed(value, body)

    def entry(self, key: Any, value: Any, column: int) -> list[str]:
        """Return the lines of a key with its value."""
        text = self._keys[identity(key)]
        head, lines = self.behind_colon(value, column)
        before = [f"{' ' * column}? {text}"] if len(text) > _MAX_SIMPLE_KEY else []
        return [*before, " " * column + ("" if before else text) + ":" + (head and f" {head}"), *lines]

    def item(self, value: Any, column: int) -> list[str]:
        """Return the lines of an item of a list."""
        head, lines = self.behind_dash(value, column + 1 + self._style.gap)
        return [" " * column + "-" + " " * self._style.gap + head, *lines]

    def element(self, element: Any, column: int, *, explicit: bool, value: str) -> list[str]:
        """Return the line of an element of a set, with ``? `` or with what follows the colon."""
        text = self._keys[identity(element)]
        explicit = explicit or len(text) > _MAX_SIMPLE_KEY
        return [" " * column + (f"? {text}" if explicit else f"{text}:{value}")]

    def _placed(self, value: Any, body: int) -> Placed:
        if isinstance(value, set) and value:
            return Placed("!!set", self._lines(value, body))
        if is_container(value):
            return Placed("", self._lines(value, body))
        head, lines = self._scalars[identity(value)]
        return Placed(head, [line and " " * body + line for line in lines])

    def _lines(self, value: Any, column: int) -> list[str]:
        if isinstance(value, list):
            return [line for item in value for line in self.item(item, column)]
        if isinstance(value, dict):
            return [line for key, item in in_order(value.items()) for line in self.entry(key, item, column)]
        elements = in_order(dict.fromkeys(value).items())
        return [self.element(name, column, explicit=False, value=" null")[0] for name, _none in elements]


def _collect(value: Any, scalars: dict[Hashable, Any], keys: dict[Hashable, Any]) -> None:
    if not is_container(value):
        scalars[identity(value)] = value
    elif isinstance(value, list):
        for item in value:
            _collect(item, scalars, keys)
    else:
        for key in value:
            keys[identity(key)] = key
            if isinstance(value, dict):
                _collect(value[key], scalars, keys)


def _scalars(values: list[Any], quote: str | None) -> list[_Scalar]:
    """Return values without lines of their own as they are written behind ``-``, dumped in one go."""
    # What is last could bring an end of the document with it.
    lines = dump_text([*values, _END], quote=quote).split("\n")
    found: list[_Scalar] = []
    for line in lines:
        if line.startswith("- "):
            found.append(_Scalar(line[2:], []))
        else:
            found[-1].body.append(line[2:])
    return found[:-1]


def _keys(keys: list[Any]) -> list[str]:
    """Return keys as they are written before a colon, in one line each."""
    if not keys:
        return []
    texts = [head for head, _body in _scalars([{key: None} for key in keys], None)]
    return [
        text.removesuffix(": null")
        if text.endswith(": null") and not text.startswith("? ")
        else flow_text(key, '"')
        for text, key in zip(texts, keys, strict=True)
    ]
