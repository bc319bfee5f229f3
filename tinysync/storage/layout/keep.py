"""Writing a YAML file over the one that is there, in its layout."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final

import yaml

from tinysync.errors import UnreadableFile
from tinysync.storage.layout.patch import Patcher
from tinysync.storage.layout.places import Places
from tinysync.storage.layout.text import Text
from tinysync.storage.layout.tree import CannotPatch, Node, TreeBuilder
from tinysync.storage.layout.within import changed_within, same
from tinysync.storage.plain import identity
from tinysync.storage.yaml_dump import dump_yaml
from tinysync.storage.yaml_load import decode_yaml, load_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_ATTEMPTS: Final = 12
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PLACE: Final = "the new content"


class YamlWriter:
    """Turns a structure into the content of its YAML file, again and again.

    A file in the form in which the program itself writes is written anew each time. One that a person laid out,
    with comments, an order of keys or a style of its own, is changed only where it is to say something else.
    """

    def __init__(self, dump: Callable[[Any], bytes]) -> None:
        self._dump = dump
        self._own: bytes | None = None
        self._kept: _Kept | None = None

    def __call__(self, value: Any, current: bytes | None) -> bytes:
        """Return the content that says a readable value, in the layout of the current content, if that has one."""
        if self._kept is not None and self._kept.data == current:
            return self._patched(self._kept, value)
        data = self._dump(value)
        if current is None or current in (self._own, data):
            return self._write_own(data)
        try:
            kept = _Kept(current)
        except UnreadableFile:  # larger or deeper than what a person may write
            return self._write_own(data)
        if not kept.has_layout(self._dump):
            return self._write_own(data)
        return self._patched(kept, value)

    def _write_own(self, data: bytes) -> bytes:
        self._own, self._kept = data, None
        return data

    def _patched(self, kept: _Kept, value: Any) -> bytes:
        result = kept.saying(value)
        if result is None:
            return self._write_own(self._dump(value))
        self._own, self._kept = None, result
        return result.data


class _Kept:
    """The content of a file whose layout is kept. Raises UnreadableFile if it cannot be read."""

    def __init__(self, data: bytes) -> None:
        builder = TreeBuilder()
        self.data = data
        self._value = load_yaml(data, _PLACE, builder)
        self._text = decode_yaml(data, _PLACE)
        self._root = builder.root
        self._bom, self._encoding = next((b for b in _BOMS if data.startswith(b[0])), (b"", "utf-8"))

    def has_layout(self, dump: Callable[[Any], bytes]) -> bool:
        """Tell whether the program would not have written it like this."""
        if self._value is None:
            return "#" in self._text
        return dump(self._value) != self.data

    def saying(self, wanted: Any) -> _Kept | None:
        """Return what says a readable value in this layout, and was read to be sure; None if there is none.

        It may be this itself, which then has another content.
        """
        if self._value is None or self._root is None:
            return self._below_comments(wanted)
        if same(self._value, wanted):
            return self
        changed = changed_within(self._text, self._root, self._value, wanted)
        if changed is not None:
            self._text, self.data = changed, self._encoded(changed)
            return self
        anew: set[Node] = set()
        for attempt in range(_MAX_ATTEMPTS):
            culprits = self._attempt(wanted, anew, one_line=attempt > 0)
            if isinstance(culprits, _Kept):
                return culprits
            if not attempt:
                continue
            for node in culprits:
                culprit: Node | None = node
                while culprit is not None and culprit in anew:
                    culprit = culprit.parent
                if culprit is None:
                    return None
                anew.add(culprit)
        return None

    def _attempt(self, wanted: Any, anew: set[Node], *, one_line: bool) -> _Kept | list[Node]:
        """Patch the text; return what came of it, or the nodes that are to be written anew for it to be right."""
        assert self._root is not None
        text = Text(self._text if self._ends_line() else f"{self._text}\n")
        patcher = Patcher(Places(text, self._root), self._value, anew, one_line=one_line)
        try:
            patcher.patch(wanted)
            new = patcher.edits.applied()
        except CannotPatch as error:
            return [error.node]
        if len(text.text) > len(self._text) and not patcher.edits.touches_end():
            new = new[:-1]
        try:
            result = _Kept(self._encoded(new))
        except UnreadableFile as error:
            cause = error.__cause__
            mark = cause.problem_mark if isinstance(cause, yaml.MarkedYAMLError) else None
            return [patcher.edits.culprit(mark.index) if mark is not None else self._root]
        if identity(result._value) == identity(wanted):
            return result
        return list(_differing(self._root, self._value, result._value, wanted))

    def _below_comments(self, wanted: Any) -> _Kept | None:
        """Return the comments of a file that holds nothing else, with a value below them."""
        text = self._text if self._ends_line() else f"{self._text}\n"
        try:
            result = _Kept(self._encoded(text + dump_yaml(wanted).decode()))
        except UnreadableFile:
            return None
        return result if identity(result._value) == identity(wanted) else None

    def _ends_line(self) -> bool:
        return self._text.endswith(("\n", "\r"))

    def _encoded(self, text: str) -> bytes:
        return self._bom + text.encode(self._encoding)


def _differing(node: Node, old: Any, new: Any, wanted: Any) -> list[Node]:
    """Return the innermost nodes of an old text in which a new one says something else than was wanted."""
    found: list[Node] = []
    if type(old) is type(new) is type(wanted) and node.kind == "map" and isinstance(old, dict):
        keys = list(old)
        if len(node.children) == 2 * len(keys) and identity(dict.fromkeys(new)) == identity(dict.fromkeys(wanted)):
            for key, child in zip(keys, node.children[1::2], strict=True):
                if key in wanted and identity(new[key]) != identity(wanted[key]):
                    found += _differing(child, old[key], new[key], wanted[key])
    elif type(old) is type(new) is type(wanted) and node.kind == "seq" and len(old) == len(new) == len(wanted):
        for number, child in enumerate(node.children):
            if identity(new[number]) != identity(wanted[number]):
                found += _differing(child, old[number], new[number], wanted[number])
    return found or [node]
