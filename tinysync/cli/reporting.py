"""What commands print, and how their errors look and end.

Results go to standard output, as text or, with --json, as JSON: one document a line. Messages and errors go to
standard error. Exit codes are those of EXIT_CODES.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shlex
import sys
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinysync.errors import TinySyncError
from tinysync.group.key import HOW_TO
from tinysync.storage.oplog import OTHER_FOLDER
from tinysync.transport.addresses import MAKE_A_KEY
from tinysync.transport.refusals import NEEDS_KEY, NEEDS_NO_KEY
from tinysync.transport.visitors import GIVE_YJS_OPTION, HOW_TO_MAKE_IT, YJS_OPTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FAILED: Final = 1
WRONG_USAGE: Final = 2
FOUND: Final = 3
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141

EXIT_CODES: Final = """\b
Exit codes:
  0    it was done
  1    it failed; one line says why
  2    wrong usage
  3    doctor found something that needs you
  130  ended by Ctrl-C (mirror, serve, watch and status --live: 0)
  141  the reader of the output went away"""

_WITH_JSON: Final = "tinysync.json"
_MOST_LETTERS: Final = 60
"""Of a value in a line."""


def _note_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    context.find_root().meta[_WITH_JSON] = value
    return value


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_note_json, is_eager=True, help="Print JSON, one document a line."
)


def examples(*commands: str) -> str:
    """Return the end of a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  tinysync {command}" for command in commands)])


KEY_COMMANDS: Final = "'tinysync key new' makes one, 'tinysync key enter' takes that of another device"
_IN_A_SHELL: Final = {
    HOW_TO: KEY_COMMANDS,
    MAKE_A_KEY: f"all devices need the same key: {KEY_COMMANDS}",
    NEEDS_KEY: "what answers there wants a key, it seems: leave out --no-key",
    NEEDS_NO_KEY: "what answers there breaks off: it was started with --no-key, it seems",
    GIVE_YJS_OPTION: "set the environment variable TINYSYNC_YJS_TOKEN",
    HOW_TO_MAKE_IT: "'openssl rand -hex 16' makes one",
    YJS_OPTION: "TINYSYNC_YJS_TOKEN",
    OTHER_FOLDER: "",
}

_PAIRING: Final = re.compile(r"tinysync\.pair\('([\d-]+)', 'its name'(?:, (['\"])(.*)\2)?\)")


def in_a_shell(text: str) -> str:
    """Return what the library says with the advice that helps in a shell."""
    for advice, command in _IN_A_SHELL.items():
        text = text.replace(advice, command)
    return _PAIRING.sub(lambda found: f"'{pair_command(found[1], found[3])}'", text)


def pair_command(fingerprint: str, file: str | os.PathLike[str] | None) -> str:
    """Return the command that pairs a device, in the user's own list or that in a file."""
    return f"tinysync pair {fingerprint} NAME" + (f" --file {shlex.quote(os.fspath(file))}" if file else "")


class JsonError(click.ClickException):
    """An error for programs."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.format_message())
        vars(self)["exit_code"] = error.exit_code

    def show(self, file: Any = None) -> None:
        """Print it to standard error."""
        click.echo(_encoded({"error": self.message, "exit": self.exit_code}), file=file or sys.stderr)


class Reporting(click.Group):
    """A group of commands whose errors are one line each: what went wrong, and what to do about it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they are told about."""
        del ctx
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one cannot say itself that it is asked for JSON."""
        if self.get_command(ctx, args[0]) is None and "--json" in args:
            ctx.find_root().meta[_WITH_JSON] = True
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what goes wrong into a line and an exit code."""
        if ctx.parent is not None:
            return super().invoke(ctx)
        try:
            with _messages():
                return super().invoke(ctx)
        except BrokenPipeError:
            _end_quietly()
        except KeyboardInterrupt:
            click.echo(file=sys.stderr)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except click.ClickException as error:
            if ctx.meta.get(_WITH_JSON):
                raise JsonError(error) from error
            raise
        except (TinySyncError, OSError) as error:
            failed = click.ClickException(in_a_shell(str(error)))
            if ctx.meta.get(_WITH_JSON):
                raise JsonError(failed) from error
            raise failed from error
        return None


class _Printing(logging.Handler):
    """Prints what is logged, as it is: a line may be as long as it is."""

    def __init__(self, messages: Console) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        self._messages.print(Text(in_a_shell(self.format(record))))


@contextmanager
def _messages() -> Iterator[None]:
    """Have what the library logs and warns of printed to standard error, a line each."""
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    handler = _Printing(messages)

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        messages.print(Text(f"Warning: {in_a_shell(str(message))}", "yellow"))

    logger = logging.getLogger("tinysync")
    before = warnings.showwarning
    logger.addHandler(handler)
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
        logger.removeHandler(handler)


def _end_quietly() -> None:
    """End because nobody reads on; the interpreter must not find that out again when it flushes."""
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
    raise click.exceptions.Exit(CLOSED_PIPE)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command end as with any other way of printing."""
        raise BrokenPipeError


def console() -> Console:
    """Return where results go; styles are left out where it is no terminal."""
    return _Console(file=sys.stdout, highlight=False, soft_wrap=True)


def print_text(text: str, style: str = "") -> None:
    """Print a line for people, as it is."""
    console().print(Text(text, style))


def shortened(text: str) -> str:
    """Return a text that is one of several things in a line, cut where it is long."""
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def by_whom(device: str | None, *, via: bool) -> str:
    """Return in words which other device something is from: who wrote it, or ``via``, who brought it."""
    return f"{'via' if via else 'by'} {device}" if device else "another device"


def table(columns: Sequence[str], rows: Iterable[Sequence[Text | str]], title: str = "") -> Table:
    """Return a table for a terminal."""
    made = Table(
        title=Text(title, "bold") if title else None, title_justify="left", box=box.ROUNDED, border_style="dim"
    )
    for number, name in enumerate(columns):
        made.add_column(name, header_style="bold", overflow="fold", no_wrap=number < len(columns) - 1)
    for row in rows:
        made.add_row(*row)
    return made


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Text | str]], title: str = "") -> None:
    """Print a table: with lines in a terminal, else without, and never cut."""
    out = console()
    if out.is_terminal:
        out.print(table(columns, rows, title), soft_wrap=False)
        return
    if title:
        click.echo(title)
    cells = [list(columns), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: Any) -> None:
    """Print a value as one line of JSON; what JSON cannot say is printed as its text."""
    click.echo(_encoded(value))


def _encoded(value: Any) -> str:
    return json.dumps(_sayable(value), ensure_ascii=False, allow_nan=False)


def _sayable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _sayable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sayable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [_sayable(item) for item in sorted(value, key=repr)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # as in files: "inf", "-inf", "nan"
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
