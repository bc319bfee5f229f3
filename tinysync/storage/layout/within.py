"""Changing a text where only a few entries are to say something else, without reading the rest of it again.

The lines of entries that follow each other in a block are a block themselves: read alone they say what they say in
the whole text, because nothing above or below them has a say in it. That does not hold where there are anchors,
aliases or merge keys; and no line may be one that ends a document, or begins one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tinysync.errors import UnreadableFile
from tinysync.storage.layout.patch import Patcher, is_merge, same_items
from tinysync.storage.layout.places import Places
from tinysync.storage.layout.text import Text
from tinysync.storage.layout.tree import CannotPatch, Node, TreeBuilder
from tinysync.storage.plain import identity
from tinysync.storage.yaml_load import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DOCUMENT: Final = re.compile("(?:\\A|[\n\r\x85\u2028\u2029])(?:---|\\.\\.\\.|%|\ufeff)")
_WIDTH: Final = {"map": 2, "seq": 1}
"""How many nodes an entry has."""

_BY_EQUALITY: Final = frozenset({type(None), bool, int, str, bytes})


class _Change(NamedTuple):
    """What a node below the root is to say; ``steps`` number the entries that lead to it."""

    steps: tuple[int, ...]
    old: Any
    wanted: Any


class _Read(NamedTuple):
    """What was read of a stretch: a block, with its places in the whole text."""

    root: Node
    value: Any


class _Stretch(NamedTuple):
    """Entries of a block that follow each other, and the lines that they take."""

    block: Node
    steps: tuple[int, ...]
    first: int
    behind: int
    start: int
    end: int


def changed_within(text: str, root: Node, value: Any, wanted: Any) -> str | None:
    """Return a text, in which ``root`` says ``value``, changed to say ``wanted``; None if that takes all of it.

    Then root and value are brought up to it.
    """
    if root.refers or not root.is_block or not text.endswith(("\n", "\r")):
        return None
    changes = list(_changes(root, value, wanted, ()))
    places = Places(Text(text), root)
    patcher = Patcher(places, value)
    try:
        for change in changes:
            patcher.patch_at(change.steps, change.old, change.wanted)
        new = patcher.edits.applied()
        span = patcher.edits.span()
        stretch = None if span is None else _stretch(places, changes, *span)
    except CannotPatch:
        return None
    if stretch is None:
        return None
    grown = len(new) - len(text)
    read = _read(stretch, new[stretch.start : stretch.end + grown])
    for number in stretch.steps:
        step = list(value)[number] if isinstance(value, dict) else number
        value, wanted = value[step], wanted[step]
    if read is None or not _says(read, stretch, value, wanted):
        return None
    _move(root, stretch, grown)
    _take_in(read, stretch, value)
    return new


def _changes(node: Node, old: Any, wanted: Any, steps: tuple[int, ...]) -> Iterator[_Change]:
    """Return the innermost nodes that are to say something else, and whose entries do not just change in place."""
    pairs: Iterable[tuple[Any, Any]] | None = None
    if type(old) is type(wanted) and node.is_block:
        if node.kind == "map" and isinstance(old, dict):
            if old.keys() == wanted.keys() and _is_plain(node, old):
                names = {key: key for key in wanted}
                if all(type(names[key]) is type(key) and same(names[key], key) for key in old):
                    pairs = ((old[key], wanted[key]) for key in old)
        elif node.kind == "seq" and _in_place(old, wanted):
            pairs = zip(old, wanted, strict=True)
    if pairs is None:
        yield _Change(steps, old, wanted)
        return
    children = node.children[1::2] if node.kind == "map" else node.children
    for number, (child, (one, other)) in enumerate(zip(children, pairs, strict=True)):
        if not same(one, other):
            yield from _changes(child, one, other, (*steps, number))


def _in_place(old: list[Any], wanted: list[Any]) -> bool:
    """Tell whether the items of a list, perhaps changed, are where they were."""
    return len(old) == len(wanted) and all(one == other for one, other in same_items(old, wanted).items())


def _is_plain(node: Node, value: Any) -> bool:
    """Tell whether the entries of a mapping are those of its value, in order."""
    return len(node.children) == 2 * len(value) and not any(map(is_merge, node.children[::2]))


def same(one: Any, other: Any) -> bool:
    """Tell whether two readable values are the same, types included."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind in _BY_EQUALITY:
        return bool(one == other)
    if kind is list:
        return len(one) == len(other) and all(map(same, one, other))
    if kind is dict and all(type(key) is str for key in one):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return identity(one) == identity(other)


def _stretch(places: Places, changes: list[_Change], start: int, end: int) -> _Stretch | None:
    """Return the fewest entries whose lines hold a stretch of the text, in a block that all changes are in."""
    steps = changes[0].steps
    for change in changes[1:]:
        shared = 0
        while shared < min(len(steps), len(change.steps)) and steps[shared] == change.steps[shared]:
            shared += 1
        steps = steps[:shared]
    blocks = [places.root]
    for number in steps:
        blocks.append(places.entries(blocks[-1])[number].value)
    behind = [len(places.text.text)]
    for block, number in zip(blocks, steps, strict=False):
        entries = places.entries(block)
        inside = number + 1 < len(entries)
        behind.append(places.text.line_start(entries[number + 1].start) if inside else behind[-1])
    for depth in range(len(steps), -1, -1):
        block = blocks[depth]
        if block.is_block and (found := _in_block(places, block, start, end, behind[depth])) is not None:
            return _Stretch(block, steps[:depth], *found)
    return None


def _in_block(places: Places, block: Node, start: int, end: int, behind: int) -> tuple[int, int, int, int] | None:
    text, entries = places.text, places.entries(block)
    begins = [text.line_start(entry.start) if text.begins_line(entry.start) else -1 for entry in entries]
    first = max((number for number, begin in enumerate(begins) if 0 <= begin <= start), default=None)
    if first is None:
        return None
    if first > 0 and begins[first - 1] >= 0:
        first -= 1  # so that something is left to be read where an entry is deleted
    last = max(number for number, begin in enumerate(begins) if number == first or 0 <= begin < end)
    stop = begins[last + 1] if last + 1 < len(begins) else behind
    return (first, last + 1, begins[first], stop) if end <= stop else None


def _read(stretch: _Stretch, lines: str) -> _Read | None:
    """Read the lines of a stretch as they are to be; return None if they are no such stretch."""
    if _DOCUMENT.search(lines):
        return None
    builder = TreeBuilder()
    try:
        value = load_yaml(lines.encode(), "an entry", builder)
    except (UnreadableFile, UnicodeEncodeError):
        return None
    root, block = builder.root, stretch.block
    if root is None or root.refers or not root.is_block or root.kind != block.kind:
        return None
    for node in _below(root):
        node.start += stretch.start
        node.end += stretch.start
    first, before = root.children[0], block.children[stretch.first * _WIDTH[block.kind]]
    return _Read(root, value) if (first.start, first.column) == (before.start, before.column) else None


def _says(read: _Read, stretch: _Stretch, value: Any, wanted: Any) -> bool:
    """Tell whether a block says what is wanted with a stretch of its entries replaced."""
    said, width = read.value, _WIDTH[stretch.block.kind]
    if not type(said) is type(value) is type(wanted) or len(said) * width != len(read.root.children):
        return False
    if isinstance(value, list):
        kept = len(value) - stretch.behind
        there = value[: stretch.first], said, value[stretch.behind :]
        parts = wanted[: stretch.first], wanted[stretch.first : len(wanted) - kept], wanted[len(wanted) - kept :]
        return all(map(same, there, parts))
    if not isinstance(value, dict) or not _is_plain(stretch.block, value):
        return False
    keys = list(value)
    outside = {key: value[key] for key in keys[: stretch.first] + keys[stretch.behind :]}
    return outside.keys().isdisjoint(said) and same(outside | said, wanted)


def _take_in(read: _Read, stretch: _Stretch, value: Any) -> None:
    """Bring the nodes and the value of a block up to what was read of a stretch of it."""
    block, width = stretch.block, _WIDTH[stretch.block.kind]
    for child in read.root.children:
        child.parent = block
    block.children[stretch.first * width : stretch.behind * width] = read.root.children
    if isinstance(value, list):
        value[stretch.first : stretch.behind] = read.value
        return
    entries = list(value.items())
    entries[stretch.first : stretch.behind] = read.value.items()
    value.clear()
    value.update(entries)


def _move(root: Node, stretch: _Stretch, grown: int) -> None:
    """Move what stands behind a stretch."""
    nodes = [root] if grown else []
    while nodes:
        node = nodes.pop()
        node.end += grown
        if node.start >= stretch.end:
            node.start += grown
        nodes += [child for child in node.children if child.end >= stretch.end]


def _below(root: Node) -> Iterator[Node]:
    nodes = [root]
    while nodes:
        node = nodes.pop()
        nodes += node.children
        yield node
