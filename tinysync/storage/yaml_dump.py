"""Structures as YAML: one way to write each, so that equal structures make equal files."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import yaml

from tinysync.storage.plain import text_of, to_readable
from tinysync.storage.yaml_objects import ObjectDumper

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from yaml import SafeDumper as _BaseDumper
else:
    _BaseDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_TAG: Final = "tag:yaml.org,2002:"
_UNFOLDED: Final = 2**31 - 1


def dump_yaml(value: Any) -> bytes:
    """Return a structure as safe YAML in UTF-8; what YAML cannot say as the nearest that it can.

    Keys and set elements are sorted, by type and text where they do not compare. Raise UnsupportedValue.
    """
    dumped: bytes = yaml.dump(to_readable(value), default_flow_style=False, encoding="utf-8", **_OPTIONS)
    return dumped


def dump_text(value: Any, *, flow: bool = False, quote: str | None = None) -> str:
    """Return a readable value as YAML text: with brackets, in one line, or else as a block.

    ``quote``: the quotes around texts where they do not need any.
    """
    dumped: str = yaml.dump(value, default_flow_style=flow, default_style=quote, **_OPTIONS)
    return dumped


def register_plain_types(
    dict_types: Iterable[type], list_types: Iterable[type], set_types: Iterable[type]
) -> None:
    """Make yaml's own dumpers, safe and not, write these types as plain mappings, sequences and sets."""
    names = ("SafeDumper", "CSafeDumper", "Dumper", "CDumper")
    dumpers: list[Any] = [ObjectDumper, *(getattr(yaml, name, None) for name in names)]
    for dumper in dumpers:
        if dumper is not None:
            for types, represent in (
                (dict_types, dumper.represent_dict),
                (list_types, dumper.represent_list),
                (set_types, dumper.represent_set),
            ):
                for kind in types:
                    dumper.add_representer(kind, represent)


class _Dumper(_BaseDumper):
    """Writes every value where it stands, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Tell that nothing is written as a reference to where it was before."""
        del data
        return True


def _represent_dict(dumper: _Dumper, value: dict[Any, Any]) -> yaml.Node:
    return dumper.represent_mapping(_TAG + "map", in_order(value.items()))


def _represent_set(dumper: _Dumper, value: set[Any]) -> yaml.Node:
    return dumper.represent_mapping(_TAG + "set", in_order(dict.fromkeys(value).items()))


def _represent_int(dumper: _Dumper, value: int) -> yaml.Node:
    return dumper.represent_scalar(_TAG + "int", text_of(value))


def _represent_str(dumper: _Dumper, value: str) -> yaml.Node:
    style = None
    if not value.isprintable():
        style = "|" if _is_block(value) else '"'
    return dumper.represent_scalar(_TAG + "str", value, style=style)


def in_order(pairs: Collection[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return keys with their values in the order in which they are written."""
    try:
        return sorted(pairs, key=itemgetter(0))
    except TypeError:
        return sorted(pairs, key=lambda pair: (type(pair[0]).__name__, text_of(pair[0])))


def _is_block(text: str) -> bool:
    """Whether a text is lines that read well, and are the same, when they stand as they are."""
    if text.endswith("\n\n"):
        # The file would end in '...', and nobody could add a line behind that.
        return False
    lines = text.split("\n")
    return lines[0] != "" and all(line.isprintable() and line == line.strip() for line in lines)


_OPTIONS: Final[dict[str, Any]] = {"Dumper": _Dumper, "allow_unicode": True, "width": _UNFOLDED}

_Dumper.add_representer(dict, _represent_dict)
_Dumper.add_representer(set, _represent_set)
_Dumper.add_representer(int, _represent_int)
_Dumper.add_representer(str, _represent_str)
