"""What a visitor is told: each outcome at the door as a page for people and as JSON for programs."""

from __future__ import annotations

import math
from typing import Any

from flask import Response, jsonify, request

from redirector.placing.outcomes import Refused, Waiting
from redirector.web.failures import failure
from redirector.web.pages import page

WAIT_SECONDS = 2
FULL_SECONDS = 15
LIMITED_SECONDS = 60
"""When to try again: what starts takes a second or two, sessions last minutes, and an allowance fills slowly."""

PLAIN_SECONDS = 1
"""How often a page without a script is loaded again, at most."""

SENTENCES = {
    "starting": "A sandbox is being started; ask again in a moment.",
    "full": "Every sandbox is in use; ask again later.",
    "crowded": "Every sandbox is in use, and so is the waiting room; ask again later.",
    "trouble": "No node can be used right now; ask again in a moment.",
    "limited": "Your address has had more sandboxes than its share; ask again later.",
    "unknown_pool": "No node has a pool of that name.",
    "bad_request": "No sandbox can be opened at that path.",
}

WAITING_SENTENCES = {
    "full": "Every sandbox is in use; this ticket keeps your place.",
    "starting": "A sandbox is being started; this ticket keeps your place.",
    "held": "Your address has had more sandboxes than its share; this ticket keeps your place.",
    "trouble": "No node can be used right now; this ticket keeps your place.",
}

RETRY_SECONDS = {
    "starting": WAIT_SECONDS,
    "trouble": FULL_SECONDS,
    "full": FULL_SECONDS,
    "crowded": FULL_SECONDS,
    "limited": LIMITED_SECONDS,
}


def waiting_json(waiting: Waiting, following: str, *, keeps: bool) -> Response:
    """202, the place, and where to ask again.

    Args:
        waiting: the place.
        following: the path to ask at.
        keeps: whether this client's cookie holds the ticket, so that it need not keep the address.
    """
    body: dict[str, Any] = {
        "status": "waiting",
        "message": WAITING_SENTENCES[waiting.mood],
        "mood": waiting.mood,
        "ticket": waiting.ticket,
        "position": waiting.place.position,
        "waiting": waiting.place.waiting,
        "expected_seconds": waiting.place.expected_seconds,
        "retry_after": waiting.ask_seconds,
        "next": following,
        "keeps": keeps,
    }
    response = jsonify(body)
    response.status_code = 202
    response.headers["Retry-After"] = str(math.ceil(waiting.ask_seconds))
    return response


def waiting_page(waiting: Waiting, following: str) -> Response:
    """The waiting room. With a script it asks by itself; without one it is loaded again."""
    plain_seconds = math.ceil(waiting.ask_seconds)
    expected = waiting.place.expected_seconds
    trouble = waiting.mood == "trouble"
    response = page(
        "waiting.html",
        503 if trouble else 200,
        mood=waiting.mood,
        place=waiting.place,
        minutes=None if expected is None else math.ceil(expected / 60),
        following=following,
        ask_seconds=waiting.ask_seconds,
        plain_seconds=plain_seconds,
    )
    if trouble:
        # For whatever watches over this address: people wait all the same.
        response.headers["Retry-After"] = str(plain_seconds)
    if "Sec-Fetch-Mode" not in request.headers:
        # No browser of today, so it may well know no scripts, and no <noscript> either.
        response.headers["Refresh"] = f"{plain_seconds}; url={following}"
    return response


def refused_page(refused: Refused) -> Response:
    """Why there is neither a sandbox nor a place, and a page that tries again by itself where that makes sense."""
    if refused.status == "unknown_pool":
        return page("error.html", 404, message="There is no such kind of notebook here.")
    if refused.status == "bad_request":
        return page("error.html", 400, message="No notebook can be opened at this address.")
    seconds = RETRY_SECONDS[refused.status]
    match refused.status:
        case "starting":
            response = page("starting.html", 200, seconds=seconds)
        case "trouble":
            response = page("trouble.html", 503, seconds=seconds)
        case "limited":
            response = page("limited.html", 429, seconds=seconds)
        case "full" | "crowded":
            response = page("full.html", 503, seconds=seconds, crowded=refused.status == "crowded")
    response.headers["Retry-After"] = response.headers["Refresh"] = str(seconds)
    return response


def refused_json(refused: Refused) -> Response:
    """The same for programs. A waiting room that is full is `full` to them, as tmpnb had it."""
    if refused.status == "unknown_pool":
        return failure(404, "unknown_pool", SENTENCES["unknown_pool"])
    if refused.status == "bad_request":
        return failure(400, "bad_request", SENTENCES["bad_request"])
    code = "full" if refused.status == "crowded" else refused.status
    response = failure(503 if refused.status == "trouble" else 429, code, SENTENCES[refused.status])
    seconds = WAIT_SECONDS if refused.status == "trouble" else RETRY_SECONDS[refused.status]
    response.headers["Retry-After"] = str(seconds)
    return response
