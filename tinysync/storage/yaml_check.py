"""What resolving a YAML file would take, told from its parse events, before anything is resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import yaml
from yaml.constructor import ConstructorError

from tinysync.storage.format import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable

FREE_EXPANSION: Final = 100_000
EXPANSION_FACTOR: Final = 10
"""Aliases may stand for this many values for each event of the file, and for FREE_EXPANSION in any file."""


def check_events(
    text: str, loader: type[yaml.SafeLoader], listener: Callable[[yaml.Event], None] | None = None
) -> None:
    """Raise MarkedYAMLError if a text nests too deep, has cycles or a second document, or expands too far.

    ``listener`` is given every event that passed.
    """
    check = _Check()
    handlers = _HANDLERS
    for event in yaml.parse(text, Loader=loader):
        check.events += 1
        handle = handlers.get(type(event))
        if handle is not None:
            handle(check, event)
        if listener is not None:
            listener(event)


def problem_at(problem: str, mark: Any) -> NoReturn:
    """Raise what a loader raises, for a place in the file."""
    raise ConstructorError(None, None, problem, mark)


class _Size(NamedTuple):
    nodes: int
    height: int


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end is still to come, and the size of what it holds so far."""

    anchor: str | None
    nodes: int = 1
    height: int = 1


class _Check:
    def __init__(self) -> None:
        self.events = 0
        self._documents = 0
        self._expanded = 0
        self._sizes: dict[str | None, _Size] = {}
        self._open: list[_Open] = []

    def document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            problem_at("a second document starts here, and a file has one", event.start_mark)

    def scalar(self, event: yaml.ScalarEvent) -> None:
        self._complete(event.anchor, _Size(1, 0))

    def start(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._open) >= MAX_DEPTH:
            _too_deep(event)
        self._open.append(_Open(event.anchor))

    def end(self, _event: yaml.CollectionEndEvent) -> None:
        ended = self._open.pop()
        self._complete(ended.anchor, _Size(ended.nodes, ended.height))

    def alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor
        if any(node.anchor == name for node in self._open):
            problem_at(f"the alias *{name} stands inside of what it names", event.start_mark)
        size = self._sizes.get(name)
        if size is None:
            problem_at(f"the alias *{name} names nothing above it", event.start_mark)
        if len(self._open) + size.height > MAX_DEPTH:
            _too_deep(event)
        self._expanded += size.nodes
        if self._expanded > FREE_EXPANSION + EXPANSION_FACTOR * self.events:
            problem_at("the aliases up to here stand for more than is allowed", event.start_mark)
        self._complete(None, size)

    def _complete(self, anchor: str | None, size: _Size) -> None:
        if anchor is not None:
            self._sizes[anchor] = size
        if self._open:
            parent = self._open[-1]
            parent.nodes += size.nodes
            parent.height = max(parent.height, size.height + 1)


def _too_deep(event: yaml.NodeEvent) -> NoReturn:
    problem_at(f"more than {MAX_DEPTH} lists and mappings inside one another", event.start_mark)


_HANDLERS: Final[dict[type, Callable[[_Check, Any], None]]] = {
    yaml.DocumentStartEvent: _Check.document,
    yaml.ScalarEvent: _Check.scalar,
    yaml.SequenceStartEvent: _Check.start,
    yaml.MappingStartEvent: _Check.start,
    yaml.SequenceEndEvent: _Check.end,
    yaml.MappingEndEvent: _Check.end,
    yaml.AliasEvent: _Check.alias,
}
