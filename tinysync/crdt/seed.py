"""Content-addressed seeding: two devices that start with the same content write the same bytes.

A seed is written in a scratch document whose client id is made of the app's version and a digest of the content,
in canonical order; the update is then applied like any other. The order and the digests are part of the document
format (golden files hold the bytes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

from tinysync.crdt.engine import Engine
from tinysync.crdt.entries import ROOT_ENTRY, dict_cell, root_id, set_cell, text_order
from tinysync.crdt.ids import digest, node_id, seed_client_id
from tinysync.crdt.keys import key_text
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.values import KINDS, TOMBSTONE_CELL, Reference, encode, encode_reference, pack

if TYPE_CHECKING:
    from tinysync.model import Kind

FORMAT: Final = 1
"""Version of the document format and of the way of seeding."""

EPOCH: Final = 0


def kind_cell(kind: Kind) -> bytes:
    """Return the encoded block content that says of which kind a document's root is."""
    return b"\x08\x01\x77" + bytes([len(kind)]) + kind.encode()


META_CELLS: Final = {
    "format": (b"\x08\x01\x7c\x3f\x80\x00\x00", b"\x08\x01\x7d\x01"),
    "epoch": (b"\x08\x01\x7c\x00\x00\x00\x00", b"\x08\x01\x7d\x00"),
    "kind": tuple(map(kind_cell, KINDS)),
}
"""All that a seed of this format writes about the document itself, as encoded block contents.

Numbers are floats as this engine writes them, and integers as Yjs does when it passes them on.
"""

MAX_OWN_LISTS: Final = 16
"""Up to so many lists of a seed are written under client ids of their own, so that a list that two versions of an
app have in common is one list, to which both can append. More would cost too many client ids: then all lists are
written under the seed's id, and the seed's digest is in their nonces."""


def kind_of(value: Any) -> Kind | None:
    """Return the kind of a container, or None for a scalar."""
    if isinstance(value, dict):
        return "dict"
    if isinstance(value, list):
        return "list"
    return "set" if isinstance(value, set) else None


def canonical(value: Any) -> bytes:
    """Return type-exact bytes that are equal for equal content, whatever the order of dicts and sets."""
    match kind_of(value):
        case "dict":
            entries = sorted((key_text(key), pack(key), canonical(item)) for key, item in value.items())
            parts: list[Any] = ["dict", entries]
        case "list":
            parts = ["list", [canonical(item) for item in value]]
        case "set":
            parts = ["set", sorted(pack(item) for item in value)]
        case _:
            parts = ["value", pack(value)]
    packed: bytes = msgpack.packb(parts, use_bin_type=True)
    return packed


def list_nonce(content: Any, generation: int = 0, group: bytes = b"") -> bytes:
    """Return the nonce of a seeded list."""
    return digest(b"list", b"%d" % generation, group, canonical(content))


def element_nonce(child: Any, index: int) -> bytes:
    """Return the nonce of a container inside a seeded list."""
    return digest(b"element", b"%d" % index, canonical(child))


def list_client(list_id: str, content: Any) -> int:
    """Return the client id under which the elements of a seeded list are written."""
    return seed_client_id(0, digest(b"elements", b"%d" % FORMAT, list_id.encode(), canonical(content)))


def seed_list(list_id: str, content: Any) -> bytes:
    """Return the update with the elements of a seeded list; the same for everybody who seeds that list."""
    engine = Engine(list_client(list_id, content))
    engine.begin()
    _write_elements(engine, list_id, content)
    engine.commit()
    return engine.diff()


def seed_document(content: Any, version: int) -> list[bytes]:
    """Return the updates that start a document with default content."""
    kind = kind_of(content)
    assert kind is not None
    whole = digest(b"document", b"%d" % FORMAT, kind.encode(), canonical(content))
    group = _group(content, whole + b"%d" % version)
    engine = Engine(seed_client_id(version, whole))
    seed = _Seed(engine, group, engine if group else None)
    seed.engine.begin()
    seed.engine.put("meta", "format", FORMAT)
    seed.engine.put("meta", "epoch", EPOCH)
    seed.engine.put("meta", "kind", kind)
    root = seed.reference(kind, content, 0)
    if kind == "list" and content:
        seed.engine.put("d", ROOT_ENTRY, encode_reference(root))
    seed.content(root_id(root), content, "d")
    seed.engine.commit()
    return [seed.engine.diff(), *seed.list_updates]


def import_content(default: Any, content: Any, version: int, client_id: int) -> list[bytes]:
    """Return the updates of a document that was started with a default and found its content in a file.

    Where the file differs from the default it counts as chosen; the content of its lists is seeded, so that the
    same file on two devices stays one.
    """
    updates = seed_document(default, version)
    whole = digest(b"file", b"%d" % FORMAT, canonical(content))
    group = _group(content, whole)
    seed = _Seed(Engine(client_id), group, Engine(seed_client_id(0, whole)) if group else None)
    seed.engine.begin()
    if seed.list_engine is not None:
        seed.list_engine.begin()
    _Importer(seed).root(default, content)
    chosen = seed.engine.commit()
    if seed.list_engine is not None:
        seed.list_engine.commit()
        updates.append(seed.list_engine.diff())
    return [*updates, *seed.list_updates, *chosen]


# --- how content is written --------------------------------------------------------------------------------


def _count_lists(content: Any) -> int:
    """Return how many lists with content there are outside of other lists."""
    match kind_of(content):
        case "dict":
            return sum(_count_lists(item) for item in content.values())
        case "list":
            return 1 if content else 0
    return 0


def _group(content: Any, whole: bytes) -> bytes:
    return whole if _count_lists(content) > MAX_OWN_LISTS else b""


class _Seed:
    """Writes content into a scratch document; lists go into updates of their own while they are few."""

    def __init__(self, engine: Engine, group: bytes = b"", list_engine: Engine | None = None) -> None:
        self.engine = engine
        self.group = group
        self.list_engine = list_engine
        """Where lists are written; None: each in an update of its own."""
        self.list_updates: list[bytes] = []

    def reference(self, kind: Kind, item: Any, generation: int) -> Reference:
        if kind == "list" and item:
            return Reference(kind, list_nonce(item, generation, self.group))
        return Reference(kind, generation)

    def content(self, node: str, content: Any, layer: str) -> None:
        match kind_of(content):
            case "dict":
                for _, key, item in sorted_items(content):
                    self.entry(node, key, item, layer)
            case "list":
                self._list(node, content)
            case "set":
                for element in sorted(content, key=lambda element: text_order(key_text(element))):
                    self.engine.put(layer, f"{node}/{key_text(element)}", set_cell(element))

    def entry(self, node: str, key: Any, item: Any, layer: str, generation: int = 0) -> None:
        kind, text = kind_of(item), key_text(key)
        if kind is None:
            self.engine.put(layer, f"{node}/{text}", dict_cell(key, encode(item)))
            return
        reference = self.reference(kind, item, generation)
        self.engine.put(layer, f"{node}/{text}", dict_cell(key, encode_reference(reference)))
        self.content(node_id(node, text, kind, reference.nonce), item, layer)

    def _list(self, list_id: str, content: list[Any]) -> None:
        if not content:
            return
        if self.list_engine is not None:
            _write_elements(self.list_engine, list_id, content)
        else:
            self.list_updates.append(seed_list(list_id, content))


def sorted_items(content: dict[Any, Any]) -> list[tuple[str, Any, Any]]:
    """Return (key text, key, value) in canonical order."""
    items = [(key_text(key), key, item) for key, item in content.items()]
    return sorted(items, key=lambda item: text_order(item[0]))


def _write_elements(engine: Engine, node: str, content: list[Any]) -> None:
    """Write a list's elements and all that is inside them."""
    children: list[tuple[Reference, Any]] = []
    for index, item in enumerate(content):
        kind = kind_of(item)
        if kind is None:
            engine.insert(node, index, encode(item))
        else:
            reference = Reference(kind, element_nonce(item, index))
            engine.insert(node, index, encode_reference(reference))
            children.append((reference, item))
    inside = _Seed(engine, list_engine=engine)
    for reference, item in children:
        inside.content(node_id(node, "", reference.kind, reference.nonce), item, "d")


class _Importer:
    """Writes the difference between a default and a file's content as chosen cells."""

    def __init__(self, seed: _Seed) -> None:
        self.seed = seed
        self.engine = seed.engine

    def root(self, default: Any, content: Any) -> None:
        kind = kind_of(content)
        assert kind is not None
        if kind != "list":
            self.content(root_id(Reference(kind, 0)), default, content)
        elif canonical(default) != canonical(content):
            reference = self.seed.reference(kind, content, 0)
            self.engine.put("p", ROOT_ENTRY, encode_reference(reference))
            self.seed.content(root_id(reference), content, "c")

    def content(self, node: str, default: Any, content: Any) -> None:
        if kind_of(content) == "set":
            for element in default - content:
                self.engine.put("c", f"{node}/{key_text(element)}", TOMBSTONE_CELL)
            for element in content - default:
                self.engine.put("c", f"{node}/{key_text(element)}", set_cell(element))
            return
        for text, key, _ in sorted_items({**default, **content}):
            self._entry(node, text, key, default.get(key, ABSENT), content.get(key, ABSENT))

    def _entry(self, node: str, text: str, key: Any, default: Any, item: Any) -> None:
        kind, default_kind = kind_of(item), kind_of(default)
        if kind is not None and kind == default_kind and kind != "list":
            self.content(node_id(node, text, kind, 0), default, item)
            return
        if item is not ABSENT and default is not ABSENT and canonical(default) == canonical(item):
            return
        generation = 0 if default_kind is None else 1
        if generation:
            self.engine.put("g", f"{node}/{text}", generation)
        if item is ABSENT:
            self.engine.put("c", f"{node}/{text}", TOMBSTONE_CELL)
        else:
            self.seed.entry(node, key, item, "c", generation)
