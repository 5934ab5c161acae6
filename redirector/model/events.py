"""What happened in the fleet, as it is written down and told to other workers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One line of history. `by` is an operator's word, or `poller` for what the fleet noticed by itself."""

    at: float
    kind: str
    node: str = ""
    by: str = ""
    reason: str = ""
    id: int | None = None
    """Given by the database."""


@dataclass(frozen=True, slots=True)
class PassiveCheck:
    """What a visitor's claim met at a node, or what another host found there."""

    node: str
    passed: bool
    reason: str = ""
    """Why it failed; of one that is proved, how, if not by a claim."""
