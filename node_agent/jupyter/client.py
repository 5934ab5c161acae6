"""The only HTTP toward sandboxes. What they answer is hostile: bounded, parsed here, believed in nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_agent.unix_http import NoAnswerError, UnixResponse, request

LANDING_SECONDS = 5.0
"""For one try; a fresh server on a busy host gets as many as it needs. Short, so that the agent can stop."""
STATUS_SECONDS = 3.0
LIST_LIMIT = 64 * 1024
"""Bytes of a list of kernels or terminals: hundreds of them. Read, a byte can take the memory of thirty."""
TIME_LIMIT = 40
"""Longest time in words, in characters: of what is longer the beginning is compared."""
OK = 200


def landing_problem(socket: Path, base_path: str, landing: str) -> str:
    """Why a sandbox is not ready for a visitor: its landing page has to answer 200. Empty when it has."""
    try:
        answer = request(socket, "GET", base_path.rstrip("/") + landing, within=LANDING_SECONDS)
    except NoAnswerError as error:
        return f"its landing page {landing} gave {error}"
    return "" if answer.status == OK else f"its landing page {landing} answered {answer.status}"


def page_status(socket: Path, target: str) -> int:
    """Return the status that a page of a sandbox answers with; 0 if it does not answer."""
    try:
        return request(socket, "GET", target, within=LANDING_SECONDS).status
    except NoAnswerError:
        return 0


def activity(socket: Path, base_path: str) -> Activity | None:
    """What Jupyter says of its kernels and terminals; None when it says nothing that makes sense.

    Not what it says of its own last activity: to Jupyter every request is one, those too that an open tab sends by
    itself.
    """
    kernels = _listed(socket, f"{base_path}api/kernels?no_track_activity=1")
    if kernels is None:
        return None
    # Of a server without terminals there are none.
    terminals = _listed(socket, f"{base_path}api/terminals?no_track_activity=1") or []
    times = [each.get("last_activity") for each in (*kernels, *terminals)]
    newest = max((time[:TIME_LIMIT] for time in times if isinstance(time, str)), default="")
    busy = any(kernel.get("execution_state") == "busy" for kernel in kernels)
    connected = any(_is_count(kernel.get("connections")) for kernel in kernels)
    return Activity(newest, busy, terminals=bool(terminals), connected=connected)


def _is_count(value: object) -> bool:
    """Whether it is a number above 0: what a sandbox says may be anything."""
    return isinstance(value, int) and value > 0


def _listed(socket: Path, target: str) -> list[dict[Any, Any]] | None:
    """The objects in a list that a sandbox answered with."""
    listed = _read(socket, target)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else None


def _read(socket: Path, target: str) -> Any:
    try:
        answer: UnixResponse = request(socket, "GET", target, within=STATUS_SECONDS, most=LIST_LIMIT)
        return json.loads(answer.body) if answer.status == OK else None
    # A body of nothing but brackets exhausts the parser's stack.
    except (NoAnswerError, ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Activity:
    """What Jupyter says of its kernels and terminals."""

    newest: str
    """The time of their latest message in Jupyter's words; empty where there are none. Only ever compared."""
    busy: bool
    """A kernel is computing."""
    terminals: bool = False
    """There are any."""
    connected: bool = False
    """A page, or another client, has a connection to a kernel."""
