"""Changes as they come, printed."""

from __future__ import annotations

from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tinysync.cli.paths import path_text
from tinysync.cli.reporting import console, print_json, shortened
from tinysync.tracker.stored import read_device

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinysync.cli.structures import Structure
    from tinysync.model import Change

_ENTRY_CALLS = {"__setitem__": "=", "__delitem__": "deleted", "setdefault": "="}


def printer(
    structure: Structure, *, as_json: bool, unread: Event | None = None
) -> Callable[[Change | list[Change]], None]:
    """Return a callback that prints changes; once nobody reads them any more, it sets ``unread`` instead."""
    unread = unread or Event()

    def show(changes: Any) -> None:
        if unread.is_set():
            return
        try:
            for change in changes if isinstance(changes, list) else [changes]:
                if as_json:
                    print_json(_for_programs(change, structure))
                else:
                    console().print(_for_people(change, structure))
        except BrokenPipeError:
            unread.set()

    return show


def _entry(change: Change) -> tuple[list[Any], slice | None, bool]:
    """Return the path of what changed, the range if it is one of a list, and whether it is an entry."""
    is_entry = change.func_name in _ENTRY_CALLS and bool(change.args)
    if is_entry and isinstance(change.args[0], slice):
        return change.path, change.args[0], True
    return [*change.path, *(change.args[:1] if is_entry else ())], None, is_entry


def _for_programs(change: Change, structure: Structure) -> dict[str, Any]:
    path, part, is_entry = _entry(change)
    told: dict[str, Any] = {
        "structure": structure.name,
        "file": str(structure.paths.readable),
        "when": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "origin": change.origin,
        "device": change.device,
        "path": path,
        "change": change.func_name,
    }
    if part is not None:
        told["range"] = [part.start, part.stop, part.step]
    values = list(change.args[1:] if is_entry else change.args)
    return told | ({"values": values} if values else {})


def _for_people(change: Change, structure: Structure) -> Text:
    path, part, is_entry = _entry(change)
    who = {"file": "edited by hand", "local": "here"}.get(change.origin, change.device or "another device")
    if change.origin == "remote" and change.device == read_device(structure.paths):
        who = "a program here"
    file = structure.paths.readable.name
    line = Text.assemble(
        (f"{datetime.now().astimezone():%H:%M:%S}  ", "dim"), (file, "bold"), "  ", (who, "cyan"), "  "
    )
    line.append(path_text(path), "green")
    if part is not None:
        bounds = [part.start, part.stop, *([] if part.step is None else [part.step])]
        line.append(f"[{':'.join('' if bound is None else str(bound) for bound in bounds)}]", "green")
    if is_entry:
        values = _short(change.args[1:])
        return line.append(f" {_ENTRY_CALLS[change.func_name]}{f' {values}' if values else ''}")
    arguments = _short(change.args)
    return line.append(f" {change.func_name}{f' {arguments}' if arguments else ''}")


def _short(values: tuple[Any, ...]) -> str:
    return shortened(", ".join(map(repr, values)))
