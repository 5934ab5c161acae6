"""Tries a sandbox as its visitor would: waits for its socket and its page, and computes in a kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node_agent.jupyter.kernel_session import CellError

LOOK_SECONDS = 0.05
"""How often to look for a socket: short beside the second that a server takes to make it."""

CELL = "6 * 7"
"""Where a pool has no cell of its own. Most languages know it; what counts is that a kernel answers, be it that it does
not understand: that too was computed.
"""
PRINTED_LIMIT = 200
"""Characters of what a cell printed that are told."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server."""

    seconds: float
    elapsed: Callable[[], float]
    """Seconds since its start."""
    pause: Callable[[float], object]


def await_server(
    socket: Path, problem_of: Callable[[], str], patience: Patience, *, given_up: Callable[[], bool]
) -> str | None:
    """Wait until a server's socket is there and `problem_of` finds nothing wrong with what listens.

    Returns an empty text then; the last problem when patience ends; None when the server was given up meanwhile.
    """
    problem = "its socket did not appear"
    while not given_up():
        if socket.exists():
            problem = problem_of()
            if not problem:
                return ""
        if patience.elapsed() >= patience.seconds:
            return f"{problem} within {patience.seconds:.0f} s"
        patience.pause(LOOK_SECONDS)
    return None


def compute(run: Callable[[str], str], cell: str = "") -> str:
    """Run the pool's own cell, which has to succeed, or the common one, which a kernel only has to answer.

    Returns the beginning of what it printed.

    Raises:
        KernelError: no kernel ran it, or the pool's own cell failed.
    """
    try:
        return run(cell or CELL)[:PRINTED_LIMIT]
    except CellError as error:
        if cell:
            raise
        return str(error)[:PRINTED_LIMIT]
