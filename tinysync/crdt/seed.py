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
from tinysync.crdt.ops import ABSENT
from tinysync.crdt.values import (
    TOMBSTONE_CELL,
    Reference,
    encode,
    encode_reference,
    key_text,
    pack,
)

if TYPE_CHECKING:
    from tinysync.model import Kind

FORMAT: Final = 1
"""Version of the document format and of the way of seeding."""

EPOCH: Final = 0


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


def list_nonce(content: list[Any], generation: int) -> bytes:
    """Return the nonce of a seeded list."""
    return digest(b"list", b"%d" % generation, canonical(content))


def element_nonce(child: Any, index: int) -> bytes:
    """Return the nonce of a container inside a seeded list."""
    return digest(b"element", b"%d" % index, canonical(child))


def seed_document(content: Any, version: int) -> bytes:
    """Return the update that starts a document with default content."""
    kind = kind_of(content)
    assert kind is not None
    engine = Engine(
        seed_client_id(version, digest(b"document", b"%d" % FORMAT, kind.encode(), canonical(content)))
    )
    engine.begin()
    engine.put("meta", "format", FORMAT)
    engine.put("meta", "epoch", EPOCH)
    engine.put("meta", "kind", kind)
    root = Reference(kind, 0)
    if kind == "list" and content:
        root = Reference(kind, list_nonce(content, 0))
        engine.put("d", ROOT_ENTRY, encode_reference(root))
    _write_content(engine, root_id(root), content)
    engine.commit()
    return engine.diff()


def seed_list(
    parent: str, text: str, content: list[Any], generation: int, version: int
) -> tuple[bytes, Reference]:
    """Return the update that holds a list's content at a place, and the reference that will show it.

    The reference itself stands as a default cell in the update.
    """
    reference = Reference("list", list_nonce(content, generation))
    place = digest(
        b"place", b"%d" % FORMAT, parent.encode(), text.encode(), b"%d" % generation, canonical(content)
    )
    engine = Engine(seed_client_id(version, place))
    engine.begin()
    engine.put("d", f"{parent}/{text}", encode_reference(reference))
    _write_content(engine, node_id(parent, text, "list", reference.nonce), content)
    engine.commit()
    return engine.diff(), reference


def _write_content(engine: Engine, node: str, content: Any) -> None:
    match kind_of(content):
        case "dict":
            for text, key, item in sorted_items(content):
                _write_entry(engine, node, text, key, item)
        case "list":
            _write_elements(engine, node, content)
        case "set":
            for element in sorted(content, key=lambda element: text_order(key_text(element))):
                engine.put("d", f"{node}/{key_text(element)}", set_cell(element))


def sorted_items(content: dict[Any, Any]) -> list[tuple[str, Any, Any]]:
    """Return (key text, key, value) in canonical order."""
    items = [(key_text(key), key, item) for key, item in content.items()]
    return sorted(items, key=lambda item: text_order(item[0]))


def _write_entry(engine: Engine, node: str, text: str, key: Any, item: Any) -> None:
    kind = kind_of(item)
    if kind is None:
        engine.put("d", f"{node}/{text}", dict_cell(key, encode(item)))
        return
    reference = Reference(kind, list_nonce(item, 0) if kind == "list" and item else 0)
    engine.put("d", f"{node}/{text}", dict_cell(key, encode_reference(reference)))
    _write_content(engine, node_id(node, text, kind, reference.nonce), item)


def _write_elements(engine: Engine, node: str, content: list[Any]) -> None:
    children: list[tuple[Reference, Any]] = []
    for index, item in enumerate(content):
        kind = kind_of(item)
        if kind is None:
            engine.insert(node, index, encode(item))
        else:
            reference = Reference(kind, element_nonce(item, index))
            engine.insert(node, index, encode_reference(reference))
            children.append((reference, item))
    for reference, item in children:
        _write_content(engine, node_id(node, "", reference.kind, reference.nonce), item)


# --- a readable file that came without its document --------------------------------------------------------


def import_content(default: Any, content: Any, version: int, client_id: int) -> list[bytes]:
    """Return the updates of a document that was started with a default and found its content in a file.

    Where the file differs from the default it counts as chosen; the content of its lists is seeded, so that the
    same file on two devices stays one.
    """
    engine = Engine(client_id)
    updates = [seed_document(default, version)]
    importer = _Importer(engine, updates, version)
    engine.begin()
    kind = kind_of(default)
    assert kind is not None
    if kind == "list":
        importer.root_list(default, content)
    else:
        importer.content(root_id(Reference(kind, 0)), default, content)
    return [*updates, *engine.commit()]


class _Importer:
    """Writes the difference between a default and a file's content as chosen cells."""

    def __init__(self, engine: Engine, updates: list[bytes], version: int) -> None:
        self.engine = engine
        self.updates = updates
        self.version = version

    def root_list(self, default: list[Any], content: list[Any]) -> None:
        if canonical(default) == canonical(content):
            return
        reference = Reference("list", 0)
        if content:
            update, reference = seed_list("", "", content, 0, self.version)
            self.updates.append(update)
        self.engine.put("p", ROOT_ENTRY, encode_reference(reference))

    def content(self, node: str, default: Any, content: Any) -> None:
        if kind_of(content) == "set":
            for element in default - content:
                self.engine.put("c", f"{node}/{key_text(element)}", TOMBSTONE_CELL)
            for element in content - default:
                self.engine.put("c", f"{node}/{key_text(element)}", set_cell(element))
            return
        for _, key, _ in sorted_items({**default, **content}):
            self._entry(node, key, default.get(key, ABSENT), content.get(key, ABSENT))

    def _entry(self, node: str, key: Any, default: Any, item: Any) -> None:
        text = key_text(key)
        entry = f"{node}/{text}"
        kind, default_kind = kind_of(item), kind_of(default)
        if item is not ABSENT and kind is not None and kind == default_kind and kind != "list":
            self.content(node_id(node, text, kind, 0), default, item)
            return
        if item is not ABSENT and default is not ABSENT and canonical(default) == canonical(item):
            return
        generation = 0
        if default_kind is not None:
            generation = 1
            self.engine.put("g", entry, generation)
        if item is ABSENT:
            self.engine.put("c", entry, TOMBSTONE_CELL)
        elif kind is None:
            self.engine.put("c", entry, dict_cell(key, encode(item)))
        elif kind == "list" and item:
            update, reference = seed_list(node, text, item, generation, self.version)
            self.updates.append(update)
            self.engine.put("c", entry, dict_cell(key, encode_reference(reference)))
        else:
            self.engine.put("c", entry, dict_cell(key, encode_reference(Reference(kind, generation))))
            if item:
                self.content(node_id(node, text, kind, generation), type(item)(), item)
