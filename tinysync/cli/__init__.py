"""The command line: ``tinysync``, also ``python -m tinysync``.

The extra ``tinysync[cli]`` brings what it needs; it is imported when it is first used.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with 0, with 1 after an error, or with 2 after wrong usage."""
    try:
        from tinysync.cli.commands import tinysync  # noqa: PLC0415 - only what is installed can be imported
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit('The command line needs two more libraries: pip install "tinysync[cli]"')
    tinysync(prog_name="tinysync")
