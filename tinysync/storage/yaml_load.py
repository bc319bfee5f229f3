"""YAML that people wrote, read with suspicion.

The file goes through libyaml twice where it is present: first as parse events, which show what resolving the
anchors would take before anything is resolved, then into values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml
from yaml.constructor import SafeConstructor

from tinysync.storage.format import MAX_BYTES
from tinysync.storage.unreadable import line_column, unreadable_at
from tinysync.storage.yaml_check import check_events, problem_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml import SafeLoader as _BaseLoader
else:
    _BaseLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_DIGITS: Final = 4300

_TAG: Final = "tag:yaml.org,2002:"
_MERGE_TAG: Final = _TAG + "merge"
_NONE: Final = re.compile(r"^(\{\}|\[\])[ \t]*(#.*)?$", re.MULTILINE)
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def load_yaml(data: bytes, place: object, listener: Callable[[yaml.Event], None] | None = None) -> Any:
    """Return the dict, list or set that a YAML file holds, or None if it holds nothing.

    ``place`` names the file in errors; ``listener`` is given every parse event. Only what safe YAML knows is read;
    anchors, aliases and merge keys are resolved within bounds. Raise UnreadableFile, with line and column, for
    everything else: a syntax error, a key that is there twice, a foreign tag, more than one document, or a size,
    depth or expansion beyond the limits.
    """
    text = decode_yaml(data, place)
    try:
        check_events(text, _BaseLoader, listener)
        value = _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        problem += _entries_beside_none(text)
        _refuse(place, problem, mark.line if mark else 0, mark.column if mark else 0, error)
    except yaml.YAMLError as error:
        _refuse(place, str(error), 0, 0, error)
    if value is not None and not isinstance(value, (dict, list, set)):
        _refuse(place, f"a mapping, a list or a set was expected here, not one {type(value).__name__}", 0, 0)
    return value


def _entries_beside_none(text: str) -> str:
    """Say what to do where somebody has written entries into a file that said only that there are none."""
    said = _NONE.search(text)
    if said is None:
        return ""
    line, _ = line_column(text[: said.start()])
    return f"; '{said[1]}' in line {line + 1} says that there is nothing: take it out"


def _refuse(place: object, problem: str, line: int, column: int, cause: Exception | None = None) -> NoReturn:
    raise unreadable_at(place, problem, line, column) from cause


def decode_yaml(data: bytes, place: object) -> str:
    """Return the text of a YAML file, without its byte order mark. Raise UnreadableFile if it is none."""
    if len(data) > MAX_BYTES:
        _refuse(place, f"the file has {len(data):,} bytes, and {MAX_BYTES:,} is the limit", 0, 0)
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        _refuse(
            place, f"not {encoding[:6].upper().rstrip('-')} text ({error.reason})", *line_column(before), error
        )
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        _refuse(
            place,
            f"the character {unprintable[0]!r} is not allowed in YAML",
            *line_column(text[: unprintable.start()]),
        )
    return text


def scalar_reader() -> Callable[[str | None, str, tuple[bool, bool]], Any]:
    """Return what turns the tag, text and resolving of a scalar event into its value."""
    loader: Any = _Loader("")

    def read(tag: str | None, text: str, implicit: tuple[bool, bool]) -> Any:
        if tag is None or tag == "!":
            tag = loader.resolve(yaml.ScalarNode, text, implicit)
        return loader.construct_object(yaml.ScalarNode(tag, text))

    return read


def plain_scalar(text: str) -> Any:
    """Return what a text without quotes stands for; one that is no valid value stands for itself."""
    try:
        return scalar_reader()(None, text, (True, False)) if text else text
    except yaml.YAMLError:
        return text


class _Loader(_BaseLoader):
    """Safe YAML, less what loses data or has no place in a structure."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Resolve merge keys, after a look at the keys as they stand in the file."""
        if not getattr(node, "keys_checked", False):
            node.keys_checked = True  # type: ignore[attr-defined]
            self._check_keys(node)
        super().flatten_mapping(node)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen: dict[Any, yaml.Node] = {}
        for key_node, _value_node in node.value:
            if key_node.tag == _MERGE_TAG or not isinstance(key_node, yaml.ScalarNode):
                continue
            key = self.construct_object(key_node)
            if isinstance(key, (dict, list, set)):
                problem_at(f"a {type(key).__name__} cannot be a key", key_node.start_mark)
            if key in seen:
                problem_at(_twice(seen[key], key_node), key_node.start_mark)
            if key != key:  # noqa: PLR0124
                problem_at("NaN cannot be a key", key_node.start_mark)
            seen[key] = key_node


def _twice(first: yaml.Node, second: yaml.Node) -> str:
    text, line = second.value, first.start_mark.line + 1
    if text == first.value:
        return f"the key {text!r:.60} is there twice, first in line {line}"
    return (
        f"the key {text!r:.60} and the key {first.value!r:.60} in line {line} are equal in Python, as 1 and true"
        " are: a dict can have only one of them"
    )


def _load(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _checked(construct: Callable[[Any, Any], Any], what: str) -> Callable[[_Loader, yaml.Node], Any]:
    """Return a constructor of scalars whose failures say where they are."""

    def constructor(loader: _Loader, node: yaml.Node) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, OverflowError, LookupError, AttributeError) as error:
            reason = f" ({error})" if isinstance(error, (ValueError, OverflowError)) else ""
            problem_at(f"{node.value!r:.60} is not a valid {what}{reason}", node.start_mark)

    return constructor


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> Any:
    # Base 60 takes quadratic time, and Python's own limit does not apply to it.
    if ":" in node.value and len(node.value) > MAX_DIGITS:
        raise ValueError(f"it has more than {MAX_DIGITS} digits")
    return loader.construct_yaml_int(node)


def _construct_str(loader: _Loader, node: yaml.ScalarNode) -> Any:
    value = loader.construct_scalar(node)
    if not value.isascii():
        value.encode()
    return value


def _construct_unknown(_loader: _Loader, node: yaml.Node) -> NoReturn:
    tag = node.tag.removeprefix(_TAG)
    problem_at(f"the type {f'!!{tag}' if tag != node.tag else tag} is not one that is read here", node.start_mark)


for _name, _construct in {
    "null": SafeConstructor.construct_yaml_null,
    "bool": SafeConstructor.construct_yaml_bool,
    "int": _construct_int,
    "float": SafeConstructor.construct_yaml_float,
    "binary": SafeConstructor.construct_yaml_binary,
    "timestamp": SafeConstructor.construct_yaml_timestamp,
    "str": _construct_str,
    "value": _construct_str,
}.items():
    _Loader.add_constructor(_TAG + _name, _checked(_construct, _name))
for _tag in (_TAG + "omap", _TAG + "pairs", None):
    _Loader.add_constructor(_tag, _construct_unknown)
