"""Times as people type and read them. Whatever is shown names its zone, and what is typed is read in the same one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from redirector.cli.terminal.exits import Exit, Stop

SPAN = re.compile(r"(?P<count>\d{1,6})\s*(?P<unit>s|min|m|h|d)")
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
OF_DAY = re.compile(r"(?P<time>\d{1,2}:\d{2})(?P<offset>Z|[+-]\d{2}:?\d{2})?")
POSIX_ZONE = re.compile(r"(?:<[^>]+>|[A-Za-z]{3,})[+-]?\d.*")
"""Such as `CET-1CEST`, which the C library reads and `zoneinfo` does not."""
HOST_ZONE = Path("/etc/localtime")
GRACE_SECONDS = 60
"""A time to come may be past by so much: whoever types the present minute means now."""


def operator_zone(environ: Mapping[str, str] = os.environ) -> tzinfo:
    """The zone of whoever sits here: `TMPNB_ZONE`, else `TZ`, else that of this machine.

    Raises:
        Stop: the variable names a zone that does not exist; the C library would silently take it for UTC.
    """
    for variable in ("TMPNB_ZONE", "TZ"):
        name = environ.get(variable, "").strip().removeprefix(":")
        if not name:
            continue
        if variable == "TZ" and POSIX_ZONE.fullmatch(name):
            return datetime.now().astimezone().tzinfo or UTC
        zone = zone_of(name)
        if zone is None:
            raise Stop(f"{variable} names the time zone {name!r:.60}, and there is no such zone", Exit.USAGE)
        return zone
    try:
        with HOST_ZONE.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC


def zone_of(name: str) -> tzinfo | None:
    """The zone of that name, such as `Europe/Berlin`, `UTC` or `+01:00`; None if there is none."""
    try:
        if name in ("Z", "UTC"):
            return UTC
        if re.fullmatch(r"[+-]\d{2}:?\d{2}", name):
            return datetime.strptime(name, "%z").tzinfo
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        # A directory of zones, a path, a name with odd characters: not only `ZoneInfoNotFoundError`.
        return None


def moment_of(text: str, now: datetime, *, past: bool) -> datetime | None:
    """The time that `text` means: `15:30`, `2026-11-22T15:30`, or a span from now such as `2h`; None if it is none.

    A time of day is the next one, or for the past the last one. A span counts back for the past, else ahead. A zone may
    follow (`15:30 Europe/Berlin`, `15:30+01:00`); else it is that of `now`.
    """
    text = text.strip()
    span = SPAN.fullmatch(text.removeprefix("+"))
    if span:
        length = timedelta(seconds=int(span["count"]) * UNITS[span["unit"]])
        return now - length if past else now + length
    stem, _, zone_name = text.rpartition(" ")
    if stem and not zone_name[0].isdigit():
        zone = zone_of(zone_name)
        if zone is None:
            return None
        text, now = stem.strip(), now.astimezone(zone)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _time_of_day(text, now, past=past)
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _time_of_day(text: str, now: datetime, *, past: bool) -> datetime | None:
    match = OF_DAY.fullmatch(text)
    if match is None:
        return None
    if match["offset"]:
        now = now.astimezone(zone_of(match["offset"]))
    try:
        of_day = datetime.strptime(match["time"], "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone of its own
    except ValueError:
        return None
    moment = datetime.combine(now.date(), of_day, now.tzinfo)
    if past and moment > now:
        return moment - timedelta(days=1)
    if not past and moment <= now:
        return moment + timedelta(days=1)
    return moment


class Moment(click.ParamType[float]):
    """A time as an option's value, in seconds since 1970. One that is to come is refused if it is past already."""

    name = "time"

    def __init__(self, *, past: bool) -> None:
        self._past = past

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        moment = moment_of(str(value), datetime.now(operator_zone()), past=self._past)
        if moment is None:
            stem, _, zone = str(value).strip().rpartition(" ")
            if stem and zone_of(zone) is None and moment_of(stem, datetime.now(UTC), past=self._past):
                self.fail(f"{value!r}: there is no time zone {zone!r}", param, ctx)
            self.fail(f"{value!r} is no time such as 15:30, 15:30 Europe/Berlin, 2026-11-22T15:30 or 2h", param, ctx)
        try:
            seconds = moment.timestamp()
        except (OverflowError, ValueError):
            self.fail(f"{value!r} is no time that this machine knows", param, ctx)
        if not self._past and seconds < time.time() - GRACE_SECONDS:
            self.fail(f"{value!r} is over: {full_time(seconds)}, and it is {full_time(time.time())} now", param, ctx)
        return seconds


def clock_time(moment: float, now: float) -> str:
    """A time of today by the clock, any other with its date; with its zone."""
    zone = operator_zone()
    there, here = _at(moment, zone), _at(now, zone)
    return there.strftime("%H:%M " if there.date() == here.date() else "%Y-%m-%d %H:%M ") + zone_mark(there)


def full_time(moment: float) -> str:
    """A time with its date, seconds and zone."""
    there = _at(moment, operator_zone())
    return there.strftime("%Y-%m-%d %H:%M:%S ") + zone_mark(there)


def clock_now() -> str:
    """The time of day now, with seconds and zone."""
    there = _at(time.time(), operator_zone())
    return there.strftime("%H:%M:%S ") + zone_mark(there)


def zone_mark(moment: datetime) -> str:
    """The zone as everybody reads it alike: its distance from UTC. Abbreviations such as IST mean several."""
    if not moment.utcoffset():
        return "UTC"
    offset = moment.strftime("%z")
    return f"{offset[:3]}:{offset[3:]}"


def _at(moment: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(min(max(moment, 0.0), 2.0**33), zone)
