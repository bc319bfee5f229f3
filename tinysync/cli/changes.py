"""Changes as they come, printed."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tinysync.cli.bursts import Burst
from tinysync.cli.paths import path_text, value_text
from tinysync.cli.reporting import by_whom, console, print_json, shortened
from tinysync.model import DeviceId
from tinysync.tracker.stored import read_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinysync.cli.structures import Structure
    from tinysync.model import Change

_ENTRY_CALLS = {"__setitem__": "=", "__delitem__": "deleted", "setdefault": "="}


class Printer:
    """A callback that prints changes; once nobody reads them any more, it sets ``unread`` instead.

    For people, of many at once it prints the first ones. ``close`` it when no more will come.
    """

    def __init__(self, structure: Structure, *, as_json: bool, unread: Event | None = None) -> None:
        self._structure = structure
        self._as_json = as_json
        self._unread = unread or Event()
        self._burst = Burst(self._tell_rest)
        self._own = DeviceId("")
        """The id of this device, once it is known: it stays while the structure is open."""

    def __call__(self, changes: Any) -> None:
        """Print one change, or those of a transaction."""
        if self._unread.is_set():
            return
        with self._noting_who_left():
            for change in changes if isinstance(changes, list) else [changes]:
                if self._as_json:
                    print_json(_for_programs(change, self._structure))
                elif self._burst.passes(who := self._who(change)):
                    console().print(_for_people(change, self._beginning(who)))

    def close(self) -> None:
        """Print how many more there were, if that was not told yet."""
        self._burst.close()

    @contextmanager
    def _noting_who_left(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._unread.set()

    def _tell_rest(self, who: str, more: int) -> None:
        if self._unread.is_set():
            return
        with self._noting_who_left():
            what = f"... and {more:,} more change{'s' if more > 1 else ''}"
            console().print(self._beginning(who).append(what, "dim"))

    def _beginning(self, who: str) -> Text:
        """Return how a line begins: when, where, who."""
        when, file = f"{datetime.now().astimezone():%H:%M:%S}  ", self._structure.paths.readable.name
        return Text.assemble((when, "dim"), (file, "bold"), "  ", (who, "cyan"), "  ")

    def _who(self, change: Change) -> str:
        if change.origin == "remote":
            self._own = self._own or read_device(self._structure.paths)
            if change.device == self._own:
                return "a program here"
        another = by_whom(change.device, via=change.via)
        return {"file": "edited by hand", "local": "here"}.get(change.origin, another)


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
        **({"via": True} if change.via else {}),
        "path": path,
        "change": change.func_name,
    }
    if part is not None:
        told["range"] = [part.start, part.stop, part.step]
    values = list(change.args[1:] if is_entry else change.args)
    return told | ({"values": values} if values else {})


def _for_people(change: Change, line: Text) -> Text:
    """Return a line with what changed after its beginning."""
    path, part, is_entry = _entry(change)
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
    return shortened(", ".join(map(value_text, values)))
