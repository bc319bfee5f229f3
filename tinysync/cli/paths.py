r"""Paths into structures as people write them: servers/3/port, and values as they stand in a YAML file.

A ``/`` in a key is written ``\/``, and a ``\`` that could be taken for the beginning of that ``\\``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from tinysync.storage.plain import SAFE_YAML, to_readable
from tinysync.storage.yaml_dump import dump_text
from tinysync.storage.yaml_load import plain_scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_KEY: Final = object()
_STEP: Final = re.compile(r"((?:[^/\\]|\\.?)*)(/?)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([\\/])")

path_argument = click.argument("path", default="")


def path_text(path: Sequence[Any]) -> str:
    """Return a path as it is written in commands."""
    return "/".join(map(_step, path)) or "everything"


def value_text(value: Any) -> str:
    """Return a value in one line, as it would stand in a YAML file."""
    # In a list a text of several lines is one line, too.
    return dump_text([to_readable(value)], flow=True).strip()[1:-1]


def _step(key: Any) -> str:
    if isinstance(key, str):
        return key.replace("\\", "\\\\").replace("/", "\\/")
    (readable,) = SAFE_YAML.readable({key: None})
    return _step(readable) if isinstance(readable, str) else value_text(readable)


def _steps(path: str) -> list[str]:
    """Return what stands between the slashes of a path."""
    steps: list[str] = []
    for found in _STEP.finditer(path) if path else ():
        steps.append(_ESCAPED.sub(r"\1", found[1]))
        if not found[2]:
            break
    return steps


def parse_path(root: Any, path: str, where: str) -> list[Any]:
    """Return the keys and indices that a path stands for in a structure; ``where`` names it in errors."""
    keys: list[Any] = []
    container = root
    steps = _steps(path)
    for number, step in enumerate(steps):
        key = _key(container, step, where, steps[: number + 1])
        keys.append(key)
        container = container[key]
    return keys


def parent(root: Any, path: str, where: str, *, new: bool = False) -> tuple[Any, Any]:
    """Return the container that holds the entry at a path, and its key or index there."""
    *steps, last = _steps(path)
    container = entry(root, parse_path(root, "/".join(map(_step, steps)), where))
    if new and isinstance(container, dict) and _key_of(last, container) is _NO_KEY:
        return container, last
    return container, _key(container, last, where, [*steps, last])


def entry(root: Any, keys: Sequence[Any]) -> Any:
    """Return what lies at the keys and indices."""
    for key in keys:
        root = root[key]
    return root


def _key(container: Any, step: str, where: str, steps: list[str]) -> Any:
    if isinstance(container, dict):
        key = _key_of(step, container)
        if key is not _NO_KEY:
            return key
    elif isinstance(container, list) and step.isdecimal() and int(step) < len(container):
        return int(step)
    raise click.ClickException(f"{where} has no entry {path_text(steps)}")


def _key_of(step: str, container: dict[Any, Any]) -> Any:
    """Return the key that a step stands for: text, or what is written like it in a YAML file or a log."""
    if step in container:
        return step
    meant = plain_scalar(step)
    # 1, 1.0 and True are equal, and only one of them is meant.
    read = (key for key in container if type(key) is type(meant) and key == meant)
    shown = (key for key in container if step in {str(key), path_text([key])})
    return next(read, next(shown, _NO_KEY))
