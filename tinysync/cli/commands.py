"""The command ``tinysync`` with all its subcommands."""

from __future__ import annotations

import click

from tinysync.cli.compacting import compact
from tinysync.cli.completing import completion
from tinysync.cli.conflicts import list_conflicts
from tinysync.cli.doctoring import doctor
from tinysync.cli.entries import delete_entry, get_entry, set_entry
from tinysync.cli.forgetting import forget_device
from tinysync.cli.history import restore_entry, show_at, show_log
from tinysync.cli.keys import key
from tinysync.cli.mirroring import mirror
from tinysync.cli.pairing import fingerprint, pair_device
from tinysync.cli.reporting import EXIT_CODES, Reporting
from tinysync.cli.serving import serve
from tinysync.cli.status import show_status
from tinysync.cli.watching import watch


@click.group(cls=Reporting, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tinysync")
def tinysync() -> None:
    """Keep YAML and JSON files the same on all devices of a group, with no server.

    On the first device: tinysync key new. Copy the key to the others (tinysync key show, tinysync key enter).
    Then: tinysync mirror settings.yaml on each of them, on a local network.
    """


for command in (
    mirror,
    serve,
    show_status,
    forget_device,
    watch,
    show_log,
    show_at,
    restore_entry,
    list_conflicts,
    compact,
    doctor,
    get_entry,
    set_entry,
    delete_entry,
    key,
    fingerprint,
    pair_device,
    completion,
):
    tinysync.add_command(command)
