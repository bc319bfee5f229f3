"""The other processes of a measurement: each runs one function and is spoken to over a pipe."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

SECONDS = 60.0


@contextmanager
def running(function: Callable[..., None], *args: Any) -> Iterator[Connection]:
    """Run ``function(pipe, *args)`` in a process; gives this end of the pipe, and ends the process at the end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=function, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()


def answer(pipe: Connection) -> Any:
    """Return what the process sends next; raises EOFError if it has ended, TimeoutError if it hangs."""
    if not pipe.poll(SECONDS):
        raise TimeoutError(f"a process of the benchmark did not answer in {SECONDS:g} s")
    return pipe.recv()
