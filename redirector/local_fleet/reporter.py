"""What a fleet tells the person who started it, whatever the terminal looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from redirector.local_fleet.enrolment import Warmth


@dataclass(frozen=True, slots=True)
class FleetReady:
    """The fleet is up."""

    entry_url: str
    nodes: Sequence[tuple[str, str]]
    """Names and URLs."""
    isolated: bool = False
    """Whether strangers can be let in."""
    demo_url: str = ""
    """A link that opens a notebook which shows something; empty: there is none."""


class Reporter(Protocol):
    """Never raises: a terminal that has gone away must not keep a fleet from being stopped."""

    def note(self, text: str) -> None:
        """One line about what is being done."""

    def warn(self, text: str) -> None:
        """One line about what went wrong and is being dealt with."""

    def warming(self, warmth: Warmth) -> None:
        """Show how far the pools have come; called again and again until they are complete."""

    def announce(self, announcement: FleetReady) -> None:
        """Say that visitors may come."""
