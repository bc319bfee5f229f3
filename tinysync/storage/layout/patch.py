"""The edits that make a YAML text say another value."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tinysync.storage.alignment import same_element_pairs
from tinysync.storage.layout.block import BlockEdit
from tinysync.storage.layout.flow import FlowEdit
from tinysync.storage.layout.render import Renderer, flow_pair, flow_text
from tinysync.storage.layout.replace import Replacement, Slot
from tinysync.storage.layout.text import Edits
from tinysync.storage.layout.tree import CannotPatch, Entry, Node
from tinysync.storage.plain import identity
from tinysync.storage.yaml_dump import in_order
from tinysync.storage.yaml_load import scalar_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Iterable

    from tinysync.storage.layout.places import Places

_MERGE_TAG: Final = "tag:yaml.org,2002:merge"


class Patcher:
    """Collects the edits by which one text, that says ``old``, is to say something else.

    The nodes in ``anew`` are written anew as a whole, whether they changed or not; ``one_line`` writes texts of
    several lines in one, so that no comment below can be taken for their last. Anchors whose value changes keep
    their place; an alias that is to go on saying what it said is written out.
    """

    def __init__(self, places: Places, old: Any, anew: Container[Node] = (), *, one_line: bool = False) -> None:
        self.edits = Edits(places.text)
        self._places = places
        self._text = places.text
        self._replacement = Replacement(places, self.edits, one_line=one_line)
        self._old = old
        self._anew = anew
        self._one_line = one_line
        self._anchors: dict[str, Any] = {}
        """What each anchor above says from now on."""
        self._reader: Callable[[str | None, str, tuple[bool, bool]], Any] | None = None

    def patch(self, wanted: Any) -> None:
        """Make the edits for a readable value. Raise CannotPatch with a node that is to be written anew."""
        self._value(Slot(self._places.root, "root", None, -1), self._old, wanted)

    def patch_at(self, steps: Iterable[int], old: Any, wanted: Any) -> None:
        """Make the edits for one node, to which entries with these numbers lead."""
        slot = Slot(self._places.root, "root", None, -1)
        for number in steps:
            slot = self._child(slot, self._places.entries(slot.node)[number])
        self._value(slot, old, wanted)

    def _value(self, slot: Slot, old: Any, wanted: Any) -> None:
        node = slot.node
        if node.kind == "alias":
            as_known = node.text in self._anchors and _same(self._anchors[node.text], wanted)
        else:
            as_known = node.kind == "scalar" and _same(old, wanted)
        if node in self._anew:
            self._replacement.replace(slot, wanted, blunt=True)
        elif node.kind == "map" and type(old) is type(wanted):
            self._mapping(slot, old, wanted)
        elif node.kind == "seq" and type(old) is type(wanted):
            self._sequence(slot, old, wanted)
        elif not as_known:
            self._replacement.replace(slot, wanted, blunt=False)
        if node.anchor is not None:
            self._anchors[node.anchor] = wanted

    def _stays(self, node: Node, old: Any, wanted: Any) -> bool:
        """Tell whether nothing needs to be done in a node, for what it says and what others say of it."""
        return not self._anew and not node.refers and _same(old, wanted)

    def _child(self, slot: Slot, entry: Entry) -> Slot:
        if slot.node.flow:
            return Slot(entry.value, "flow", entry.lead, entry.column)
        return Slot(entry.value, "seq" if slot.node.kind == "seq" else "map", entry.lead, entry.column)

    # --- mappings and sets ---------------------------------------------------------------------------------

    def _mapping(self, slot: Slot, old: Any, wanted: Any) -> None:
        node = slot.node
        keys, values = node.children[::2], node.children[1::2]
        merges = {number for number, key in enumerate(keys) if is_merge(key)} if isinstance(old, dict) else set()
        if isinstance(old, dict) and not merges:
            said = list(old)
        else:
            said = [None if number in merges else self._said_key(key, old) for number, key in enumerate(keys)]
        names = {identity(name): name for name in wanted}
        missing, deleted = dict(names), set()
        merged: dict[Any, Any] | None = {}
        for number, key in enumerate(said):
            mark = identity(key)
            if number in merges:
                merged = self._merged(merged, values[number])
            elif mark not in names:
                deleted.add(number)
            else:
                del missing[mark]
                self._key(keys[number], key)
                if isinstance(wanted, dict) and not self._stays(values[number], old[key], wanted[names[mark]]):
                    entry = self._places.entries(node)[number]
                    self._value(self._child(slot, entry), old[key], wanted[names[mark]])
        if merged is None or any(identity(key) not in names for key in merged):
            deleted |= merges
        else:
            for key, value in merged.items():
                if identity(key) in missing and _same(wanted[key], value):
                    del missing[identity(key)]
        new = [name for name, _none in in_order([(name, None) for name in missing.values()])]
        self._change(slot, old, wanted, deleted, {len(keys): new} if new else {})

    def _said_key(self, node: Node, old: Any) -> Any:
        key = self._anchors.get(node.text) if node.kind == "alias" else self._said(node)
        if key not in old:
            raise CannotPatch(node.parent or node)  # an alias of what has changed
        return key

    def _key(self, node: Node, key: Any) -> None:
        """Note the anchor of a key that stays. Raise CannotPatch if it is an alias of what has changed."""
        if node.anchor is not None:
            self._anchors[node.anchor] = key
        elif node.kind == "alias" and not _same(self._anchors.get(node.text), key):
            raise CannotPatch(node.parent or node)

    def _merged(self, merged: dict[Any, Any] | None, node: Node) -> dict[Any, Any] | None:
        """Add what a merge key brings from now on; None if what it names is no mapping any more, or is gone."""
        try:
            return None if merged is None else self._merge(merged, node)
        except KeyError:
            return None

    def _merge(self, merged: dict[Any, Any], node: Node) -> dict[Any, Any]:
        """Add what a merge key brings from now on. Raise KeyError if an alias in it names no mapping any more."""
        brought = self._said(node)
        for part in reversed(brought) if isinstance(brought, list) else [brought]:
            if not isinstance(part, dict):
                raise KeyError(node.text)
            merged |= part
        return merged

    def _said(self, node: Node) -> Any:
        """Return what a node that stays as it is says from now on. Raise KeyError for a dangling alias."""
        value: Any
        if node.kind == "alias":
            return self._anchors[node.text]
        if node.kind == "scalar":
            self._reader = self._reader or scalar_reader()
            value = self._reader(node.tag, node.text, node.implicit)
        elif node.kind == "seq":
            value = [self._said(item) for item in node.children]
        else:
            value = {}
            own: dict[Any, Any] = {}
            for key, item in zip(node.children[::2], node.children[1::2], strict=True):
                if is_merge(key):
                    self._merge(value, item)
                else:
                    own[self._said(key)] = self._said(item)
            value |= own
        if node.anchor is not None:
            self._anchors[node.anchor] = value
        return value

    # --- lists ---------------------------------------------------------------------------------------------

    def _sequence(self, slot: Slot, old: list[Any], wanted: list[Any]) -> None:
        node = slot.node
        entries = self._places.entries(node)
        pairs = same_items(old, wanted)
        for number, entry in enumerate(entries):
            if number in pairs and not self._stays(entry.value, old[number], wanted[pairs[number]]):
                self._value(self._child(slot, entry), old[number], wanted[pairs[number]])
        place, stay = -1, {new: number for number, new in pairs.items()}
        inserted: dict[int, list[int]] = {}
        for number in range(len(wanted)):
            if number in stay:
                place = stay[number]
            else:
                inserted.setdefault(place, []).append(number)
        deleted = {number for number in range(len(entries)) if number not in pairs}
        self._change(slot, old, wanted, deleted, inserted)

    # --- containers ----------------------------------------------------------------------------------------

    def _change(
        self, slot: Slot, old: Any, wanted: Any, deleted: set[int], inserted: dict[int, list[Any]]
    ) -> None:
        """Delete entries of a container, and insert: keys or elements at the end, items of a list by index."""
        node = slot.node
        if not deleted and not inserted:
            return
        entries = self._places.entries(node)
        in_one_line = node.flow and not self._text.has_lines(node.start, node.end)
        if (not entries and in_one_line) or (node.is_block and len(deleted) == len(entries)):
            self._replacement.replace(slot, wanted, blunt=node in self._anew)
            return
        if node.kind == "map" and inserted:
            (names,) = inserted.values()
            last = max((number for number in range(len(entries)) if number not in deleted), default=-1)
            inserted = {last: names}
        if node.flow:
            texts = {place: [self._flow_entry(node, wanted, n) for n in new] for place, new in inserted.items()}
            FlowEdit(self._places, self.edits, node).change(deleted, texts)
            return
        moved = self._movable(node, old, deleted) if isinstance(old, list) and inserted else {}
        lines = {place: self._block_entries(node, wanted, new, moved) for place, new in inserted.items()}
        BlockEdit(self._places, self.edits, node).change(deleted, lines)

    def _flow_entry(self, node: Node, wanted: Any, name: Any) -> str:
        if isinstance(wanted, list):
            return flow_text(wanted[name])
        if isinstance(wanted, dict):
            return flow_pair(name, wanted[name])
        last = self._places.entries(node)[-1]
        return flow_text(name) if last.lead is None else flow_pair(name, None)

    def _block_entries(self, node: Node, wanted: Any, names: list[Any], moved: dict[Hashable, str]) -> list[str]:
        entries, style = self._places.entries(node), self._places.style(node)
        column = entries[0].column
        if isinstance(wanted, dict):
            renderer = Renderer(style, [{name: wanted[name]} for name in names], one_line=self._one_line)
            return [line for name in names for line in renderer.entry(name, wanted[name], column)]
        if isinstance(wanted, list):
            renderer = Renderer(style, [wanted[n] for n in names], one_line=self._one_line)
            parts = [(moved.pop(identity(wanted[n]), None), wanted[n]) for n in names]
            return [line for old, new in parts for line in ([old] if old else renderer.item(new, column))]
        last = entries[-1]
        explicit = last.key is not None and last.start < last.key.start
        value = "" if last.lead is None else self._text.text[last.lead : last.end]
        renderer = Renderer(style, [set(names)])
        return [line for n in names for line in renderer.element(n, column, explicit=explicit, value=value)]

    def _movable(self, node: Node, old: list[Any], deleted: set[int]) -> dict[Hashable, str]:
        """Return the lines of items that are deleted here, by their value: it may be inserted elsewhere."""
        lines: dict[Hashable, str] = {}
        entries = self._places.entries(node)
        for number in deleted:
            region = self._places.region(node, number)
            if region.whole_lines and not entries[number].value.refers:
                lines[identity(old[number])] = self._text.text[region.start : self._text.line_end(region.end)]
        return lines


def is_merge(key: Node | None) -> bool:
    """Tell whether a key is one that brings in the entries of other mappings."""
    if key is None or key.kind != "scalar":
        return False
    return key.tag == _MERGE_TAG or (key.text == "<<" and not key.style and key.tag is None)


def _same(a: Any, b: Any) -> bool:
    return identity(a) == identity(b)


def same_items(old: list[Any], new: list[Any]) -> dict[int, int]:
    """Return which items of a list are the same in a new one, perhaps changed.

    Of a long stretch in which all changed, those in the same place are, if it is as long as it was.
    """
    pairs = same_element_pairs(old, new)
    for (i, j), (next_i, next_j) in pairwise([(-1, -1), *pairs, (len(old), len(new))]):
        if next_i - i == next_j - j:
            pairs += zip(range(i + 1, next_i), range(j + 1, next_j), strict=True)
    return dict(sorted(pairs))
