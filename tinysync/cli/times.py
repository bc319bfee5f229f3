"""Moments as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)[a-z]*(?:\s+ago)?")
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DAYS: Final = {"today": 0, "yesterday": 1}
_STEPS: Final = (("w", 604_800), ("d", 86_400), ("h", 3600), ("min", 60))


class When(_ParamType):
    """A version, or a time."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | datetime:
        """Understand it."""
        if isinstance(value, (int, datetime)):
            return value
        text = value.strip().lower()
        for read in (_version, _ago, _day, _clock, datetime.fromisoformat):
            try:
                found: int | datetime | None = read(text)
            except (ValueError, OverflowError):  # no time, or one before the year 1
                continue
            if found is not None:
                return found
        raise click.BadParameter(
            f"{value!r} is no version and no time: write a number from 'tinysync log', a time like"
            " '2026-05-01 12:30', '12:30' or 'yesterday', or how long ago it is, like 10m, 2h or 3d",
            ctx,
            param,
        )


def _version(text: str) -> int | None:
    return int(text.removeprefix("v")) if text.removeprefix("v").isdecimal() else None


def _ago(text: str) -> datetime | None:
    match = _AGO.fullmatch(text)
    return datetime.now().astimezone() - float(match[1]) * _UNITS[match[2]] if match else None


def _day(text: str) -> datetime | None:
    if text not in _DAYS:
        return None
    return datetime.combine(datetime.now().astimezone() - timedelta(days=_DAYS[text]), time()).astimezone()


def _clock(text: str) -> datetime | None:
    return (
        datetime.combine(datetime.now().astimezone(), time.fromisoformat(text)).astimezone()
        if ":" in text[:3]
        else None
    )


def moment(when: datetime) -> str:
    """Return a moment in local time, without the day if that is today."""
    local = when.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"


def ago(when: datetime | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """Return how long ago a moment is."""
    if when is None:
        return "never"
    seconds = max(0.0, (now() - when).total_seconds())
    for unit, size in _STEPS:
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now" if seconds < 2 else f"{seconds:.0f} s ago"
