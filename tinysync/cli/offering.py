"""What a shell is offered where a file, a folder or a structure is to be named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import BashComplete as ClicksBash
from click.shell_completion import CompletionItem, add_completion_class
from click.shell_completion import FishComplete as ClicksFish

if TYPE_CHECKING:
    from collections.abc import Iterator


def places(typed: str) -> Iterator[tuple[str, Path]]:
    """Yield what lies at paths that begin as typed, with each path as it would be typed; hidden ones if meant."""
    folder, slash, begun = typed.rpartition("/")
    try:
        names = sorted(os.listdir(Path(f"{folder}{slash}").expanduser()))  # noqa: PTH208
    except (OSError, RuntimeError):  # there is no such folder, or no such user
        return
    for name in names:
        if name.startswith(begun) and (begun or not name.startswith(".")):
            path = f"{folder}{slash}{name}"
            yield path, Path(path).expanduser()


def folders(typed: str) -> CompletionItem:
    """Return what has a shell offer folders."""
    return CompletionItem(typed, type="dir")


class BashComplete(ClicksBash):
    """Completion for bash that has it quote what is a path or a name, and go on in folders.

    That of click puts a value on the line as it is, spaces and all, and offers folders or words, never both.
    """

    source_template = """\
%(complete_func)s() {
    local line
    COMPREPLY=()
    while read -r line; do
        case $line in
            places,*) compopt -o filenames ;;
            file,*) compopt -o default ;;
            *) COMPREPLY+=("${line#*,}") ;;
        esac
    done < <(IFS=$'\\n'; COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the items with the folders that are to be offered, and what says that they are paths or names."""
        items = super().get_completions(args, incomplete)
        found = [item for item in items if item.type != "dir"]
        for item in items:
            if item.type == "dir":
                inside = (CompletionItem(path) for path, place in places(item.value) if place.is_dir())
                found = [CompletionItem("", type="places"), *found, *inside]
        return found


class FishComplete(ClicksFish):
    """Completion for fish that keeps what stands behind a comma, in names and descriptions."""

    source_template = ClicksFish.source_template.replace('string split ","', 'string split -m 1 ","')


add_completion_class(BashComplete)
add_completion_class(FishComplete)
