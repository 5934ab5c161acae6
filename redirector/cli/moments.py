"""Times as people type and read them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import click

SPAN = re.compile(r"(?P<count>\d{1,6})\s*(?P<unit>s|min|m|h|d)")
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}


def moment_of(text: str, now: datetime, *, past: bool) -> datetime | None:
    """The time that `text` means: `15:30`, `2026-11-22T15:30`, or a span from now such as `2h`; None if it is none.

    A time of day is the next one, or for the past the last one. A span counts back for the past, else ahead.
    """
    text = text.strip()
    span = SPAN.fullmatch(text.removeprefix("+"))
    if span:
        length = timedelta(seconds=int(span["count"]) * UNITS[span["unit"]])
        return now - length if past else now + length
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
    return _time_of_day(text, now, past=past)


def _time_of_day(text: str, now: datetime, *, past: bool) -> datetime | None:
    try:
        of_day = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone of its own
    except ValueError:
        return None
    found = datetime.combine(now.date(), of_day, now.tzinfo)
    if past and found > now:
        return found - timedelta(days=1)
    if not past and found <= now:
        return found + timedelta(days=1)
    return found


class Moment(click.ParamType[float]):
    """A time as an option's value, in seconds since 1970."""

    name = "time"

    def __init__(self, *, past: bool) -> None:
        self._past = past

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = moment_of(str(value), datetime.now().astimezone(), past=self._past)
        if found is None:
            self.fail(f"{value!r} is no time such as 15:30, 2026-11-22T15:30 or 2h", param, ctx)
        return found.timestamp()


def clock_time(moment: float, now: float) -> str:
    """A time of today by the clock, any other with its date."""
    there, here = datetime.fromtimestamp(moment).astimezone(), datetime.fromtimestamp(now).astimezone()
    return there.strftime("%H:%M" if there.date() == here.date() else "%Y-%m-%d %H:%M")
