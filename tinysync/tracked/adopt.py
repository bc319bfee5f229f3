"""Bringing plain values into a structure: checked copies, then live containers made of them."""

from __future__ import annotations

from array import array
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tinysync.crdt.keys import check_key
from tinysync.crdt.node import Node
from tinysync.crdt.values import MAX_DEPTH, check_scalar, is_scalar_type
from tinysync.errors import InvalidValue, UnsupportedValue, UsageError
from tinysync.tracked.base import bind
from tinysync.tracked.dicts import DictWrapper
from tinysync.tracked.lists import ListWrapper
from tinysync.tracked.plain import ALWAYS_HELD, CONTAINERS, kind_of
from tinysync.tracked.sets import SetWrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinysync.model import Kind
    from tinysync.tracked.recorder import Recorder

_ALWAYS_KEYS: Final = frozenset({type(None), bool, int, bytes})

_BUILTIN_KINDS: Final[dict[type, Kind]] = {dict: "dict", list: "list", set: "set"}
_NEW: Final[dict[Kind, Callable[[], Any]]] = {
    "dict": partial(dict.__new__, DictWrapper),
    "list": partial(list.__new__, ListWrapper),
    "set": partial(set.__new__, SetWrapper),
}
"""Empty wrappers without the detour over their classes, which would bind each twice."""


MOST_STEPS: Final = 10
"""A path in a message shows at most so many steps, half of them from each end."""


def copy_in(value: Any, node: Node | None = None, *steps: Any) -> Any:
    """Return a deep copy of a value, made of plain dicts, lists, sets and scalars, after checking all of it.

    The value is to be at ``steps`` (keys and indices) below ``node``; without a node it is to be a root. Raises
    UnsupportedValue or InvalidValue (a cycle, too deep, a value that cannot be encoded), which name the path.
    Where a structure holds anything, what is neither a plain nor a tracked container is held as it is.
    """
    kind = type(value)
    if kind in ALWAYS_HELD or (kind is str and value.isascii()):
        return value
    if node is not None and _holds_anything(node):
        return copy_anything(value, node, *steps)
    if is_scalar_type(kind):
        try:
            check_scalar(value)
        except UsageError as error:
            raise _located(error, f"at {place_of(node, steps)}") from None
        return value
    return _CopyIn(node, steps).copy(value)


def copy_anything(value: Any, node: Node | None = None, *steps: Any) -> Any:
    """Return a value with its plain and tracked containers copied, and everything else as it is.

    Raises InvalidValue for a cycle of containers, and if they are nested too deep.
    """
    return _CopyAnything(node, steps).copy(value)


def _holds_anything(node: Node) -> bool:
    recorder: Recorder = node.container._recorder
    return recorder.holds_anything


def check_entry_key(key: Any, node: Node) -> None:
    """Raise UnsupportedValue or InvalidValue, naming the path, unless a key or set element can be held."""
    if type(key) in _ALWAYS_KEYS or (type(key) is str and key.isascii()):
        return
    if _holds_anything(node):
        hash(key)
        return
    try:
        check_key(key)
    except UsageError as error:
        raise _key_refused(error, node, ()) from None


def build(value: Any, parent: Node | None, key: Any, recorder: Recorder | None) -> Any:
    """Return the live form of a value from ``copy_in``: containers become tracked ones, with new nodes."""
    kind = _BUILTIN_KINDS.get(type(value))
    if kind is None:
        return value
    return fill(Node(kind, parent, key), value, recorder)


def fill(node: Node, value: Any, recorder: Recorder | None) -> Any:
    """Return the live container of a new node, with the content of a plain one from ``copy_in``."""
    kind = node.kind
    container = make_container(kind, node, recorder)
    if kind == "dict":
        dict.update(container, {name: build(item, node, name, recorder) for name, item in value.items()})
    elif kind == "list":
        list.extend(container, [build(item, node, None, recorder) for item in value])
    else:
        set.update(container, value)
    return container


def arrange(live: Any, content: Any) -> None:
    """Give the dicts in a live container the key order of those in the plain one that it was made from."""
    if isinstance(content, dict):
        entries = {key: live[key] for key in content}
        if list(entries) != list(live):
            dict.clear(live)
            dict.update(live, entries)
        for key, item in content.items():
            arrange(entries[key], item)
    elif isinstance(content, list):
        for item, part in zip(live, content, strict=True):
            arrange(item, part)


def make_container(kind: Kind, node: Node, recorder: Recorder | None) -> Any:
    """Return a new, empty live container for a node."""
    container = _NEW[kind]()
    bind(container, node, recorder)
    node.container = container
    return container


class _CopyIn:
    """One copying in: where it is, and which containers it is inside of."""

    __slots__ = ("_inside", "_node", "_room", "_steps")

    def __init__(self, node: Node | None, steps: Sequence[Any]) -> None:
        self._node = node
        self._steps = list(steps)
        self._room = MAX_DEPTH if node is None else MAX_DEPTH - 1 - node.depth()
        self._inside: list[int] = []

    def copy(self, value: Any) -> Any:
        if is_scalar_type(type(value)):
            self._check_scalar(value)
            return value
        kind = kind_of(value)
        if kind is None:
            raise self._refused(value)
        return self._enter(kind, value)

    def _enter(self, kind: Kind, value: Any) -> Any:
        if id(value) in self._inside:
            raise InvalidValue(f"a {kind} cannot be inside itself (at {self._here()})")
        if len(self._inside) >= self._room:
            raise InvalidValue(f"containers are nested more than {MAX_DEPTH} deep (at {self._here()})")
        self._inside.append(id(value))
        copied = self._copy_container(kind, value)
        self._inside.pop()
        return copied

    def _copy_container(self, kind: Kind, value: Any) -> Any:
        if kind == "list":
            items = list(value)
            self._copy_items(items, enumerate(items))
            return items
        if kind == "dict":
            entries = dict(value)
            self._check_keys(entries)
            self._copy_items(entries, entries.items())
            return entries
        elements = set(value)
        self._check_keys(elements)
        return elements

    def _copy_items(self, copied: Any, items: Any) -> None:
        for step, item in items:
            if type(item) not in ALWAYS_HELD:
                self._steps.append(step)
                copied[step] = self.copy(item)
                self._steps.pop()

    def _check_keys(self, keys: Any) -> None:
        for key in keys:
            try:
                check_key(key)
            except UsageError as error:
                raise _key_refused(error, self._node, self._steps) from None

    def _check_scalar(self, value: Any) -> None:
        try:
            check_scalar(value)
        except UsageError as error:
            raise _located(error, f"at {self._here()}") from None

    def _refused(self, value: Any) -> UsageError:
        if isinstance(value, array):
            hint = "a value of type array.array cannot be held; convert it with list(...) or bytes(...)"
            return UnsupportedValue(f"{hint} (at {self._here()})")
        try:
            check_scalar(value)
        except UsageError as error:
            return _located(error, f"at {self._here()}")
        raise AssertionError(f"{type(value)} passes as a scalar, but is not of a scalar type")

    def _here(self) -> str:
        return place_of(self._node, self._steps)


class _CopyAnything(_CopyIn):
    """A copying in that takes every value."""

    __slots__ = ()

    def copy(self, value: Any) -> Any:
        kind = CONTAINERS.get(type(value))
        return value if kind is None else self._enter(kind, value)

    def _check_keys(self, keys: Any) -> None:
        """Take every key: what has got here is one of a dict or set."""


def _key_refused(error: UsageError, node: Node | None, steps: Sequence[Any]) -> UsageError:
    return _located(error, f"as a key or element of {place_of(node, steps)}")


def _located(error: UsageError, where: str) -> UsageError:
    return type(error)(f"{error} ({where})")


def place_of(node: Node | None, steps: Sequence[Any]) -> str:
    """Return how messages say what is at ``steps`` below a node, or below the root."""
    path = [f"[{step!r}]" for step in (*(node.path() if node is not None else ()), *steps)]
    if len(path) > MOST_STEPS:
        path[MOST_STEPS // 2 : -MOST_STEPS // 2] = ["[...]"]
    return "".join(path) or "the root"
