"""``tinysync completion``: what a shell needs to complete commands and names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click
from click.shell_completion import get_completion_class

from tinysync.cli.reporting import as_json, examples, print_json

_PLACES: Final = {
    "bash": "~/.local/share/bash-completion/completions/tinysync",
    "zsh": "~/.zfunc/_tinysync",
    "fish": "~/.config/fish/completions/tinysync.fish",
}
_ALSO: Final = {"zsh": "In ~/.zshrc, before compinit, there must be: fpath+=~/.zfunc"}


@click.command(
    "completion",
    short_help="Complete commands and names with the Tab key.",
    epilog=examples("completion", f"completion bash > {_PLACES['bash']}"),
)
@click.argument("shell", required=False, type=click.Choice(list(_PLACES)))
@as_json
@click.pass_context
def completion(context: click.Context, shell: str | None, as_json: bool) -> None:
    """Print the script that has SHELL complete commands and names; without SHELL, say what to do with it."""
    if shell is None:
        used = Path(os.environ.get("SHELL", "")).name
        shells = [used] if used in _PLACES else list(_PLACES)
        if as_json:
            print_json({name: f"tinysync completion {name} > {_PLACES[name]}" for name in shells})
            return
        for name in shells:
            folder = Path(_PLACES[name]).parent
            click.echo(f"For {name}, run this once:")
            click.echo(f"  mkdir -p {folder} && tinysync completion {name} > {_PLACES[name]}")
            if name in _ALSO:
                click.echo(_ALSO[name])
        return
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, "tinysync", "_TINYSYNC_COMPLETE").source()
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
