"""A tracker without a document: it runs the edits, and replays each journal on a plain shadow of the structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinysync.crdt.ops import ABSENT, Assign, Op, Put, Reorder, Splice
from tinysync.tracked.adopt import build, copy_in
from tinysync.tracked.base import Tracked
from tinysync.tracked.detached import DetachedEdit, detached_edit
from tinysync.tracked.edit import Edit
from tinysync.tracked.journal import Journal
from tinysync.tracked.plain import plain
from tinysync.tracked.sameness import token

if TYPE_CHECKING:
    from tinysync.crdt.node import Node


@dataclass
class Structure:
    """Commits at the end of each call or ``with`` block; ``commits`` has what each one consisted of."""

    journal: Journal = field(default_factory=Journal)
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any] | None]] = field(default_factory=list)
    commits: list[list[Op]] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    root: Any = None
    shadows: dict[Node, Any] = field(default_factory=dict)
    holds_anything: bool = False

    def edit(
        self,
        container: Tracked,
        func_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
    ) -> Structure | DetachedEdit:
        if not container._node.attached:
            return detached_edit(container)
        self.calls.append((func_name, args, kwargs))
        return _Call(self)

    def put_plain(self, container: Any, key: str, value: Any) -> bool:
        with self.edit(container, "__setitem__", (key, value)) as edit:
            return edit.journal.put_plain(container._node, key, value) if container._node.attached else False

    def __enter__(self) -> Edit:
        self.marks.append(self.journal.mark())
        return Edit(self.journal)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        mark = self.marks.pop()
        if kind is not None:
            self.journal.rollback(mark)
            self.shadows.clear()
            self.shadow(self.root)
        if not self.marks:
            if self.journal.ops:
                self.commits.append(self.journal.ops)
            self.journal = Journal()

    async def __aenter__(self) -> Edit:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        self.__exit__(kind, error, traceback)

    def last_ops(self) -> list[Op]:
        return self.commits[-1]

    def shadow(self, value: Any) -> Any:
        """Return the plain twin of a live value, making it, with all that is in it, if need be."""
        if not isinstance(value, Tracked):
            return value
        if value._node not in self.shadows:
            if isinstance(value, dict):
                twin: Any = {key: self.shadow(item) for key, item in value.items()}
            elif isinstance(value, list):
                twin = [self.shadow(item) for item in value]
            else:
                twin = set(value)
            self.shadows[value._node] = twin
        return self.shadows[value._node]

    def replay(self, ops: list[Op]) -> None:
        for op in ops:
            twin = self.shadows[op.node]
            match op:
                case Put(key=key, old=old, new=new):
                    assert (old is ABSENT) == (key not in twin)
                    if isinstance(twin, set):
                        (twin.remove if new is ABSENT else twin.add)(key)
                    elif new is ABSENT:
                        assert token(twin.pop(key)) == token(self.shadow(old))
                    else:
                        twin[key] = self.shadow(new)
                case Assign(index=index, new=new):
                    twin[index] = self.shadow(new)
                case Splice(index=index, old=old, new=new):
                    assert len(twin[index : index + len(old)]) == len(old)
                    twin[index : index + len(old)] = map(self.shadow, new)
                case Reorder(order=order):
                    assert sorted(order) == list(range(len(twin)))
                    twin[:] = [twin[before] for before in order]


class _Call:
    """One call: at its end its ops, if they stand, are replayed, and must give what is live."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure

    def __enter__(self) -> Edit:
        self.begin = self.structure.journal.mark()
        self.journal = self.structure.journal
        return self.structure.__enter__()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None:
            self.structure.replay(self.journal.ops[self.begin :])
            live, twin = self.structure.root, self.structure.shadow(self.structure.root)
            assert token(live) == token(twin)
        self.structure.__exit__(kind, error, traceback)


def track(value: Any) -> Any:
    """Return a live structure; its ``_recorder`` is a Structure."""
    structure = Structure()
    structure.root = build(copy_in(value), None, None, structure)
    structure.shadow(structure.root)
    return structure.root


def state(live: Any) -> Any:
    """Return all that a rollback must bring back: identities, order, types, nodes."""
    node = live._node
    about = (id(live), id(node), node.attached, node.removed_by_other, node.key, id(live._recorder))
    if isinstance(live, dict):
        entries = [
            (token(key), state(item) if isinstance(item, Tracked) else token(item)) for key, item in live.items()
        ]
        return about, entries
    if isinstance(live, list):
        return about, [state(item) if isinstance(item, Tracked) else token(item) for item in live]
    return about, frozenset(map(token, live))


def check_links(live: Any, parent: Any = None, key: Any = None) -> None:
    """Check that nodes and live containers mirror each other."""
    node = live._node
    assert node.container is live
    assert node.attached
    assert node.parent is (parent._node if parent is not None else None)
    assert node.kind == {"DictWrapper": "dict", "ListWrapper": "list", "SetWrapper": "set"}[type(live).__name__]
    assert token(node.key) == token(key)
    if isinstance(live, set):
        return
    for step, item in live.items() if isinstance(live, dict) else enumerate(live):
        if isinstance(item, (dict, list, set)):
            assert isinstance(item, Tracked)
            assert item._recorder is live._recorder
            check_links(item, live, step if isinstance(live, dict) else None)


def containers(live: Any) -> list[Any]:
    """Return a container and all that are in it."""
    found = [live]
    if not isinstance(live, set):
        for item in live.values() if isinstance(live, dict) else live:
            if isinstance(item, (dict, list, set)):
                found.extend(containers(item))
    return found


__all__ = ["Structure", "check_links", "containers", "plain", "state", "track"]
