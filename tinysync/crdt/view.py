"""The visible structure as a pure function of the document, independent of all that is kept beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinysync.crdt.entries import dict_entry, in_order, root_id, root_reference, set_entry, shown_value
from tinysync.crdt.ids import node_id
from tinysync.crdt.keys import key_text
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.sequence import Sequence, parse_override_key
from tinysync.crdt.values import MAX_DEPTH, Reference, encode

if TYPE_CHECKING:
    from tinysync.crdt.engine import Engine
    from tinysync.model import Kind


def view(engine: Engine, kind: Kind) -> Any:
    """Return the plain dict, list or set that a document with a root of this kind shows."""
    with engine.reading():
        return _View(engine).container(kind, root_id(root_reference(engine.get, kind)[0]), 1)


def view_of(engine: Engine, kind: Kind, identifier: str) -> Any:
    """Return what a container shows, or would show, as a plain one."""
    with engine.reading():
        return _View(engine).container(kind, identifier, 1)


class _View:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.texts: dict[str, set[str]] = {}
        for layer in ("c", "p", "d"):
            for entry, _ in engine.items(layer):
                node, slash, text = entry.partition("/")
                if slash:
                    self.texts.setdefault(node, set()).add(text)
        self.overrides: dict[str, list[tuple[tuple[int, int], Any]]] = {}
        for key, cell in engine.items("o"):
            place = parse_override_key(key)
            if place is not None:
                self.overrides.setdefault(place[0], []).append((place[1], cell))

    def container(self, kind: Kind, identifier: str, depth: int) -> Any:
        texts = in_order(self.texts.get(identifier, ()))
        match kind:
            case "dict":
                return self._dict(identifier, texts, depth)
            case "set":
                shown = (set_entry(shown_value(self.engine.get, f"{identifier}/{t}")[0], t) for t in texts)
                return {element for element in shown if element is not ABSENT}
            case "list":
                return self._list(identifier, depth)

    def _dict(self, identifier: str, texts: list[str], depth: int) -> dict[Any, Any]:
        result = {}
        for text in texts:
            key, value = dict_entry(shown_value(self.engine.get, f"{identifier}/{text}")[0], text)
            if value is not ABSENT:
                value = self._value(value, identifier, text, depth)
            if value is not ABSENT:
                result[key] = value
        return result

    def _list(self, identifier: str, depth: int) -> list[Any]:
        sequence = Sequence(identifier)
        sequence.apply_delta([{"insert": self.engine.elements(identifier)}])
        for identity, cell in self.overrides.get(identifier, ()):
            sequence.apply_override(identity, cell)
        values = (sequence.value(slot, self.engine) for slot in sequence.anchors(self.engine))
        shown = (self._value(value, identifier, "", depth) for value in values)
        return [None if value is ABSENT else value for value in shown]

    def _value(self, value: Any, parent: str, text: str, depth: int) -> Any:
        if not isinstance(value, Reference):
            return value
        if depth >= MAX_DEPTH:
            return ABSENT
        return self.container(value.kind, node_id(parent, text, value.kind, value.nonce), depth + 1)


def is_same(live: Any, shown: Any) -> bool:
    """Tell whether a live structure is what a document shows, types included."""
    if isinstance(shown, dict):
        return (
            isinstance(live, dict)
            and {key_text(key) for key in live} == {key_text(key) for key in shown}
            and all(is_same(live[key], value) for key, value in shown.items())
        )
    if isinstance(shown, list):
        return isinstance(live, list) and len(live) == len(shown) and all(map(is_same, live, shown))
    if isinstance(shown, set):
        return isinstance(live, set) and live == shown
    return type(live) is type(shown) and bool(encode(live) == encode(shown))
