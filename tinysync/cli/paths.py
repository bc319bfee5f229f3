"""Paths into structures as people write them: servers/3/port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

path_argument = click.argument("path", default="")


def path_text(path: Sequence[Any]) -> str:
    """Return a path as it is written in commands."""
    return "/".join(map(str, path)) or "everything"


def parse_path(root: Any, path: str, where: str) -> list[Any]:
    """Return the keys and indices that a path stands for in a structure; ``where`` names it in errors."""
    keys: list[Any] = []
    container = root
    steps = path.split("/") if path else []
    for number, step in enumerate(steps):
        key = _key(container, step, where, steps[: number + 1])
        keys.append(key)
        container = container[key]
    return keys


def parent(root: Any, path: str, where: str, *, new: bool = False) -> tuple[Any, Any]:
    """Return the container that holds the entry at a path, and its key or index there."""
    *steps, last = path.split("/")
    container = entry(root, parse_path(root, "/".join(steps), where))
    if new and isinstance(container, dict) and last not in container and _number(last, container) is None:
        return container, last
    return container, _key(container, last, where, [*steps, last])


def entry(root: Any, keys: Sequence[Any]) -> Any:
    """Return what lies at the keys and indices."""
    for key in keys:
        root = root[key]
    return root


def _key(container: Any, step: str, where: str, steps: list[str]) -> Any:
    if isinstance(container, dict):
        if step in container:
            return step
        number = _number(step, container)
        if number is not None:
            return number
    elif isinstance(container, list) and step.isdecimal() and int(step) < len(container):
        return int(step)
    raise click.ClickException(f"{where} has no entry {'/'.join(steps)}")


def _number(step: str, container: dict[Any, Any]) -> int | None:
    """Return the int that a step stands for, if that is a key."""
    return int(step) if step.lstrip("-").isdecimal() and int(step) in container else None
