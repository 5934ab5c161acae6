"""Visitors' sessions as their nodes list them: parsed once, from what a node says and therefore bounded. Pure.

There is never a key in it: a node lists names, and whatever else it may send along is not taken over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
WORD = re.compile(r"[A-Za-z0-9_.-]{0,63}")
LONGEST = 10**9
"""Seconds; nothing lasts for thirty years."""
MOST_BYTES = 2**53
SHOWN_STATES = ("claimed", "ending")
KEY_LENGTH = 34
"""Letters of a key: a name of that length is none."""


@dataclass(frozen=True, slots=True)
class VisitorSession:
    """One visitor's sandbox. Of what an older node does not say there is None."""

    node: str
    name: str
    pool: str
    age_seconds: float | None
    idle_seconds: float | None
    busy: bool
    memory_bytes: int | None
    ends_in_seconds: float | None
    """By the node's limits, if nothing happens in it until then."""
    ends_reason: str
    """`idle`, `max_age`, `closed` for live code whose page has gone, `unvisited` for one that nobody has opened, or
    `ending` for one that ends at this moment.
    """


def parse_sessions(node: str, raw: object) -> list[VisitorSession]:
    """The sessions in a node's list of sandboxes. An entry that makes no sense is left out."""
    entries = raw if isinstance(raw, list) else []
    sessions = (_session(node, entry) for entry in entries if isinstance(entry, dict))
    return [session for session in sessions if session is not None]


def _session(node: str, entry: dict[str, Any]) -> VisitorSession | None:
    name = entry.get("name")
    if entry.get("state") not in SHOWN_STATES or not isinstance(name, str) or not NAME.fullmatch(name):
        return None
    if len(name) >= KEY_LENGTH:
        return None
    memory = _number(entry.get("memory_bytes"), MOST_BYTES)
    ending = entry.get("state") == "ending"
    return VisitorSession(
        node=node,
        name=name,
        pool=_word(entry.get("pool")),
        age_seconds=_number(entry.get("age_seconds"), LONGEST),
        idle_seconds=_number(entry.get("idle_seconds"), LONGEST),
        busy=entry.get("busy") is True,
        memory_bytes=None if memory is None else int(memory),
        ends_in_seconds=0.0 if ending else _number(entry.get("ends_in_seconds"), LONGEST),
        ends_reason="ending" if ending else _word(entry.get("ends_reason")),
    )


def _word(raw: object) -> str:
    return raw if isinstance(raw, str) and WORD.fullmatch(raw) else ""


def _number(raw: object, most: float) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= most:
        return None
    return raw
