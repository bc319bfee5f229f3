"""What commands print, and how their errors look."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from tinysync.errors import TinySyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one document a line.")


class Reporting(click.Group):
    """A group of commands whose errors are one line each: what went wrong, and what to do about it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what tinysync raises into an exit with 1."""
        try:
            return super().invoke(ctx)
        except TinySyncError as error:
            raise click.ClickException(str(error)) from error


def console() -> Console:
    """Return where results go; styles are left out where it is no terminal."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON; what JSON cannot say is printed as its text."""
    click.echo(json.dumps(_sayable(value), ensure_ascii=False))


def _sayable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _sayable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sayable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [_sayable(item) for item in sorted(value, key=repr)]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
