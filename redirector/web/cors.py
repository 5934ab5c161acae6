"""Which pages of other sites may read our answers: those of `TMPNB_ALLOW_ORIGIN`, whatever the answer's status is.

A page that may not read a refusal sees a network error in its place, and cannot tell its reader why. Invariant: no
answer allows credentials, so what an operator's cookie would open is read by no page but our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Response, request

from redirector.model.launch_events import ASKED_HEADERS

PREFLIGHT_SECONDS = 600
"""How long a browser remembers what a preflight allowed."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that browsers ask about before they make it, and what they may send with it."""

    methods: str
    headers: str


CALLS: Mapping[str, _Call] = {
    "/api/spawn": _Call("POST, OPTIONS", "Content-Type"),
    "/build": _Call("GET, OPTIONS", ASKED_HEADERS),
}
"""By the beginning of their paths."""


def readers(allowed: tuple[str, ...]) -> Callable[[Response], Response]:
    """Return what is to be done with every answer before it is sent.

    Args:
        allowed: origins, or `*` for all; empty: no page of another site reads anything that is not for everybody.
    """

    def allow(response: Response) -> Response:
        call = next((call for path, call in CALLS.items() if _is_below(request.path, path)), None)
        if allowed or call is not None:
            response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if not origin or not ("*" in allowed or origin in allowed):
            return response
        # What is for everybody says so itself.
        response.headers.setdefault("Access-Control-Allow-Origin", "*" if "*" in allowed else origin)
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        if call is not None:
            response.headers["Access-Control-Allow-Methods"] = call.methods
            response.headers["Access-Control-Allow-Headers"] = call.headers
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    return allow


def _is_below(path: str, start: str) -> bool:
    return path == start or path.startswith(f"{start}/")
