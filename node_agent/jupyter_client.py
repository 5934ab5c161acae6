"""The only HTTP toward sandboxes. What they answer is hostile: bounded, parsed here, believed in nothing else."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from node_agent.culling import Activity
from node_agent.unix_http import Answer, NoAnswerError, request

LANDING_SECONDS = 5.0
"""For one try; a fresh server on a busy host gets as many as it needs. Short, so that the agent can stop."""
STATUS_SECONDS = 3.0
OK = 200


def landing_problem(socket: Path, base_path: str, landing: str) -> str:
    """Why a sandbox is not ready for a visitor: its landing page has to answer 200. Empty when it has."""
    try:
        answer = request(socket, "GET", base_path.rstrip("/") + landing, within=LANDING_SECONDS)
    except NoAnswerError as error:
        return f"its landing page {landing} gave {error}"
    return "" if answer.status == OK else f"its landing page {landing} answered {answer.status}"


def activity(socket: Path, base_path: str) -> Activity | None:
    """What Jupyter says of its use; None when it says nothing that makes sense. Asking is itself no activity."""
    status = _read(socket, f"{base_path}api/status")
    if not isinstance(status, dict):
        return None
    last = _seconds(status.get("last_activity"))
    if last is None:
        return None
    busy = False
    if status.get("kernels"):
        kernels = _read(socket, f"{base_path}api/kernels?no_track_activity=1")
        listed = kernels if isinstance(kernels, list) else []
        busy = any(isinstance(kernel, dict) and kernel.get("execution_state") == "busy" for kernel in listed)
    return Activity(last, busy)


def _read(socket: Path, target: str) -> Any:
    try:
        answer: Answer = request(socket, "GET", target, within=STATUS_SECONDS)
        return json.loads(answer.body) if answer.status == OK else None
    # A body of nothing but brackets exhausts the parser's stack.
    except (NoAnswerError, ValueError, RecursionError):
        return None


def _seconds(text: object) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
