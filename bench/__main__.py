"""``python -m bench``: prints the table, row by row as it is measured."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bench import databases, diffing, looking_back, network, reading, saving, writing

if TYPE_CHECKING:
    from bench.measure import Row

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def main() -> None:
    print("Time that tinysync takes, over the time of what it is compared with: smaller is better.\n")
    print(f"{'':34} {'tinysync':>10} {'other':>10}  {'':26} {'ratio':>6}  goal")
    for row in chain(
        reading.rows(),
        writing.rows(),
        diffing.rows(),
        looking_back.rows(),
        saving.rows(),
        databases.rows(),
        network.rows(),
    ):
        print(line(row), flush=True)


def line(row: Row) -> str:
    ratio = f"{row.ratio:6.2f}" if row.ratio >= 0.01 else f"{row.ratio:6.0e}"
    times = f"{row.what:34} {duration(row.ours):>10} {duration(row.theirs):>10}  {row.against:26} {ratio}"
    if row.goal is None:
        return times
    return f"{times}  <= {row.goal:<4} {'reached' if row.ratio <= row.goal else 'MISSED'}"


def duration(seconds: float) -> str:
    size, unit = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


if __name__ == "__main__":
    main()
