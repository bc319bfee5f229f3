"""``tinysync doctor``: what is wrong, what to do about it, and doing it where that is safe."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from tinysync.api import tracker
from tinysync.cli.offering import folders
from tinysync.cli.reporting import FOUND, as_json, console, examples, print_json
from tinysync.cli.structures import FORMATS, Structure, find, look_in, names_here, structures_in
from tinysync.doctor import Patient, compare, examine
from tinysync.errors import TinySyncError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from tinysync.doctor import Finding

_ROUNDS: Final = 3
"""So often what is left is looked at again: some damage is seen only when other is repaired."""
_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "dim"}


def _offered(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    del context, parameter
    return [*names_here(typed), folders(typed)]


@click.command(
    "doctor",
    short_help="Find out what is wrong with the files, and repair it.",
    epilog=examples("doctor", "doctor todo --repair", "doctor ~/laptop /media/backup/laptop"),
)
@click.argument("places", metavar="[NAME|FOLDER]...", nargs=-1, shell_complete=_offered)
@click.option("--repair", is_flag=True, help="Put right what can be without losing anything.")
@as_json
@click.pass_context
def doctor(context: click.Context, places: tuple[str, ...], repair: bool, as_json: bool) -> None:
    """Look for what is wrong with the structures of this folder, or with NAMEs, or in FOLDERs.

    Nothing is changed without --repair, and programs may have them open. Several folders are compared: structures
    of one name are taken for those of two devices, or for a copy. What --repair replaces is kept beside it. Ends
    with 3 if something is left that is more than a note.
    """
    structures = _structures(places)
    patients = [_patient(structure) for structure in structures]
    found = _examine(patients)
    done: dict[Finding, str] = {}
    left = found
    for _ in range(_ROUNDS if repair else 0):
        now = {
            finding: told for finding in left if finding not in done and (told := _repaired(finding)) is not None
        }
        if not now:
            break
        done |= now
        left = _examine(patients)
        found += [finding for finding in left if finding not in found]
    if as_json:
        for finding in _worst_first(found):
            _tell_program(finding, done.get(finding))
    else:
        _tell_person(structures, found, done, repair=repair)
    if any(finding.severity != "note" for finding in left):
        context.exit(FOUND)


def _structures(places: Sequence[str]) -> list[Structure]:
    found: list[Structure] = []
    for place in places or ["."]:
        here = structures_in(Path(place))
        found += here or [_named(place)]
    return found


def _named(place: str) -> Structure:
    try:
        return find(place)
    except click.ClickException:
        if Path(place).is_dir():
            raise click.ClickException(f"there are no structures in {Path(place).absolute()}") from None
        raise


def _patient(structure: Structure) -> Patient:
    known = FORMATS.get(structure.suffix)

    def open_once() -> None:
        with closing(tracker(look_in(structure))):
            pass

    return Patient(structure.name, structure.paths, known() if known else None, open_once)


def _examine(patients: Sequence[Patient]) -> list[Finding]:
    """Return what is wrong, in the order in which it is to be repaired."""
    kept = [patient for patient in patients if patient.paths.state.is_dir()]
    return [*(finding for patient in kept for finding in examine(patient)), *compare(kept)]


def _worst_first(found: Sequence[Finding]) -> list[Finding]:
    order = list(_STYLES)
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _repaired(finding: Finding) -> str | None:
    if finding.repair is None:
        return None
    try:
        return finding.repair()
    except (TinySyncError, OSError) as error:
        click.echo(f"{finding.file.name} could not be repaired: {error}", err=True)
        return None


def _tell_program(finding: Finding, done: str | None) -> None:
    print_json(
        {
            "structure": finding.structure,
            "finding": finding.code,
            "severity": finding.severity,
            "file": str(finding.file),
            "message": finding.message,
            "advice": finding.advice,
            "repairable": finding.repair is not None,
            "repaired": done,
        }
    )


def _tell_person(
    structures: Sequence[Structure],
    found: Sequence[Finding],
    done: dict[Finding, str],
    *,
    repair: bool,
) -> None:
    out = console()
    for finding in _worst_first(found):
        out.print(
            Text.assemble(
                (finding.severity, _STYLES[finding.severity]), f"  {finding.structure}: {finding.message}"
            )
        )
        if finding in done:
            out.print(Text.assemble("         ", ("repaired", "green"), f": {done[finding]}"))
        else:
            out.print(Text(f"         {finding.advice}", "dim"))
    names = ", ".join(dict.fromkeys(structure.name for structure in structures))
    if not found:
        out.print(Text(f"{names}: nothing is wrong.", "green"))
    elif not repair and any(finding.repair for finding in found):
        out.print(Text("'tinysync doctor --repair' puts right what can be; what it replaces is kept."))
